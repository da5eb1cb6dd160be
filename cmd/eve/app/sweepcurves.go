package app

import (
	"context"
	"math"
	"slices"

	"github.com/eve-emulation/eve/fase/campaign"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/sweep"
)

// Bounds of the curves of theory: how many points all have together, and one has at most and at least.
const (
	curvePoints = 240
	longCurve   = 41
	shortCurve  = 9
)

// curves ask theory what it says between the points, where there is something between them; for pictures.
func (x *campaigning) curves(ctx context.Context) []sweep.Curve {
	along := sweep.Along(x.def.Axes)
	if x.theory == nil || along < 0 {
		return nil
	}
	lines := x.grid.Points() / len(x.def.Axes[along].Values)
	n := min(longCurve, curvePoints/lines)
	texts, at := x.def.Axes[along].Between(n)
	if n < shortCurve || texts == nil || !slices.ContainsFunc(x.theory, func(p sweep.Prediction) bool { return len(p.Values) > 0 }) {
		return nil
	}
	var curves []sweep.Curve
	for p := range x.grid.Points() {
		if k := x.grid.At(p); k[along] == 0 {
			curves = append(curves, sweep.Curve{At: k, Xs: at, Values: map[string][]runs.Number{}})
		}
	}
	said := make([]sweep.Prediction, len(curves)*n)
	err := campaign.Each(ctx, len(said), 0, func(_ context.Context, i int) error {
		o := x.base
		o.set = slices.Concat(o.set, x.grid.Set(x.grid.Index(curves[i/n].At)), []string{x.def.Axes[along].Paths[0] + "=" + texts[i%n]})
		if plan, err := x.app.load(x.def.Scenario, o.seeded(x.def.Seeds[0])); err == nil {
			said[i], _ = theoryAt(plan, x.def.Metrics)
		}
		return nil
	})
	if err != nil {
		return nil // interrupted: there is no more to draw
	}
	for c := range curves {
		for _, m := range x.def.Metrics {
			ys := make([]runs.Number, n)
			for i := range ys {
				ys[i] = runs.Number(math.NaN())
				if y, ok := said[c*n+i].Values[m.Name]; ok {
					ys[i] = runs.Number(y)
				}
			}
			curves[c].Values[m.Name] = ys
		}
	}
	return curves
}
