package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/campaign"
	"github.com/eve-emulation/eve/fase/replay"
	"github.com/eve-emulation/eve/fase/report"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/sim"
	"github.com/eve-emulation/eve/modules/adapter"
	"github.com/eve-emulation/eve/scenarios"
)

// nobodyAdapts is what --adapt takes for no adaptation at all.
const nobodyAdapts = "none"

// replaying are the flags of `eve replay`.
type replaying struct {
	adapt    string
	controls []string
	set      []string
	bound    float64
	live     bool
	overhead bool
	out      string
	json     string
	quiet    bool

	given func(flag string) bool // whether a flag was set
}

func (a *App) replayCommand() *cobra.Command {
	var s replaying
	c := &cobra.Command{
		Use:   "replay RUN",
		Short: "Ask what another controller would have done about what a run met",
		Long: "Ask what another controller would have done about what a run met: the arrivals and demands that the run folder RUN\n" +
			"recorded, for the servers and services that it had, simulated with the adaptation of another file.\n\n" +
			"First the recording is replayed with its own controllers, and held against what was measured. Where that misses by more\n" +
			"than --bound, the rest is not to be believed, and the exit code is 5. Without --adapt and --control that is all.",
		Example: "  eve replay runs/flash-crowd-20260101-120000 --adapt hpa.yaml\n  eve replay runs/mine-1 --adapt none\n" +
			"  eve replay runs/mine-1 --control '{name: pods, kind: hpa, scale: app, metric: it.cpu.utilisation, target: 60%}'",
		Args: args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			s.given = c.Flags().Changed
			return a.replay(c.Context(), args[0], s)
		},
	}
	f := c.Flags()
	f.StringVar(&s.adapt, "adapt", "", "take adapt: and control: (slo:, measure:, and where services may be) of this `FILE`, or scenario; none: nobody adapts")
	f.StringArrayVar(&s.controls, "control", nil, "have this `CONTROLLER` instead, in YAML as an item of `control:`; may be repeated")
	f.StringArrayVar(&s.set, "set", nil, "override a value of the replayed scenario: `PATH=VALUE`, as control.0.target=70%; may be repeated")
	f.Float64Var(&s.bound, "bound", replay.DefaultBound, "by which share the replay with the recording's own controllers may miss it")
	f.BoolVar(&s.live, "live", false, "clients whose rate, or else, follows an expression react to what they meet, instead of doing what they did")
	f.BoolVar(&s.overhead, "overhead", false, "charge each call what the recording shows that it took beside its demands, as eve sim --overhead RUN does")
	f.StringVar(&s.out, "out", "", "write the replays as run folders into this `DIR`, and pictures of both, and replay.json")
	f.StringVar(&s.json, "json", "", "print the answer as JSON, or write it to `FILE`: --json, --json=FILE")
	f.Lookup("json").NoOptDefVal = "-"
	f.BoolVar(&s.quiet, "quiet", false, "do not tell which replay is under way")
	return c
}

// fixed are the keys of a scenario that are what was recorded.
func fixed() []string {
	return []string{"eve", "clients", "requests", "sessions", "seed", "duration", "warmup", "records"}
}

// parts are the run folders that --out asks for; of the second none is made where nobody else adapts.
func (s *replaying) parts() []string {
	if s.out == "" {
		return nil
	}
	return []string{filepath.Join(s.out, "replayed"), filepath.Join(s.out, "other")}
}

// check refuses flags that do not go together, and folders that hold something.
func (s *replaying) check() error {
	if s.adapt != "" && len(s.controls) > 0 {
		return errors.New("--adapt and --control both say who adapts: want one of them")
	}
	if s.given("adapt") && strings.TrimSpace(s.adapt) == "" {
		return errors.New("--adapt is empty: want a file, a shipped scenario, or none")
	}
	for _, part := range s.parts() {
		if entries, err := os.ReadDir(part); err == nil && len(entries) > 0 {
			return fmt.Errorf("--out %s: %s is not empty", s.out, part)
		}
	}
	if !(s.bound > 0 && s.bound <= 1) {
		return fmt.Errorf("--bound %g: want a share above 0, at most 1", s.bound)
	}
	for _, set := range s.set {
		if key, _, _ := strings.Cut(set, "."); slices.Contains(fixed(), strings.TrimSpace(strings.SplitN(key, "=", 2)[0])) {
			return fmt.Errorf("--set %s: that is what was recorded; another load is another run: `eve sim` the scenario with it", set)
		}
	}
	return nil
}

