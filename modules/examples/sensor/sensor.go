// Package sensor is an example of a module that uses events: it submits what it measures, and asks what to do about it.
package sensor

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel/egs"
	"github.com/eve-emulation/eve/modules"
)

// Spec is the module's kind.
var Spec = modules.Spec{
	Name: "sensor", Help: "Submits a level a hundred times a second, and asks for advice ten times.",
	New: func() modules.Module { return modules.Func(run) },
}

func run(ctx context.Context, env *modules.Env) error {
	svc := env.Services()
	for _, c := range []egs.Channel{
		{Name: "heat", Help: "How hot it is.", Attrs: []egs.Attr{{Name: "level", Kind: dsv.Float, Unit: "1"}}},
		{Name: "advice", Help: "What to do, asked and answered.", Attrs: []egs.Attr{{Name: "todo", Kind: dsv.Text}}},
	} {
		if err := svc.Open(ctx, c); err != nil {
			return err
		}
	}
	heat, err := svc.Attach(ctx, "heat")
	if err != nil {
		return err
	}
	advice, err := svc.Attach(ctx, "advice")
	if err != nil {
		return err
	}
	if err := env.Ready(ctx); err != nil {
		return err
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		level := dsv.FloatValue(0.5 + 0.5*math.Sin(float64(n)))
		if _, err := heat.Submit(ctx, egs.Event{At: env.Now(), Values: []dsv.Value{level}}); err != nil {
			return err
		}
		if n%10 == 0 {
			if err := ask(ctx, env, advice); err != nil {
				return err
			}
		}
	}
}

// ask asks for advice and logs the first that comes within a second.
func ask(ctx context.Context, env *modules.Env, advice egs.Source) error {
	within, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	q, err := advice.Ask(within, egs.Event{})
	if err != nil {
		return err
	}
	switch a, err := q.First(within); {
	case errors.Is(err, egs.ErrNobody), errors.Is(err, context.DeadlineExceeded):
	case err != nil && ctx.Err() == nil:
		return err
	case err == nil:
		c := advice.Channel()
		todo, _ := c.Value(&a, "todo")
		env.Logf("%s advises: %s", a.From, todo.Text)
	}
	return nil
}
