package solve_test

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/eve-emulation/eve/fase/campaign"
	"github.com/eve-emulation/eve/fase/exact"
	"github.com/eve-emulation/eve/fase/machine"
	"github.com/eve-emulation/eve/fase/solve"
)

// TestPoolsExactly holds pools against what is known of them: over one processor they are its queue, whatever the number of workers; over a delay
// they are M/M/c; and with an end, over one processor, M/M/1 with room for all that the pool has room for.
func TestPoolsExactly(t *testing.T) {
	const d = 0.010
	mmc, err := exact.MMc(4, 0.7)
	if err != nil {
		t.Fatal(err)
	}
	room := func(rho float64, most int) float64 { // M/M/1/most, of those who are let in, in demands
		p, sum, n := 1.0, 1.0, 0.0
		for i := 1; i <= most; i++ {
			p *= rho
			sum, n = sum+p, n+float64(i)*p
		}
		return n / sum / (rho * (1 - p/sum))
	}
	for _, c := range []struct {
		name, cpu, server, service, clients string
		want                                float64 // mean response of the service, s
	}{
		{"1 worker", "cpu exp(10ms)", "discipline: ps", ", pool: {threads: 1}", "rate: 80/s", d / 0.2},
		{"4 workers", "cpu exp(10ms)", "discipline: ps", ", pool: {threads: 4}", "rate: 80/s", d / 0.2},
		{"50 workers", "cpu exp(10ms)", "discipline: ps", ", pool: {threads: 50}", "rate: 80/s", d / 0.2},
		{"in order", "cpu exp(10ms)", "discipline: fcfs", ", pool: {threads: 4}", "rate: 80/s", d / 0.2},
		{"of an engine", "cpu exp(10ms)", "run: hold, discipline: ps, engine: {kind: pool, threads: 4, queue: 100000}", "", "rate: 80/s", d / 0.2},
		{"admission", "cpu exp(10ms)", "admit: {limit: 3}", "", "rate: 80/s", d / 0.2},
		{"one in another", "cpu exp(10ms)", "discipline: ps, admit: {limit: 6}", ", pool: {threads: 4}", "rate: 80/s", d / 0.2},
		{"a farm", "cpu exp(10ms)", "count: 3, discipline: ps", ", pool: {threads: 4}", "rate: 240/s", d / 0.2},
		{"over a delay", "wait exp(10ms)", "cpus: 1", ", pool: {threads: 4}", "rate: 280/s", d * mmc},
		{"with an end", "cpu exp(10ms)", "discipline: ps", ", pool: {threads: 4, queue: 6}", "rate: 90/s", d * room(0.9, 10)},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := answer(t, plan(t, single(c.cpu, c.server, c.service, c.clients)))
			if got := a.Services[0].Residence; math.Abs(got/c.want-1) > 1e-6 {
				t.Errorf("response %.9g s, want %.9g", got, c.want)
			}
		})
	}
}

// TestPoolsAgreeWithSimulation holds pools above processors that are busy against simulations of the same scenario.
func TestPoolsAgreeWithSimulation(t *testing.T) {
	if testing.Short() {
		t.Skip("simulates for seconds")
	}
	server := func(name string, cpus, threads int) string {
		return fmt.Sprintf("  %s: {cpus: %d, run: hold, discipline: ps, engine: {kind: pool, threads: %d, queue: 100000}}\n", name, cpus, threads)
	}
	for _, c := range []struct {
		name, text string
		tolerance  float64
	}{
		{"one pool", single("cpu exp(10ms)", "run: hold, discipline: ps, engine: {kind: pool, threads: 4, queue: 100000}", "", "rate: 80/s"), 0.12},
		{"three tiers", "requests: |\n  request r { call web { cpu exp(10ms) call app { cpu exp(15ms) call db { cpu exp(4ms) } call db { cpu exp(4ms) } } } }\nservers:\n" +
			server("w", 2, 8) + server("a", 2, 6) + server("d", 1, 2) +
			"services:\n  web: {on: w}\n  app: {on: a}\n  db: {on: d}\nclients:\n  g: {request: r, rate: 90/s, patience: none}\n", 0.1},
		{"a farm", "requests: |\n  request r { call web { cpu 8ms call db { cpu exp(3ms) disk read 400KB reply 20KiB } cpu exp(4ms) reply 30KiB } }\nservers:\n" +
			"  w: {count: 3, run: hold, discipline: ps}\n  d: {cpus: 2, disk: {rate: 200MB/s}}\n" +
			"services:\n  web: {on: w, pool: {threads: 3, queue: 1000}}\n  db: {on: d, pool: {threads: 4, queue: 1000}}\nclients:\n  g: {request: r, rate: 190/s, patience: none}\n", 0.1},
		{"loops that wait for the disk", single("cpu exp(4ms)  disk read exp(1MB)", "run: burn, disk: {rate: 200MB/s}", "", "rate: 85/s"), 0.12},
		{"turned away", single("cpu exp(8ms)", "discipline: ps, admit: {limit: 5, queue: 12}", "", "rate: 115/s"), 0.1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := plan(t, "warmup: 20s\nseed: 1\n"+c.text, "duration=400s", "records=1/s")
			a := answer(t, p)
			r, err := campaign.Simulate(context.Background(), p, campaign.Options{NoSummary: true})
			if err != nil {
				t.Fatal(err)
			}
			near(t, "mean", a.Groups[0].Response, measured(t, p, r, "mean(g.latency)"), c.tolerance)
			for _, x := range a.Resources {
				if x.Kind == solve.Hardware && p.Servers[0].Machine.Run != machine.Burn { // of loops it is that of the whole line
					near(t, x.Name, x.Utilisation, measured(t, p, r, "mean("+x.Name+".utilisation)"), 0.05)
				}
			}
		})
	}
}
