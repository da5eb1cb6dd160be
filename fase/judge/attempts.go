package judge

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/eve-emulation/eve/dsv"
)

// attempts simulates schedules, each once, on as many processors as there are: one attempt is asked for, and meanwhile those are
// made that will likely be asked for next; one that is not expected any more is given up. What is asked for counts, and what was made
// in vain does not, so nobody can tell how many processors there were.
type attempts struct {
	w       *world
	end     context.CancelFunc
	ctx     context.Context
	workers sync.WaitGroup

	mu      sync.Mutex
	more    *sync.Cond // something waits, or it ends
	made    map[string]*attempt
	waiting []*attempt // the likeliest first
	running []*attempt // that were begun, and are not asked for yet
	over    bool
}

// An attempt is the simulation of a schedule up to an instant.
type attempt struct {
	changes []change
	until   dsv.Instant
	stop    bool // with the first second that is violated and not excused

	begun, asked bool
	ended        bool // trial and err are known
	giveUp       context.CancelFunc
	done         chan struct{} // closed once it is ended, or given up
	trial        *trial
	err          error
}

func newAttempts(ctx context.Context, w *world) *attempts {
	a := &attempts{w: w, made: map[string]*attempt{}}
	a.ctx, a.end = context.WithCancel(ctx)
	a.more = sync.NewCond(&a.mu)
	for range min(runtime.GOMAXPROCS(0), maxProcessors) - 1 {
		a.workers.Go(a.work)
	}
	return a
}

// maxProcessors bounds what is made ahead: of more, most would be made in vain.
const maxProcessors = 4

// close ends attempts that nobody asked for.
func (a *attempts) close() {
	a.mu.Lock()
	a.over = true
	a.mu.Unlock()
	a.end()
	a.more.Broadcast()
	a.workers.Wait()
}

func (a *attempts) work() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for {
		for !a.over && len(a.waiting) == 0 {
			a.more.Wait()
		}
		if a.over {
			return
		}
		x := a.waiting[0]
		a.waiting = a.waiting[1:]
		a.make(x)
	}
}

// make makes an attempt, unless somebody does already; given up, it is as if it had not begun. It is called with the lock, which it
// releases meanwhile.
func (a *attempts) make(x *attempt) {
	if x.begun {
		return
	}
	ctx, giveUp := context.WithCancel(a.ctx)
	x.begun, x.giveUp, x.done = true, giveUp, make(chan struct{})
	a.running = append(a.running, x)
	a.mu.Unlock()
	t, err := a.w.follow(ctx, x.changes, x.until, x.stop)
	a.mu.Lock()
	a.running = slices.DeleteFunc(a.running, func(y *attempt) bool { return y == x })
	if x.ended = ctx.Err() == nil || a.ctx.Err() != nil; x.ended {
		x.trial, x.err = t, err
	}
	x.begun = x.ended
	giveUp()
	close(x.done)
}

// find returns the attempt at a schedule: one that went on whatever happened, where that was asked for.
func (a *attempts) find(changes []change, until dsv.Instant, stop bool) *attempt {
	if x := a.made[fmt.Sprint(changes, until, false)]; x != nil && stop && x.asked {
		return x
	}
	key := fmt.Sprint(changes, until, stop)
	x := a.made[key]
	if x == nil {
		x = &attempt{changes: changes, until: until, stop: stop}
		a.made[key] = x
	}
	return x
}

// ask returns what became of a schedule. While somebody else finds out, it makes what is expected to be asked for next.
func (a *attempts) ask(changes []change, until dsv.Instant, stop bool) (*trial, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	x := a.find(changes, until, stop)
	if !x.asked && a.w.spent > a.w.budget {
		return nil, errBudget
	}
	for {
		a.make(x) // once more, where it was given up
		if x.ended {
			if !x.asked && x.err == nil {
				x.asked = true
				a.w.spent += x.trial.cost
				a.w.simulations++
			}
			return x.trial, x.err
		}
		if len(a.waiting) > 0 { // another one makes it: help with what comes next
			y := a.waiting[0]
			a.waiting = a.waiting[1:]
			a.make(y)
			continue
		}
		done := x.done
		a.mu.Unlock()
		<-done
		a.mu.Lock()
	}
}

// expect names what will likely be asked for next, the likeliest first, in the place of what was expected before.
func (a *attempts) expect(xs []*attempt) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waiting = a.waiting[:0]
	if runtime.GOMAXPROCS(0) == 1 {
		return
	}
	expected := make([]*attempt, len(xs))
	for i, x := range xs {
		expected[i] = a.find(x.changes, x.until, x.stop)
		if !expected[i].begun {
			a.waiting = append(a.waiting, expected[i])
		}
	}
	for _, x := range a.running { // nobody waits for one of them: who asks is who expects
		if !slices.Contains(expected, x) {
			x.giveUp()
		}
	}
	a.more.Broadcast()
}