// other says whose adaptation takes the place of the recording's: nil for nobody else's. name is for tables.
func (s *replaying) other() (name string, g *scenario.Graft, err error) {
	switch {
	case s.adapt == nobodyAdapts:
		return "nobody", &scenario.Graft{}, nil
	case s.adapt != "":
		if text, err := scenarios.Open(s.adapt); err == nil {
			return s.adapt, &scenario.Graft{File: s.adapt + ".yaml", Text: text}, nil
		}
		src, err := locate(s.adapt)
		if err != nil {
			return "", nil, err
		}
		return strings.TrimSuffix(filepath.Base(src.name), ".yaml"), &scenario.Graft{File: src.name, Text: src.text}, nil
	case len(s.controls) > 0:
		text := []byte("control:\n")
		for _, c := range s.controls {
			text = fmt.Appendf(text, "  - %s\n", strings.ReplaceAll(strings.TrimSpace(c), "\n", "\n    "))
		}
		return "--control", &scenario.Graft{File: "--control", Text: text}, nil
	case len(s.set) > 0:
		return "with --set", nil, nil
	}
	return "", nil, nil
}

// replay replays a recording with its own controllers, and with others.
func (a *App) replay(ctx context.Context, dir string, s replaying) (err error) {
	if err := s.check(); err != nil {
		return wrong(fmt.Errorf("replay: %w", err))
	}
	name, graft, err := s.other()
	if err != nil {
		return wrong(err)
	}
	folder, err := runs.Open(dir)
	if err != nil {
		return wrong(err)
	}
	defer func() { err = errors.Join(err, folder.Close()) }()
	x := &rerun{app: a, s: s, folder: folder}
	if err := x.read(ctx, graft); err != nil {
		return err
	}
	own, err := x.plan(scenario.Options{Graft: goals(graft)})
	if err != nil {
		return err
	}
	var others *scenario.Plan
	if name != "" { // mistakes are told before anything is simulated
		if others, err = x.plan(scenario.Options{Graft: graft, Set: s.set}); err != nil {
			return err
		}
		for _, w := range others.Warnings {
			fmt.Fprintln(a.err, "warning:", w.Error())
		}
	}
	return x.answer(ctx, own, others, name)
}

// goals is a graft of the goals alone.
func goals(g *scenario.Graft) *scenario.Graft {
	if g == nil || len(g.Text) == 0 {
		return nil
	}
	only := *g
	only.Goals = true
	return &only
}

// rerun is one `eve replay`.
type rerun struct {
	app       *App
	s         replaying
	folder    *runs.Folder
	recording *replay.Recording
	charges   []string // overrides that charge calls with overhead
}

// read reads the recording. Of a run that was cut off it computes what there is.
func (x *rerun) read(ctx context.Context, graft *scenario.Graft) error {
	a, f := x.app, x.folder
	if err := f.Damage(); errors.Is(err, fs.ErrNotExist) {
		return wrong(fmt.Errorf("replay %s: its measurements were not kept (there is no run.db, as of replications); `eve sim` its scenario.yaml keeps them", f.Dir()))
	} else if err != nil {
		return fmt.Errorf("replay %s: what was recorded cannot be read: %w", f.Dir(), err)
	}
	plan, err := f.Plan(a.kinds(), a.registry.Manipulators()...)
	if err != nil {
		return wrong(err)
	}
	sum, err := f.SummaryOrRescue(a.kinds(), a.registry.Manipulators()...)
	if err != nil {
		return err
	}
	x.recording = &replay.Recording{Plan: plan, Summary: sum, History: f.History()}
	if err := x.recording.Check(); err != nil {
		return wrong(err)
	}
	if err := sim.Check(plan); err != nil {
		return wrong(err)
	}
	if x.s.overhead {
		if x.charges, err = a.calibrated(ctx, f.Dir(), plan.Topology.Services, x.s.quiet); err != nil {
			return err
		}
	}
	goals, err := x.plan(scenario.Options{Graft: goals(graft)})
	if err != nil {
		return err
	}
	return x.recording.Rejudge(goals)
}

// plan loads the recording's scenario, as long as the recording is, with options.
func (x *rerun) plan(o scenario.Options) (*scenario.Plan, error) {
	a := x.app
	o.Kinds, o.Manipulators, o.Set = a.kinds(), a.registry.Manipulators(), slices.Concat(x.charges, o.Set)
	if d := x.recording.End(); d != x.recording.Plan.Duration {
		o.Duration = d
	}
	p, err := x.folder.Load(o)
	return p, wrong(err)
}

// hooks start the programs that control a plan.
func (x *rerun) hooks(plan *scenario.Plan) campaign.Hooks {
	return campaign.Hooks{Prepare: func(s *sim.Sim) (func() error, error) {
		programs, err := connected(s, plan, func(line string) { fmt.Fprintln(x.app.err, line) })
		return func() error { return errors.Join(adapter.Lost(programs), adapter.Close(programs)) }, err
	}}
}

// serve replays the recording under a plan.
func (x *rerun) serve(ctx context.Context, plan *scenario.Plan, by string) (*replay.Replay, error) {
	if !x.s.quiet {
		fmt.Fprintf(x.app.err, "replaying %s with %s …\n", x.folder.Dir(), by)
	}
	r, err := x.recording.Replay(ctx, plan, replay.Options{Hooks: x.hooks(plan), Version: version(), Live: x.s.live})
	if errors.Is(err, replay.ErrUnfit) {
		return r, wrong(err)
	}
	return r, err
}

