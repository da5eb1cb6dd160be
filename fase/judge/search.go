package judge

import (
	"errors"
	"slices"
)

// errBudget ends a search that would simulate too much.
var errBudget = errors.New("it would take too many simulations")

// A search looks for the cheapest schedule: an option for each interval, so that no interval is violated.
//
// It relies on two things. What happens in an interval follows from the options up to it alone. And more is never worse: where
// an option holds in an interval, so does one that covers it. It goes through the intervals in order, gives each the cheapest
// option that holds after what was chosen for those before, and where none does, goes back and gives the interval before the
// next dearer one. So it finds the cheapest schedule where no interval gains from work that one before has done beyond its own
// need; bound says how far from the cheapest it can be at most.
type search struct {
	options []option  // the cheapest first; the last covers all others
	weights []float64 // of each interval: seconds that count
	// holds simulates a schedule from the start to the end of its last interval, and returns the first interval that is
	// violated, or the length of the schedule.
	holds func(schedule []int) (int, error)
}

// frame is what is known of one interval, behind those that were chosen before it.
type frame struct {
	known map[int]bool // by option: whether it holds
	taken map[int]bool // options that led nowhere
}

func newFrame() frame { return frame{known: map[int]bool{}, taken: map[int]bool{}} }

// best returns the schedule.
func (x *search) best() ([]int, error) {
	n := len(x.weights)
	schedule, frames := make([]int, 0, n), []frame{newFrame()}
	for len(schedule) < n {
		k := len(schedule)
		o, run, err := x.cheapest(schedule, &frames[k], n)
		if err != nil {
			return nil, err
		}
		if o < 0 {
			if k == 0 {
				return nil, errors.New("no schedule holds")
			}
			frames = frames[:k]
			frames[k-1].taken[schedule[k-1]] = true
			schedule = schedule[:k-1]
			continue
		}
		for range run {
			schedule, frames = append(schedule, o), append(frames, newFrame())
			if o == 0 {
				frames[len(frames)-2].known[o] = true
			}
		}
	}
	return schedule, nil
}

// cheapest returns the cheapest option, and not taken, that holds in the interval behind a schedule, and for how many
// intervals it is known to; or -1.
func (x *search) cheapest(before []int, f *frame, n int) (o, run int, err error) {
	guess := 0
	if len(before) > 0 {
		guess = before[len(before)-1]
	}
	run = 1
	best, err := x.first(before, f, guess, n, &run)
	if err != nil || best < 0 {
		return best, run, err
	}
	for i := best - 1; i >= 0; i-- { // dearer ones first: where they fail, those below do
		ok, r, err := x.test(before, f, i, n)
		if err != nil {
			return 0, 0, err
		}
		if ok {
			best, run = i, r
		}
	}
	return best, run, nil
}

// first returns an option that holds: the guess if it does, else the cheapest.
func (x *search) first(before []int, f *frame, guess, n int, run *int) (int, error) {
	for i := -1; i < len(x.options); i++ {
		o := i
		if i < 0 {
			o = guess
		}
		ok, r, err := x.test(before, f, o, n)
		if err != nil {
			return 0, err
		}
		if ok {
			*run = r
			return o, nil
		}
	}
	return -1, nil
}

// test says whether an option holds in the interval behind a schedule, and for how many intervals it is known to: the cheapest
// one is tried for all that are left, as there is none to try after it.
func (x *search) test(before []int, f *frame, o, n int) (ok bool, run int, err error) {
	if f.taken[o] {
		return false, 0, nil
	}
	if ok, known := f.known[o]; known {
		return ok, 1, nil
	}
	k := len(before)
	length := k + 1
	if o == 0 {
		length = n
	}
	schedule := append(slices.Clone(before), make([]int, length-k)...)
	for i := k; i < length; i++ {
		schedule[i] = o
	}
	bad, err := x.holds(schedule)
	if err != nil {
		return false, 0, err
	}
	ok = bad > k
	for i, p := range x.options {
		if ok && p.covers(x.options[o]) || !ok && x.options[o].covers(p) {
			f.known[i] = ok
		}
	}
	return ok, max(1, bad-k), nil
}

// bound returns what no schedule costs less than: of each interval the cheapest option that holds behind intervals which had
// everything.
func (x *search) bound(schedule []int) (float64, error) {
	least, top := 0.0, len(x.options)-1
	for k, o := range schedule {
		f := newFrame()
		f.known[o] = true
		before := make([]int, k)
		for i := range before {
			before[i] = top
		}
		for i := o - 1; i >= 0; i-- {
			ok, _, err := x.test(before, &f, i, k+1)
			if err != nil {
				return 0, err
			}
			if ok {
				o = i
			}
		}
		least += x.weights[k] * x.options[o].cost
	}
	return least, nil
}

// cost is what a schedule costs.
func (x *search) cost(schedule []int) float64 {
	c := 0.0
	for k, o := range schedule {
		c += x.weights[k] * x.options[o].cost
	}
	return c
}
