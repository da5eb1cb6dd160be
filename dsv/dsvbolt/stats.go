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

// Failing returns why nothing can be written at present, as when the disk is full; nil while writing goes on.
func (db *DB) Failing() error {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.err != nil {
		return db.err
	}
	return db.failing
}
