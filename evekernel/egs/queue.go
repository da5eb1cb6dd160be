package egs

import "slices"

// The bounds of what waits for one subscriber.
const (
	queueLength = 1024    // events
	queueBytes  = 4 << 20 // about
)

// A queue is a bounded queue of events, those of higher priority first, in their order else.
type queue struct {
	events []Event // from head on
	head   int
	bytes  int
}

func (q *queue) len() int { return len(q.events) - q.head }

// put queues a clone of e that says how many were lost before it. Where there is no place, events of lower priority are
// dropped, or e itself: dropped says how many, and owed how many losses no event in the queue tells of.
func (q *queue) put(e *Event, lost uint64) (dropped, owed uint64) {
	size := e.size()
	for q.len() > 0 && (q.len() >= queueLength || q.bytes+size > queueBytes) {
		last := &q.events[len(q.events)-1]
		if last.Priority >= e.Priority {
			return dropped + 1, owed + 1 + lost
		}
		q.bytes -= last.size()
		dropped++
		owed += 1 + last.Lost
		*last = Event{}
		q.events = q.events[:len(q.events)-1]
	}
	if q.head > 0 && len(q.events) == cap(q.events) {
		n := copy(q.events, q.events[q.head:])
		clear(q.events[n:])
		q.events, q.head = q.events[:n], 0
	}
	c := e.Clone()
	c.Lost = lost
	q.events = append(q.events, c)
	q.bytes += size
	for i := len(q.events) - 1; i > q.head && q.events[i-1].Priority < q.events[i].Priority; i-- {
		q.events[i-1], q.events[i] = q.events[i], q.events[i-1]
	}
	return dropped, owed
}

func (q *queue) take() (Event, bool) {
	if q.len() == 0 {
		return Event{}, false
	}
	e := q.events[q.head]
	q.events[q.head] = Event{}
	q.head++
	q.bytes -= e.size()
	if q.head == len(q.events) {
		q.events, q.head = q.events[:0], 0
	}
	return e, true
}

// back puts what take took before all others.
func (q *queue) back(e Event) {
	if q.head > 0 {
		q.head--
		q.events[q.head] = e
	} else {
		q.events = slices.Insert(q.events, 0, e)
	}
	q.bytes += e.size()
}

func (q *queue) clear() { *q = queue{} }
