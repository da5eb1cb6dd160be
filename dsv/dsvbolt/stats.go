package dsvbolt

import "time"

// Stats says what writing has cost so far.
type Stats struct {
	Commits int           // transactions
	Longest time.Duration // the longest one
}

// Stats returns what writing has cost since the file was opened.
func (db *DB) Stats() Stats {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.stats
}
