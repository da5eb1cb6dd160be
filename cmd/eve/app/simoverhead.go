package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/eve-emulation/eve/fase/campaign"
	"github.com/eve-emulation/eve/fase/report"
	"github.com/eve-emulation/eve/fase/runs"
)

// charge has a simulation of arg charge calls with an overhead: the same delay for all of them, or what was measured in a run
// folder. It comes to overrides, so that the scenario as run has them; those of the user go before them.
func (a *App) charge(ctx context.Context, arg, overhead string, o overrides, quiet bool) (overrides, error) {
	plan, err := a.load(arg, o)
	if err != nil {
		return o, err
	}
	services := plan.Topology.Services
	var set []string
	if d, derr := time.ParseDuration(overhead); derr == nil {
		if d < 0 {
			return o, wrong(fmt.Errorf("--overhead %s: want a time from 0, or a run folder", overhead))
		}
		for _, s := range services {
			set = append(set, fmt.Sprintf("services.%s.overhead.delay=%s", s, inSeconds(d)))
		}
	} else if set, err = a.calibrated(ctx, overhead, services, quiet); err != nil {
		return o, err
	}
	o.set = slices.Concat(set, o.set)
	return o, nil
}

// inSeconds writes a time as a scenario does: "90s", where time.Duration says "1m30s".
func inSeconds(d time.Duration) string {
	if d < time.Minute {
		return d.String()
	}
	return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + "s"
}

// calibrated measures the overhead of services in a run folder. A service that the run did not call has the least of the others.
func (a *App) calibrated(ctx context.Context, dir string, services []string, quiet bool) (set []string, err error) {
	if info, serr := os.Stat(dir); serr != nil || !info.IsDir() {
		return nil, wrong(fmt.Errorf("--overhead %s: want a time, as 200us, or the folder of a run for real", dir))
	}
	f, err := runs.Open(dir)
	if err != nil {
		return nil, wrong(fmt.Errorf("--overhead %w", err))
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	plan, perr := f.Plan(a.kinds(), a.registry.Manipulators()...)
	sum, serr := f.SummaryOrRescue(a.kinds(), a.registry.Manipulators()...)
	if err := errors.Join(perr, serr, f.Damage()); err != nil {
		return nil, wrong(fmt.Errorf("--overhead %s: %w", dir, err))
	}
	if sum.Kind != runs.Real {
		return nil, wrong(fmt.Errorf("--overhead %s: a simulation has no overhead to measure; want the folder of a run for real", dir))
	}
	found, err := campaign.Calibrate(ctx, plan, f.History(), sum.Interrupted)
	if err != nil {
		return nil, wrong(fmt.Errorf("--overhead %s: %w", dir, err))
	}
	if len(found) == 0 {
		return nil, wrong(fmt.Errorf("--overhead %s: no service was called often enough to tell", dir))
	}
	least := slices.MinFunc(found, func(x, y campaign.Overhead) int { return int(x.Delay - y.Delay) })
	for _, s := range services {
		x, told := least, "not called there: as "+least.Service
		if i := slices.IndexFunc(found, func(x campaign.Overhead) bool { return x.Service == s }); i >= 0 {
			x = found[i]
			told = fmt.Sprintf("median latency %s there, %s in virtual time, of %d calls", x.Measured, x.Simulated, x.Calls)
		}
		set = append(set, fmt.Sprintf("services.%s.overhead.delay=%s", s, inSeconds(x.Delay)), fmt.Sprintf("services.%s.overhead.cpu=%s", s, inSeconds(x.CPU)))
		if !quiet {
			fmt.Fprintf(a.err, "overhead of %s: delay %s, cpu %s (%s)\n", report.Clean(s), x.Delay, x.CPU, told)
		}
	}
	return set, nil
}
