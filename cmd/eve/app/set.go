package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eve-emulation/eve/dmm/expr"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/adapt"
	"github.com/eve-emulation/eve/fase/scenario"
)

func (a *App) setCommand() *cobra.Command {
	var r reach
	c := &cobra.Command{
		Use:   "set NAME VALUE",
		Short: "Set a variable of a live run, as a rule does",
		Long: "Set a variable of a live run, as a rule does: the rate, users, think time, patience or mix of a group of clients,\n" +
			"the workers of a service, the admission of a server, or whatever a module of one's own reads. Numbers take units: 200/s, 50ms, 64MiB, 85%. The run's decisions tell it. A negative VALUE goes behind --.",
		Example: "  eve set crowd.rate 200/s\n  eve set probe.pause 5ms --run runs/mine\n  eve set probe.offset -- -3",
		Args:    args(cobra.ExactArgs(2)),
		RunE: func(c *cobra.Command, args []string) error {
			name, err := dsv.ParseName(args[0])
			if err != nil {
				return wrong(fmt.Errorf("set: %w", err))
			}
			return a.visit(c.Context(), &r, func(ctx context.Context, g *guest) error { return a.set(ctx, g, name, args[1]) })
		},
	}
	r.flags(c)
	return c
}

// set writes a variable.
func (a *App) set(ctx context.Context, g *guest, name dsv.Name, text string) error {
	i, err := g.Info(ctx, name)
	if err != nil {
		return missing("set", err)
	}
	plan, err := scenario.Fetch(ctx, g)
	if err != nil && !errors.Is(err, dsv.ErrNotFound) && !errors.Is(err, dsv.ErrUnset) {
		return err
	}
	if err := settable(plan, i); err != nil {
		return wrong(fmt.Errorf("set %s: %w", name, err))
	}
	v, err := valueOf(text, i.Declaration)
	if err != nil {
		return wrong(fmt.Errorf("set %s %s: %w", name, text, err))
	}
	if plan != nil {
		if s, ok := plan.Setting(name); ok {
			if err := s.Check(v.Float); err != nil {
				return wrong(fmt.Errorf("set %s %s: %w", name, text, err))
			}
		}
	}
	if _, err := g.Write(ctx, name, v); err != nil {
		return err
	}
	now := g.now()
	if plan != nil && now > 0 {
		if err := g.decided(ctx, now, fmt.Sprintf("set %s %s", name, text)); err != nil {
			return err
		}
	}
	fmt.Fprintf(a.out, "%s: %s is %s since %s\n", g.said, name, shown(v, i.Declaration.Unit), strings.TrimSpace(instant(now)))
	return nil
}

// byHand is who decided what `eve set` does, in a run's decisions.
const byHand = "by hand"

// decided keeps what was set among the run's decisions, so that its report tells it.
func (g *guest) decided(ctx context.Context, at dsv.Instant, action string) error {
	b, err := json.Marshal(adapt.Decision{At: at, Rule: byHand, Action: action, Phase: "decided"})
	if err != nil {
		return err
	}
	_, err = g.Write(ctx, adapt.DecisionsName, dsv.BytesValue(b))
	if errors.Is(err, dsv.ErrNotFound) {
		return nil
	}
	return err
}

// settable refuses what Eve itself writes: that would be overwritten, or would spoil what is measured. Where there is no
// scenario, plan is nil.
func settable(plan *scenario.Plan, i dsv.Info) error {
	d := i.Declaration
	others := ""
	if plan != nil {
		if plan.Follows(d.Name) {
			return errors.New("it follows an expression of the scenario, which would set it again")
		}
		if _, ok := plan.Setting(d.Name); ok {
			return nil
		}
		others = "; what may be set is a variable of a module"
		if names := plan.Settings(); len(names) > 0 {
			others += ", or " + strings.Join(names, ", ")
		}
		owner, _, _ := strings.Cut(string(d.Name), ".")
		if slices.Contains([]string{"run", "map", "config", "eve"}, owner) {
			return fmt.Errorf("the run keeps it%s", others)
		}
		for _, m := range plan.Measures {
			if m.Name == d.Name {
				return fmt.Errorf("it is measured, by %s in %s%s", m.Manipulator, strings.Join(m.Owners, ", "), others)
			}
		}
	}
	if d.Merge != dsv.Last || i.Writers > 0 {
		return fmt.Errorf("it is measured: a manipulator writes it%s", others)
	}
	return nil
}

// valueOf reads a value of a variable's kind, in its unit.
func valueOf(text string, d dsv.Declaration) (dsv.Value, error) {
	switch d.Kind {
	case dsv.Text:
		return dsv.TextValue(text), nil
	case dsv.Float, dsv.Int:
	default:
		return dsv.Value{}, fmt.Errorf("it holds %v, which cannot be written by hand", d.Kind)
	}
	digits, negative := strings.CutPrefix(text, "-")
	x, unit, err := expr.ParseQuantity(digits)
	if err != nil {
		return dsv.Value{}, fmt.Errorf("%w; a value is written like 80/s, 200ms or 64MiB", err)
	}
	if negative {
		x = -x
	}
	if unit != "1" && unit != d.Unit {
		return dsv.Value{}, fmt.Errorf("it is in %s, not in %s", unitName(d.Unit), unit)
	}
	if d.Kind == dsv.Float {
		return dsv.FloatValue(x), nil
	}
	if x != math.Trunc(x) || math.Abs(x) >= 1<<53 {
		return dsv.Value{}, errors.New("it holds whole numbers, below 2^53")
	}
	return dsv.IntValue(int64(x)), nil
}

// unitName names a unit in a sentence.
func unitName(unit string) string {
	if unit == "" || unit == "1" {
		return "plain numbers"
	}
	return unit
}
