// Package probe is an example of a module: it measures how long a variable's round trip to the kernel takes.
package probe

import (
	"context"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/modules"
)

// Config is what a scenario can say about a probe.
type Config struct {
	Pause float64 `json:"pause"` // seconds between two probes, until somebody sets the variable NAME.pause
}

// Spec is the module's kind.
var Spec = modules.Spec{
	Name: "probe", Help: "Measures the round trip of a variable.",
	Config: func() any { return &Config{Pause: 0.001} },
	New:    func() modules.Module { return modules.Func(run) },
}

func run(ctx context.Context, env *modules.Env) error {
	cfg, pause, trip := Config{Pause: 0.001}, dsv.Name(env.Name+".pause"), dsv.Name(env.Name+".round_trip")
	if err := env.Config(&cfg); err != nil {
		return err
	}
	if err := env.Space().Create(ctx, dsv.Declaration{Name: pause, Kind: dsv.Float, Unit: "s", History: true}); err != nil {
		return err
	}
	if _, err := env.Space().Write(ctx, pause, dsv.FloatValue(cfg.Pause)); err != nil {
		return err
	}
	if err := env.Measure(dmm.Spec{Name: trip, Manipulator: "histogram", Sync: dmm.Trigger{Every: 200 * time.Millisecond}}); err != nil {
		return err
	}
	if err := env.Ready(ctx); err != nil { // all modules begin together, at T0
		return err
	}
	for ctx.Err() == nil {
		begin := env.Now()
		now, err := env.ReadFresh(ctx, pause)
		if err != nil {
			return err
		}
		env.Var(trip).Write(begin, env.Now().Sub(begin).Seconds())
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(now.Value.Float * 1e9)):
		}
	}
	return nil
}
