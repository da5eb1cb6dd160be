package sim_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/stat"
)

// restless writes a scenario in which rules act on two services all the time, at random instants, under load: they move,
// replicate, retire, scale, degrade, limit, pause and resume. Requests begin in the first 20 s of 40.
func restless(rng *rand.Rand, limits bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, `eve: 1
name: restless
duration: 40s
seed: %d
requests: |
  request page {
    par {
      call app { level full { cpu exp(4ms) } level lite { cpu 1ms }  reply 8KiB }
      call static { cpu 500us  call app { cpu 1ms }  reply 4KiB  cpu 200us }
    }
    call app { cpu 1ms }
  }
servers:
  a: {cpus: 2, link: {rate: 200Mbit, delay: 1ms}}
  b: {cpus: 1, link: {rate: 100Mbit}}
  c: {cpus: 2, link: {delay: 3ms}, boot: 700ms, state: standby}
  d: {cpus: 1, cancel: on-close, admit: {delay: 2ms, limit: 100}}
services:
  app: {on: [a, b, d, c], replicas: {start: 2, least: 1, most: 4}, size: %dKiB, balance: %s}
  static: {on: [b, a], size: %dKiB, empty: %s}
clients:
  crowd: {request: page, rate: %d/s, stop: 20s%s}
adapt:
`, rng.Uint64N(1<<40), rng.IntN(4000), pick(rng, "random", "least", "round-robin", "hash"), rng.IntN(3000), pick(rng, "queue", "fail"),
		20+rng.IntN(60), pick(rng, "", ", patience: 3s"))
	for i := range 3 + rng.IntN(6) {
		var do []string
		for range 1 + rng.IntN(3) {
			do = append(do, action(rng, limits))
		}
		fmt.Fprintf(&b, "  - {name: r%d, when: crowd.in_flight >= 0, for: %dms, cooldown: %dms, do: [%s]}\n",
			i, rng.IntN(8000), 500+rng.IntN(4000), strings.Join(do, ", "))
	}
	// In the end whatever was paused is resumed, and no limit is left.
	b.WriteString("  - {name: rest, when: rate(crowd.target) < 1/s, for: 4s, cooldown: 1s, do: [resume app, resume static, limit app none, limit static none]}\n")
	return b.String()
}

func pick[T any](rng *rand.Rand, of ...T) T { return of[rng.IntN(len(of))] }

// action is one at random.
func action(rng *rand.Rand, limits bool) string {
	s, x := pick(rng, "app", "static"), pick(rng, "a", "b", "c", "d")
	switch rng.IntN(12) {
	case 0, 1:
		return fmt.Sprintf("move %s to %s", s, x)
	case 2:
		return fmt.Sprintf("move %s to %s stopped", s, x)
	case 3:
		return fmt.Sprintf("replicate %s to %s", s, x)
	case 4:
		return fmt.Sprintf("retire %s from %s", s, x)
	case 5, 6:
		return fmt.Sprintf("scale app to %d", 1+rng.IntN(4))
	case 7:
		return fmt.Sprintf("scale static to %d", 1+rng.IntN(2))
	case 8:
		return fmt.Sprintf("degrade %s to %s", s, pick(rng, "full", "lite"))
	case 9:
		return "pause " + s
	case 10:
		return "resume " + s
	}
	if !limits {
		return "resume " + s
	}
	return fmt.Sprintf("limit %s %d/s", s, 5+rng.IntN(60))
}

// TestActionsAreAtomic holds that whatever is moved, scaled, stopped and paused under load, every request is answered once or fails
// for a reason that has a name, and no call is lost or executed twice.
func TestActionsAreAtomic(t *testing.T) {
	n := 40
	if testing.Short() {
		n = 8
	}
	acted, failed := 0, 0
	for seed := range n {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(uint64(seed), 3))
			limits := seed%2 == 1
			text := restless(rng, limits)
			s := simulate(t, load(t, "restless.yaml", []byte(text), scenario.Options{}))
			sum := s.summary()
			c := sum.Clients["crowd"]
			if c.Accounting.InFlight != 0 || !c.Accounting.Balanced || c.ArrivalsOffPlan != 0 {
				t.Errorf("accounting: %+v, %d off the plan", c.Accounting, c.ArrivalsOffPlan)
			}
			for _, r := range s.requests(t, "crowd") {
				switch r.Cause {
				case service.OK, service.Abandoned:
				case service.Limited, service.Status: // a 500: what static called was limited
					if !limits {
						t.Errorf("request %x: %v, where nothing has a limit", r.Key, r.Cause)
					}
					failed++
				case service.Unavailable:
					if !strings.Contains(text, "empty: fail") {
						t.Errorf("request %x: %v, where callers wait", r.Key, r.Cause)
					}
					failed++
				default:
					t.Errorf("request %x: %v", r.Key, r.Cause)
				}
			}
			b := sum.Books
			if b.Verdict != stat.Pass {
				t.Errorf("books: %+v", b)
			}
			for _, x := range b.Once {
				if x.Verdict != stat.Pass || x.Calls == 0 || x.Lost != 0 {
					t.Errorf("by keys: %+v", x)
				}
			}
			for _, d := range sum.Decisions {
				if d.Phase == "switched" {
					acted++
				}
				if d.Phase == "failed" && !strings.Contains(d.Cause, "last replica") && !strings.Contains(d.Cause, "no server serves") {
					t.Errorf("failed: %+v", d)
				}
			}
			if t.Failed() {
				t.Log(text)
			}
		})
		if t.Failed() {
			return
		}
	}
	if acted < 10*n || n > 10 && failed == 0 {
		t.Errorf("%d switches in %d runs, %d requests failed by name: too few to tell", acted, n, failed)
	}
}