// answer replays, and tells what came of it. An interruption leaves what is whole.
func (x *rerun) answer(ctx context.Context, own, others *scenario.Plan, name string) error {
	replayed, err := x.serve(ctx, own, "its own controllers")
	if ctx.Err() != nil {
		return &exitError{code: runs.ExitInterrupted}
	}
	if err != nil {
		return err
	}
	var other *replay.Replay
	if others != nil {
		other, err = x.serve(ctx, others, name)
		if ctx.Err() != nil {
			other, err = nil, nil // how far the recording comes out is known
		}
		if err != nil {
			return err
		}
	}
	a, err := x.recording.Answer(x.folder.Dir(), name, replayed, other, x.s.bound)
	if err != nil {
		return err
	}
	if err := x.tell(ctx, a, replayed, other); err != nil {
		return err
	}
	switch {
	case ctx.Err() != nil:
		return &exitError{code: runs.ExitInterrupted}
	case !a.Fidelity.Believed:
		return &exitError{code: runs.ExitNotCertified}
	}
	return nil
}

// tell prints the answer, and keeps what --out asks for.
func (x *rerun) tell(ctx context.Context, a *replay.Answer, replayed, other *replay.Replay) error {
	var files []string
	var lost error // what cannot be kept can be told
	if x.s.out != "" && ctx.Err() == nil {
		files, lost = x.keep(ctx, a, replayed, other)
	}
	switch x.s.json {
	case "":
	case "-":
		return errors.Join(a.Write(x.app.out), lost)
	default:
		lost = errors.Join(lost, x.app.to(x.s.json, a.Write))
	}
	if err := errors.Join(report.ReplayText(x.app.out, a), lost); err != nil || len(files) == 0 {
		return err
	}
	_, err := fmt.Fprintf(x.app.out, "\nwritten  %s\n", strings.Join(files, ", "))
	return err
}

// keep writes the replays as run folders, a picture of the recording and the last of them in one, and replay.json.
func (x *rerun) keep(ctx context.Context, a *replay.Answer, replayed, other *replay.Replay) (files []string, err error) {
	last, name := replayed, "replayed"
	for i, r := range []*replay.Replay{replayed, other} {
		if r == nil {
			continue
		}
		dir := x.s.parts()[i]
		if err := x.record(ctx, r, dir); err != nil {
			if ctx.Err() != nil { // half a recording is none; the answer is told
				return nil, os.RemoveAll(dir)
			}
			return nil, err
		}
		files, last, name = append(files, dir), r, filepath.Base(dir)
	}
	if a.Other != "" && other != nil {
		name = a.Other
	}
	pictures, err := drawOverlay(x.s.out, report.Sided{Name: "recorded", Runs: []*report.Data{report.Read(x.folder.History(), x.recording.Summary)}},
		report.Sided{Name: name, Runs: []*report.Data{report.Read(last.History, last.Summary)}})
	if err != nil {
		return nil, err
	}
	file := filepath.Join(x.s.out, "replay.json")
	w, err := os.Create(file)
	if err != nil {
		return nil, err
	}
	return append(append(files, pictures...), file), errors.Join(a.Write(w), w.Close())
}

// record simulates what was replayed once more, into a run folder: equal plans give equal runs.
func (x *rerun) record(ctx context.Context, r *replay.Replay, dir string) error {
	folder, err := runs.Create(dir, r.Work.Plan, time.Now())
	if err != nil {
		return wrong(err)
	}
	env := runs.Here(version(), time.Now())
	env.Kind = runs.Virtual
	store := dsv.NewStore(folder.Store())
	hooks := x.hooks(r.Work.Plan)
	connect := hooks.Prepare
	hooks.Prepare = func(s *sim.Sim) (func() error, error) {
		s.Schedule(r.Work.Writes)
		return connect(s)
	}
	_, err = campaign.Run(ctx, r.Work.Plan, store, hooks)
	err = errors.Join(err, store.Close(), folder.WriteEnvironment(env))
	if err == nil { // the summary is of the whole
		err = folder.Finish(r.Summary)
	}
	if err == nil {
		_, err = report.Write(folder, r.Summary)
	}
	return errors.Join(err, folder.Close())
}

// drawOverlay draws two sides into the same panels, and returns the PNG files.
func drawOverlay(dir string, a, b report.Sided) (pictures []string, err error) {
	for _, p := range report.Overlay(a, b) {
		for _, form := range []struct {
			ext  string
			draw func() ([]byte, error)
		}{{".svg", p.SVG}, {".png", p.PNG}} {
			b, err := form.draw()
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, p.Name+form.ext), b, 0o644)
			}
			if err != nil {
				return nil, err
			}
		}
		pictures = append(pictures, filepath.Join(dir, p.Name+".png"))
	}
	return pictures, nil
}
