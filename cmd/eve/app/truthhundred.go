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
func hundredRates() []float64 { return []float64{hundredRate, 100, 60, 30} }

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

// hundredServers runs the servers at falling rates until the bars hold.
func (t *truth) hundredServers(ctx context.Context) error {
	for _, rate := range hundredRates() {
		s := hundredAt(rate)
		v, err := t.hundredOnce(ctx, &s)
		if err != nil {
			return fmt.Errorf("%s: %w", hundredCase, err)
		}
		t.verdicts = append(t.verdicts, v)
		if v.verdict == stat.Pass || t.quick {
			return ctx.Err()
		}
	}
	return nil
}

func (t *truth) hundredOnce(ctx context.Context, s *system) (verdict, error) {
	length := hundredLength
	if t.quick {
		length = 8 * time.Second
	}
	name := fmt.Sprintf("hundred-%.0f", hundredOf*s.groupRate())
	fmt.Fprintf(t.app.err, "%s: %v …\n", s.name, length)
	file := filepath.Join(t.out, name+".yaml")
	err := errors.Join(os.MkdirAll(t.out, 0o755), os.WriteFile(file, []byte(scenarioOf("hundred", []system{*s}, length, hundredWarmup, t.seeds[0])), 0o644))
	if err != nil {
		return verdict{}, err
	}
	plan, err := t.app.load(file, overrides{seed: -1})
	if err != nil {
		return verdict{}, err
	}
	o, err := t.app.perform(ctx, plan, filepath.Join(t.out, name), runs.Real, nil, newView(plan, discard{}))
	if err != nil {
		return verdict{}, err
	}
	switch o.summary.Exit {
	case runs.ExitInterrupted, runs.ExitFailed:
		return verdict{}, o.failure()
	}
	v, err := t.judgeSystem(s, plan, o, runs.Real)
	if err != nil {
		return v, err
	}
	c := o.summary.Clients[s.tag+"g"]
	v.notes = append(v.notes, fmt.Sprintf("%.0f/s in all; send lag p99 %s", float64(c.AchievedRate), milli(float64(c.SendLag.P99))))
	v.check(o.summary.Books.Verdict != stat.Fail, "the books do not balance")
	return v, nil
}

// groupRate is the rate at each server, by its theory.
func (s *system) groupRate() float64 { return 1/demand.Seconds() - 1/s.theory }
