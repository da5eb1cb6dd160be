package dsvbolt

import "time"

// Stats says what writing has cost so far.
type Stats struct {
	Commits int           // transactions
	Bytes   int64         // of the pages that they wrote
	Spent   time.Duration // in all of them
	Longest time.Duration // the longest one
	// LongestOwn is the most that one took before its pages were written and synchronised, which is the disk's part.
	LongestOwn time.Duration
}

// add notes a transaction that took so long, of which own was not the disk's.
func (s *Stats) add(bytes int64, took, own time.Duration) {
	s.Commits++
	s.Bytes += bytes
	s.Spent += took
	s.Longest, s.LongestOwn = max(s.Longest, took), max(s.LongestOwn, own)
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
