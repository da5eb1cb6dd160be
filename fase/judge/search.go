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
	// expect is told which schedules will likely be asked for next, the likeliest first, and that none is that it was told of before;
	// nil: nobody cares.
	expect func(schedules ...[]int)
}

// frame is what is known of one interval, behind those that were chosen before it.
type frame struct {
	known map[int]bool // by option: whether it holds
	runs  map[int]int  // by option that holds: for how many intervals it is known to, if more than one
	taken map[int]bool // options that led nowhere
}

func newFrame() frame {
	return frame{known: map[int]bool{}, runs: map[int]int{}, taken: map[int]bool{}}
}

// told says that an option need not be tried.
func (f *frame) told(o int) bool {
	_, known := f.known[o]
	return known || f.taken[o]
}

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
		schedule, frames = append(schedule, o), append(frames, newFrame())
		if run > 1 {
			frames[k+1].known[o], frames[k+1].runs[o] = true, run-1
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
	x.foresee(before, f, guess, n)
	best, run, err := x.first(before, f, guess, n)
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
func (x *search) first(before []int, f *frame, guess, n int) (o, run int, err error) {
	for i := -1; i < len(x.options); i++ {
		o := i
		if i < 0 {
			o = guess
		} else {
			x.ascend(before, f, guess, i, n)
		}
		ok, r, err := x.test(before, f, o, n)
		if err != nil || ok {
			return o, r, err
		}
	}
	return -1, 0, nil
}

// ahead is how many schedules are expected at most.
const ahead = 6

// foresee expects that an option holds in the interval behind a schedule and in those after it, and cheaper ones do not.
func (x *search) foresee(before []int, f *frame, guess, n int) {
	if x.expect == nil {
		return
	}
	var next [][]int
	if !f.told(guess) {
		next = append(next, x.longer(before, guess, n))
	}
	for k := len(before); k < n && len(next) < ahead; k++ {
		failed := newFrame()
		if k == len(before) {
			failed = *f
		}
		for i := guess - 1; i >= 0; i-- {
			_, known := failed.known[i]
			if known || slices.ContainsFunc(x.options[i+1:guess], func(p option) bool { return p.covers(x.options[i]) }) {
				continue
			}
			s := append(slices.Clone(before), slices.Repeat([]int{guess}, k-len(before))...)
			next = append(next, x.longer(s, i, n))
		}
	}
	x.expect(next...)
}

// ascend expects that options do not hold, from the i-th on; but of the one right above the guess, that it does, for what is needed
// seldom jumps: then it is tried further, and what is cheaper by one behind it.
func (x *search) ascend(before []int, f *frame, guess, i, n int) {
	if x.expect == nil || f.told(i) {
		return
	}
	next := [][]int{x.longer(before, i, n)}
	if i == guess+1 && len(before)+1 < n {
		next = append(next, x.longer(next[0], i, n), x.longer(next[0], guess, n))
	}
	for o := i + 1; o < len(x.options) && len(next) < ahead; o++ {
		if !f.told(o) {
			next = append(next, x.longer(before, o, n))
		}
	}
	x.expect(next...)
}

// longer is the schedule with which an option is tried behind one.
func (x *search) longer(before []int, o, n int) []int {
	return append(slices.Clone(before), slices.Repeat([]int{o}, x.length(before, o, n)-len(before))...)
}

// length is up to which interval an option is tried behind a schedule: the cheapest one to the end, as there is none to try after
// it, and others as long again as they have been there.
func (x *search) length(before []int, o, n int) int {
	if o == 0 {
		return n
	}
	k := len(before)
	same := 0
	for same < k && before[k-1-same] == o {
		same++
	}
	return min(n, k+1+same)
}

// test says whether an option holds in the interval behind a schedule, and for how many intervals it is known to.
func (x *search) test(before []int, f *frame, o, n int) (ok bool, run int, err error) {
	if f.taken[o] {
		return false, 0, nil
	}
	if ok, known := f.known[o]; known {
		return ok, max(1, f.runs[o]), nil
	}
	k := len(before)
	bad, err := x.holds(x.longer(before, o, n))
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
		x.forebound(schedule[k:], k, top)
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

// forebound expects that the bound is the schedule: that in each interval what is cheaper by one does not hold.
func (x *search) forebound(rest []int, k, top int) {
	if x.expect == nil {
		return
	}
	var next [][]int
	for i := 0; i < len(rest) && len(next) < ahead; i++ {
		if o := rest[i] - 1; o >= 0 {
			next = append(next, append(slices.Repeat([]int{top}, k+i), o))
		}
	}
	x.expect(next...)
}

// cost is what a schedule costs.
func (x *search) cost(schedule []int) float64 {
	c := 0.0
	for k, o := range schedule {
		c += x.weights[k] * x.options[o].cost
	}
	return c
}
