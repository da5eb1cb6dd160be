package app

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/eve-emulation/eve/fase/campaign"
	"github.com/eve-emulation/eve/fase/fit"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/modules/target"
)

// maxFitOff is by how much, as a share, the prediction of a mix that was not fitted may be off.
const maxFitOff = 0.1

// fitMix is one run of `eve bench fit`.
type fitMix struct {
	name, mix string
	predicted bool // not fitted
}

// fitMixes are in the order in which they run: the one that is predicted between those that are fitted, so that a host that
// changes slowly is told from a demand.
func fitMixes() []fitMix {
	return []fitMix{
		{name: "small", mix: "{small: 8, medium: 1, large: 1}"},
		{name: "medium", mix: "{small: 1, medium: 8, large: 1}"},
		{name: "even", mix: "{small: 4, medium: 4, large: 2}", predicted: true},
		{name: "large", mix: "{small: 1, medium: 1, large: 4}"},
	}
}

// A fitBench is one `eve bench fit`.
type fitBench struct {
	app      *App
	set      []string
	duration time.Duration
	out      string
	json     bool
	limited  []string // runs in which the clients were late
}

func (a *App) benchFitCommand() *cobra.Command {
	b := &fitBench{app: a}
	c := &cobra.Command{
		Use:   "fit",
		Short: "Fit the demands of a real server at three mixes, and predict a fourth",
		Long: "Run static-mix, in which nginx serves files of three sizes, at three mixes of them; fit what a file of each size demands;\n" +
			"and predict what a fourth mix, which ran between the others, used of the processor. The scenario with an emulated server\n" +
			"in nginx's place is simulated at the fourth mix as well. It takes four times --duration and a few seconds.\n\n" +
			"Exit code: 0 the prediction is at most 10 % off; 3 it is not, or requests failed.",
		Example: "  eve bench fit\n  eve bench fit --set target=lighttpd --out fit",
		Args:    args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if b.duration < 5*time.Second {
				return wrong(fmt.Errorf("bench fit: --duration %v: want at least 5s", b.duration))
			}
			if b.out == "" {
				if b.out, err = os.MkdirTemp("", "eve-fit-"); err != nil {
					return err
				}
				defer func() { err = errors.Join(err, os.RemoveAll(b.out)) }()
			}
			return b.run(c.Context())
		},
	}
	f := c.Flags()
	f.StringArrayVar(&b.set, "set", nil, "override a value of static-mix: `PATH=VALUE`; may be repeated")
	f.DurationVar(&b.duration, "duration", 25*time.Second, "length of each run, 2 s of warm-up included")
	f.StringVar(&b.out, "out", "", "where to leave the run folders; default a temporary folder, removed at the end")
	f.BoolVar(&b.json, "json", false, "print the fit and the predictions as JSON")
	return c
}

func (b *fitBench) run(ctx context.Context) error {
	var fitted, others []*fit.Recording
	for _, m := range fitMixes() {
		r, err := b.measure(ctx, m)
		if err != nil {
			return err
		}
		if m.predicted {
			others = append(others, r)
		} else {
			fitted = append(fitted, r)
		}
	}
	f, err := fit.Estimate(fitted, fit.Options{})
	if err != nil {
		return err
	}
	out := fitReport{Fit: f}
	off := 0.0
	for _, r := range others {
		ps, err := f.Check(r)
		if err != nil {
			return err
		}
		out.Predicted = append(out.Predicted, predicted{r.Name, ps})
		for _, p := range ps {
			off = max(off, math.Abs(float64(p.Off)))
		}
	}
	simulated, err := b.simulate(ctx, f)
	if err != nil {
		return err
	}
	return b.tell(out, simulated, off)
}

// measure runs one mix.
func (b *fitBench) measure(ctx context.Context, m fitMix) (*fit.Recording, error) {
	plan, err := b.app.load("static-mix", overrides{set: append([]string{"mix=" + m.mix}, b.set...), duration: b.duration, seed: -1})
	if err != nil {
		return nil, err
	}
	for _, t := range plan.Targets {
		if _, err := target.Installed(t); err != nil {
			fmt.Fprintf(b.app.err, "%v: Eve's own server takes its place\n", err)
		}
	}
	fmt.Fprintf(b.app.err, "%s %s, %v\n", m.name, m.mix, b.duration)
	o, err := b.app.perform(ctx, plan, filepath.Join(b.out, m.name), runs.Real, nil, newView(plan, discard{}))
	if err != nil {
		return nil, err
	}
	switch o.summary.Exit {
	case runs.ExitFailed, runs.ExitInterrupted, runs.ExitExpectFailed:
		return nil, errors.Join(fmt.Errorf("bench fit: the run %s did not end well", o.dir), o.failure())
	case runs.ExitGeneratorLimited:
		b.limited = append(b.limited, m.name)
	}
	var r *fit.Recording
	err = b.app.reading(o.dir, func(f *runs.Folder) error {
		r, err = b.app.recording(f, 0)
		return err
	})
	return r, err
}

// simulate runs the scenario of the emulated server at the mix that was not fitted, in virtual time, and returns how busy its
// processor is.
func (b *fitBench) simulate(ctx context.Context, f *fit.Fit) (float64, error) {
	o := scenario.Options{Kinds: b.app.kinds(), Manipulators: b.app.registry.Manipulators()}
	text, _, err := f.Scenario(fit.Writing{Load: o})
	if err != nil {
		return 0, err
	}
	if err := os.WriteFile(filepath.Join(b.out, "fitted.yaml"), text, 0o644); err != nil {
		return 0, err
	}
	for _, m := range fitMixes() {
		if m.predicted {
			o.Set = append(o.Set, "mix="+m.mix)
		}
	}
	plan, err := scenario.Load("fitted.yaml", text, o)
	if err != nil {
		return 0, err
	}
	r, err := campaign.Simulate(ctx, plan, campaign.Options{Version: version()})
	if err != nil {
		return 0, err
	}
	return float64(r.Summary.Servers[plan.Servers[0].Name][runs.Resource(cpu)].Utilisation), nil
}

func (b *fitBench) tell(out fitReport, simulated, off float64) error {
	a := b.app
	if b.json {
		if err := writeFitJSON(a.out, out); err != nil {
			return err
		}
	} else {
		if err := fitText(a.out, out); err != nil {
			return err
		}
		fmt.Fprintf(a.out, "\n  simulated with an emulated server: cpu %.3g\n", simulated)
		fmt.Fprintf(a.out, "\n  prediction at most %.2g %% off, want at most %g %%\n", 100*off, 100*maxFitOff)
	}
	if len(b.limited) > 0 { // what was sent late was sent all the same, and is counted then
		fmt.Fprintf(a.err, "bench fit: clients were late in %s: that makes their response times doubtful, not the demands\n", strings.Join(b.limited, ", "))
	}
	if !(off <= maxFitOff) {
		return &exitError{code: runs.ExitExpectFailed}
	}
	return nil
}
