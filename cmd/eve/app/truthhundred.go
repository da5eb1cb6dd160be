package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/stat"
)

// hundredCase is the case of many emulated servers.
const hundredCase = "hundred"

// The hundred servers, and the load under which their truth is asked for: 14 000/s in all. Where it does not hold, lower ones tell where it
// ends.
const (
	hundredOf        = 100
	hundredRate      = 140 // per second and server
	hundredProcesses = 2
	hundredLength    = 20 * time.Second
	hundredWarmup    = 5 * time.Second
)

// hundredRates are those per server, until one holds.
func hundredRates() []float64 { return []float64{hundredRate, 110, 80, 50, 30} }

// breaks is said of a load beyond what this host carries, where a lower one holds: a measurement, and no mistake.
const breaks = stat.Verdict("breaks")

// hundred is so many servers, each an M/M/1 with demands of 5 ms in the mean: arrivals that are sent to servers at random are Poisson at each.
func hundredAt(rate float64) system {
	s := system{
		card: "hundred", name: fmt.Sprintf("%d servers at %.0f/s each", hundredOf, rate), tag: "n_", wall: true,
		requests: "request @job { call @s { cpu exp(5ms) } }",
		clients:  []string{fmt.Sprintf("@g: {request: @job, arrive: poisson, rate: %g/s, patience: none}", hundredOf*rate)},
		theory:   demand.Seconds() / (1 - rate*demand.Seconds()), path: (*course).perServer,
	}
	on := ""
	for i := range hundredProcesses {
		s.servers = append(s.servers, fmt.Sprintf("@x%d: {count: %d, cpus: 1, run: hold, process: part_%d}", i+1, hundredOf/hundredProcesses, i+1))
		if on != "" {
			on += ", "
		}
		on += fmt.Sprintf("@x%d", i+1)
	}
	s.services = []string{"@s: {on: [" + on + "], balance: random}"}
	return s
}

// hundredServers runs the servers at falling rates until the bars hold: then those before are where they break.
func (t *truth) hundredServers(ctx context.Context) error {
	from := len(t.verdicts)
	for _, rate := range hundredRates() {
		s := hundredAt(rate)
		v, balanced, err := t.hundredOnce(ctx, &s)
		if err != nil {
			return fmt.Errorf("%s: %w", hundredCase, err)
		}
		if !balanced {
			v.check(false, "the books do not balance")
		} else if v.verdict != stat.Pass {
			v.verdict = notCertified
		}
		t.verdicts = append(t.verdicts, v)
		if v.verdict == stat.Pass {
			for i := range t.verdicts[from : len(t.verdicts)-1] {
				if w := &t.verdicts[from+i]; w.verdict == notCertified {
					w.verdict = breaks
				}
			}
			t.verdicts[len(t.verdicts)-1].notes = append(v.notes, fmt.Sprintf("the bars hold up to %.0f/s in all", hundredOf*rate))
		}
		if v.verdict == stat.Pass || t.quick {
			break
		}
	}
	return ctx.Err()
}

// hundredOnce runs the servers once; balanced is whether its books are in order, which must be whatever the load.
func (t *truth) hundredOnce(ctx context.Context, s *system) (v verdict, balanced bool, err error) {
	length := hundredLength
	if t.quick {
		length = 8 * time.Second
	}
	name := fmt.Sprintf("hundred-%.0f", hundredOf*s.groupRate())
	fmt.Fprintf(t.app.err, "%s: %v …\n", s.name, length)
	file := filepath.Join(t.out, name+".yaml")
	text, err := seldom(scenarioOf("hundred", []system{*s}, length, hundredWarmup, t.seeds[0]), t.compile)
	if err := errors.Join(err, os.MkdirAll(t.out, 0o755), os.WriteFile(file, []byte(text), 0o644)); err != nil {
		return v, false, err
	}
	plan, err := t.app.load(file, overrides{seed: -1})
	if err != nil {
		return v, false, err
	}
	o, err := t.app.perform(ctx, plan, filepath.Join(t.out, name), runs.Real, nil, newView(plan, discard{}))
	if err != nil {
		return v, false, err
	}
	switch o.summary.Exit {
	case runs.ExitInterrupted, runs.ExitFailed:
		return v, false, o.failure()
	}
	if v, err = t.judgeSystem(s, plan, o, runs.Real); err != nil {
		return v, false, err
	}
	c := o.summary.Clients[s.tag+"g"]
	v.notes = append(v.notes, fmt.Sprintf("%.0f/s in all; send lag p99 %s", float64(c.AchievedRate), milli(float64(c.SendLag.P99))))
	return v, o.summary.Books.Verdict != stat.Fail, nil
}

// groupRate is the rate at each server, by its theory.
func (s *system) groupRate() float64 { return 1/demand.Seconds() - 1/s.theory }
