package user

import (
	"math"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/rdr"
)

// openTail is how many of the last arrivals of a recording tell its rate at the end.
const openTail = 20

// Recorded returns the arrivals of an open group as a run had them, in place of those that it plans, for a group whose rate was
// set while it ran: begun arrivals with the keys of the plan, each due when the record of its key says. Of those that were not
// recorded, because records were sampled or because they had not ended, the instant follows from the plan's unit gaps: between
// two that were recorded the rate is taken to be constant, and behind the last to be that of the last ones. estimated is how
// many these are. It returns nil where there is no record of an arrival.
func (c *Config) Recorded(records []Record, begun int64) (t *Trace, estimated int) {
	due := make(map[rdr.Key]dsv.Instant, len(records))
	for _, r := range records {
		due[r.Key] = r.Due
	}
	t = &Trace{Due: make([]dsv.Instant, 0, begun)}
	var known []point // since the last known one, which is the first
	known = append(known, point{0, 0})
	sums := make([]float64, 0, begun)
	gaps, found := 0.0, 0
	for n := range uint64(max(begun, 0)) {
		key := c.Key(n, 0)
		gaps += c.gap(key)
		sums = append(sums, gaps)
		at, ok := due[key]
		if !ok {
			continue
		}
		found++
		from := known[len(known)-1]
		p := point{gaps, max(at, from.at)}
		for k := len(t.Due); k < int(n); k++ {
			t.Due = append(t.Due, from.between(p, sums[k]))
			estimated++
		}
		t.Due, known = append(t.Due, p.at), append(known, p)
	}
	if found == 0 {
		return nil, 0
	}
	last, from := known[len(known)-1], known[max(0, len(known)-1-openTail)]
	for k := len(t.Due); k < len(sums); k++ {
		at := last.at
		if last.at > from.at {
			at = from.between(last, sums[k])
		}
		if at >= c.End {
			break
		}
		t.Due = append(t.Due, at)
		estimated++
	}
	return t, estimated
}

// A point is an arrival that was recorded: the sum of the unit gaps up to it, and when it was due.
type point struct {
	sum float64
	at  dsv.Instant
}

// between is when the sum of unit gaps is reached at the constant rate that leads from one point to another, or beyond that.
func (p point) between(to point, sum float64) dsv.Instant {
	if to.sum <= p.sum {
		return to.at
	}
	x := float64(to.at-p.at) * (sum - p.sum) / (to.sum - p.sum)
	return p.at + dsv.Instant(math.Round(x))
}
