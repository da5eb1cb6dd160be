package app

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"runtime"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/campaign"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/user"
)

// The cards of what is no system with a mean: it is decided in virtual time alone.
const (
	retryCard  = "E18"
	repeatCard = "E20"
)

// A fact is a card that is judged by what one simulation, or several, came to.
type fact struct {
	card  string
	judge func(t *truth, ctx context.Context) ([]claim, error)
}

func facts() []fact {
	return []fact{{retryCard, (*truth).retries}, {repeatCard, (*truth).repeats}}
}

// The station of E18: requests at equal gaps, each of 10 ms, that their users give up after a second and try again at once; what was given up
// is served all the same. From 10 s on the processor is stalled, at a twentieth of its speed, for 4 s.
const (
	retryDemand  = 10 * time.Millisecond
	retryTimeout = time.Second
	retryStall   = 10 * time.Second
	retryStalled = 4 * time.Second
	retryEnd     = 60 * time.Second
)

func retryScenario(rate float64, further int, stall bool) string {
	faults := ""
	if stall {
		faults = fmt.Sprintf("faults:\n  - {name: stall, slow: x.cpu, factor: 20, at: %v, for: %v}\n", retryStall, retryStalled)
	}
	return fmt.Sprintf(`eve: 1
name: retries
duration: %gs
records: 100000/s
requests: |
  request job { timeout %v { call s { cpu %v } } }
servers:
  x: {cpus: 1}
services:
  s: {on: x}
clients:
  g: {request: job, arrive: constant, rate: %g/s, patience: none, retry: {attempts: %d, backoff: 0s}}
%s`, retryEnd.Seconds(), retryTimeout, retryDemand, rate, further, faults)
}

// retries is E18, all of which is determined (Bronson, Aghayev, Charapko and Zhu, "Metastable Failures in Distributed Systems", HotOS 2021).
// A line longer than the users wait makes each request one of 1 + further attempts. Where the station carries those, the line drains and all
// succeed again; where it does not, it never does, at a load at which without the stall nobody ever waits.
func (t *truth) retries(ctx context.Context) ([]claim, error) {
	var out []claim
	for _, x := range []struct {
		name    string
		rate    float64 // per second, of 100
		further int
		stall   bool
		last    float64 // attempts of a request in the last 20 s
		good    float64 // share of the requests of the last 20 s that succeed
	}{
		{"60 % loaded, 4 further attempts, no stall", 60, 4, false, 1, 1},
		{"60 % loaded, 4 further attempts, a stall", 60, 4, true, 5, 0},
		{"60 % loaded, 1 further attempt, a stall", 60, 1, true, 2, 0},
		{"40 % loaded, 1 further attempt, a stall", 40, 1, true, 1, 1},
	} {
		plan, err := t.compile("retries", retryScenario(x.rate, x.further, x.stall))
		if err != nil {
			return out, err
		}
		r, err := campaign.Simulate(ctx, plan, campaign.Options{})
		if err != nil {
			return out, err
		}
		from := dsv.At(retryEnd - 20*time.Second)
		attempts, good, err := amplification(r, from)
		if err != nil {
			return out, err
		}
		b := r.Summary.Books
		whole := r.Summary.Clients["g"].Accounting.Balanced && b != nil && b.Verdict != "fail"
		ok := math.Abs(attempts-x.last) <= 0.01*x.last && math.Abs(good-x.good) <= 0.01 && whole
		found := fmt.Sprintf("%.3f attempts, %.1f %% succeed", attempts, 100*good)
		if !whole {
			found += "; the books do not balance"
		}
		out = append(out, claim{retryCard, x.name, fmt.Sprintf("%g attempts, %g %%", x.last, 100*x.good), found, "1 %, books balance", claimed(ok)})
	}
	return out, nil
}

// amplification is how many attempts a request of the group made, and which share of requests succeeded, of those that ended after an instant.
func amplification(r *campaign.Result, from dsv.Instant) (attempts, good float64, err error) {
	n, ok := 0, 0
	if err := runs.Requests(r.History, "g", func(x user.Record) error {
		if x.Done > from {
			n++
			if x.Cause == 0 {
				ok++
			}
		}
		return nil
	}); err != nil || n == 0 {
		return nan, nan, err
	}
	var retried int64
	err = r.History.History("g.retries", from, dsv.Never, func(u dsv.Update) error {
		if u.Delta != nil && u.Delta.T0 >= from {
			retried += u.Delta.Value.Int
		}
		return nil
	})
	return 1 + float64(retried)/float64(n), float64(ok) / float64(n), err
}

// repeats is E20: one seed twice, at once on all processors and alone on one, gives the same bytes; another seed others.
func (t *truth) repeats(ctx context.Context) ([]claim, error) {
	var out []claim
	for _, name := range []string{"mm1", "flash-crowd"} {
		sums := make([][]byte, 4)
		simulate := func(ctx context.Context, i int) error {
			seed := t.seeds[0]
			if i == 3 {
				seed++
			}
			plan, err := t.app.load(name, overrides{duration: 30 * time.Second, seed: seed})
			if err != nil {
				return err
			}
			r, err := campaign.Simulate(ctx, plan, campaign.Options{Version: version()})
			if err == nil {
				sums[i], err = r.Summary.Bytes()
			}
			return err
		}
		if err := campaign.Each(ctx, 2, 2, simulate); err != nil {
			return out, err
		}
		procs := runtime.GOMAXPROCS(1)
		err := campaign.Each(ctx, 2, 1, func(ctx context.Context, i int) error { return simulate(ctx, i+2) })
		runtime.GOMAXPROCS(procs)
		if err != nil {
			return out, err
		}
		same := bytes.Equal(sums[0], sums[1]) && bytes.Equal(sums[0], sums[2])
		found := fmt.Sprintf("%d bytes, identical", len(sums[0]))
		if !same {
			found = "they differ"
		}
		if bytes.Equal(sums[0], sums[3]) {
			same, found = false, "another seed has the same"
		}
		out = append(out, claim{repeatCard, name + ", one seed three times, on one processor and on all", "equal bytes", found, "exact", claimed(same)})
	}
	return out, nil
}

// factual judges the facts that were asked for.
func (t *truth) factual(ctx context.Context) error {
	for _, f := range t.facts {
		fmt.Fprintf(t.app.err, "T0: %s …\n", f.card)
		claims, err := f.judge(t, ctx)
		t.claims = append(t.claims, claims...)
		if err != nil {
			return fmt.Errorf("%s: %w", f.card, err)
		}
	}
	return nil
}
