package user

import (
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/rdr"
)

// OffPlan counts the recorded requests that deviate from the plan: whose key is not one of the plan's, or was there before,
// or (in an open group whose rate was not set in the run) whose due instant is another than the plan's. The records are
// those of a whole run, in any order.
func (c *Config) OffPlan(records []Record, rateWasSet bool) int {
	due := make(map[rdr.Key]dsv.Instant, len(records))
	for _, r := range records {
		due[r.Key] = r.Due
	}
	planned := 0
	switch {
	case !c.open():
		for u := range uint64(c.Users) {
			planned += c.follow(due, func(n uint64) rdr.Key { return c.Key(u, n) }, usersGap)
		}
	case rateWasSet:
		planned = c.follow(due, func(n uint64) rdr.Key { return c.Key(n, 0) }, openGap+len(records))
	default:
		for key, at := range c.Arrivals() {
			found, _ := c.found(due, key, at)
			planned += found
		}
	}
	return len(records) - planned
}

// How many requests in a row may be missing among the records before the last is thought to have passed: those of one user
// come one after the other, those of an open group may all still have been in flight when the run ended.
const (
	usersGap = 16
	openGap  = 10_000
)

// follow counts those of a row of keys that were recorded, until too many in a row that should have been were not.
func (c *Config) follow(recorded map[rdr.Key]dsv.Instant, key func(n uint64) rdr.Key, gap int) int {
	all := 0
	for n, missing := uint64(0), 0; missing < gap; n++ {
		switch found, due := c.found(recorded, key(n), anyTime); {
		case found > 0:
			all, missing = all+found, 0
		case due:
			missing++
		}
	}
	return all
}

// anyTime is when a request may be due whose instant does not follow from the plan.
const anyTime = dsv.Instant(-1)

// found counts what was recorded of an arrival, or a round of a user: its one request, or the pages of its session; and says
// whether any of that should have been. Only the first page's instant follows from the plan.
func (c *Config) found(recorded map[rdr.Key]dsv.Instant, key rdr.Key, at dsv.Instant) (found int, due bool) {
	one := func(k rdr.Key, at dsv.Instant) {
		due = due || service.Recorded(k, c.RecordShare)
		if d, ok := recorded[k]; ok && (at == anyTime || d == at) {
			found++
		}
	}
	if c.Sessions == nil {
		one(key, at)
		return found, due
	}
	c.Sessions.Walk(key, func(n, _ int, k rdr.Key, _ dsv.Instant) bool {
		if n > 0 {
			at = anyTime
		}
		one(k, at)
		return true
	})
	return found, due
}
