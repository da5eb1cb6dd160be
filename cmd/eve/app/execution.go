package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel"
	"github.com/eve-emulation/eve/evekernel/egs"
	"github.com/eve-emulation/eve/fase/adapt"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/internal/mono"
)

// An execution is one run for real: a kernel in this process, and modules as its children, or started by hand.
//
// Its life: start the servers and targets, learn their addresses, write the mappings, start the rest, let all begin at
// one instant, wait for the end of the plan, stop everybody in order. By hand, all are awaited from the beginning.
type execution struct {
	app    *App
	plan   *scenario.Plan
	kernel *evekernel.Kernel
	dir    string // of the run folder
	hand   *hand  // nil: the modules are children
	tell   func(string)

	t0     atomic.Int64 // 0: not begun
	events chan evekernel.ModuleEvent
	names  []string // of all modules that join the start, in the order of their start
	early  bool     // it ended before the plan did; set when run has returned

	mu     sync.Mutex // guards what follows
	states map[string]evekernel.ModuleEvent
	ended  bool // modules are being stopped: their end is no news
}

// newExecution prepares a run whose measurements go to rec; where h is not nil, its modules are started by hand. tell is
// told in plain sentences what happens.
func newExecution(a *App, plan *scenario.Plan, rec dsv.Recorder, dir string, h *hand, tell func(string)) (*execution, error) {
	x := &execution{
		app: a, plan: plan, dir: dir, hand: h, tell: tell,
		events: make(chan evekernel.ModuleEvent, 4096), states: map[string]evekernel.ModuleEvent{},
	}
	cfg := evekernel.Config{
		Run: plan.Name, Recorder: rec, OnModule: x.happened, Log: x.log, Manipulators: a.registry.Manipulators(),
	}
	h.configure(&cfg)
	k, err := evekernel.New(cfg)
	x.kernel = k
	return x, err
}

// happened takes the kernel's news of a module.
func (x *execution) happened(e evekernel.ModuleEvent) {
	x.mu.Lock()
	x.states[e.Name] = e
	ended := x.ended
	x.mu.Unlock()
	if ended {
		return
	}
	switch e.State {
	case evekernel.Failed:
		if x.begun() { // before that, the run ends and says why
			x.tell(x.sentence(e))
		}
	case evekernel.Lost, evekernel.Back:
		x.tell(x.sentence(e))
	case evekernel.Awaited, evekernel.Ready:
		if x.hand != nil {
			x.hand.note(x, e)
		}
	}
	select {
	case x.events <- e:
	default: // nobody waits for the rest
	}
}

// sentence tells what became of a module, and when.
func (x *execution) sentence(e evekernel.ModuleEvent) string {
	what, printed, ok := strings.Cut(e.Status, "; it printed: ")
	when := x.when(e.At)
	if !ok {
		return what + when
	}
	// A module of Eve's own says what went wrong in its last line; that it then exited is no news.
	own := fmt.Sprintf("module %s: ", e.Name)
	if i := strings.LastIndex(printed, "eve: "+own); i >= 0 {
		return strings.TrimSuffix(what, " exited with status 1") + when + ": " + firstLine(printed[i+len("eve: "+own):])
	}
	return what + when + "; it printed: " + firstLine(printed)
}

// begun reports whether T0 was announced: from then on there is something to tell.
func (x *execution) begun() bool { return x.t0.Load() != 0 }

// when tells an instant of the run in words.
func (x *execution) when(at int64) string {
	if t0 := x.t0.Load(); x.begun() && at >= t0 {
		return fmt.Sprintf(" at %.1f s", float64(at-t0)/1e9)
	}
	return ""
}

func (x *execution) log(l evekernel.Line) {
	if l.Module == "" {
		x.tell("kernel: " + l.Text)
		return
	}
	// Why a module ends it says twice, to the kernel and on its standard error; its end tells it once.
	if strings.HasPrefix(l.Text, "ends: ") || strings.HasPrefix(l.Text, "eve: module "+l.Module+": ") {
		return
	}
	x.tell(l.Module + ": " + l.Text)
}

// run executes the plan. It returns nil when the plan came to its end, whatever was measured, and when ctx ended it
// before. begun is called once T0 is announced.
func (x *execution) run(ctx context.Context, begun func(t0 int64)) error {
	done, err := x.files(ctx)
	if err != nil {
		return err
	}
	defer done()
	if err := x.kernel.Listen(); err != nil {
		return err
	}
	if err := x.prepare(ctx); err != nil {
		return err
	}
	withdraw, err := announce(x.dir, x.plan.Name, loopback(x.kernel.URL()), x.kernel.Token())
	if err != nil {
		return err
	}
	if x.hand != nil {
		x.hand.ask(x)
	}
	kctx, end := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	var failed error
	wg.Go(func() { failed = x.kernel.Run(kctx) })
	err = x.blame(x.live(ctx, begun))
	x.stop()
	end()
	wg.Wait()
	failed = errors.Join(failed, withdraw())
	x.early = err != nil
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		err = nil
	}
	return errors.Join(err, failed)
}

// prepare makes what modules find when they come.
func (x *execution) prepare(ctx context.Context) error {
	if err := x.declare(ctx); err != nil {
		return err
	}
	x.names = x.parties(x.processes())
	parties := x.names
	if len(parties) == 0 {
		parties = []string{nobody} // programs that join learn of the start all the same
	}
	if err := x.kernel.Hub().Expect(egs.StartBarrier, parties...); err != nil {
		return err
	}
	if x.hand == nil {
		return nil
	}
	return errors.Join(x.startServers(ctx), x.startTargets(ctx), x.startRest(ctx))
}

func (x *execution) live(ctx context.Context, begun func(int64)) error {
	if x.hand == nil {
		if err := errors.Join(x.startTargets(ctx), x.startServers(ctx), x.startFronts(ctx)); err != nil {
			return err
		}
	}
	if err := x.addresses(ctx); err != nil {
		return err
	}
	if err := x.place(ctx); err != nil {
		return err
	}
	if x.hand == nil {
		if err := x.startRest(ctx); err != nil {
			return err
		}
	}
	start, err := x.await(ctx)
	if err != nil {
		return err
	}
	if x.hand != nil { // a server may have been started twice, and be elsewhere
		if err := x.place(ctx); err != nil {
			return err
		}
	}
	x.t0.Store(start.T0)
	if _, err := x.kernel.Space().Write(ctx, scenario.StartName, dsv.IntValue(start.T0)); err != nil {
		return err
	}
	begun(start.T0)
	return x.watch(ctx)
}

func (x *execution) declare(ctx context.Context) error {
	space := x.kernel.Space()
	for _, m := range x.plan.Measures {
		if m.Kernel == nil {
			continue
		}
		what := evekernel.Manipulation{Declaration: m.Declaration(), Recipe: m.Kernel.Recipe}
		if from := m.Spec.Declaration("", "", false); m.Chained {
			what.FromKind, what.FromMerge = from.Kind, from.Merge
		}
		if err := x.kernel.Manipulate(ctx, what); err != nil {
			return err
		}
	}
	ds := x.plan.Declarations()
	for _, name := range x.plan.Topology.Servers {
		ds = append(ds, dsv.Declaration{Name: adapt.AddressName(name), Kind: dsv.Text, Help: "where " + name + " is reached"})
		if x.plan.Via(name) != "" {
			ds = append(ds, dsv.Declaration{Name: adapt.DirectName(name), Kind: dsv.Text, Help: "where " + name + " listens"})
		}
	}
	for _, d := range ds {
		if err := space.Create(ctx, d); err != nil {
			return err
		}
	}
	for _, i := range x.plan.Initials() {
		if _, err := space.Write(ctx, i.Name, dsv.FloatValue(i.Value)); err != nil {
			return err
		}
	}
	return scenario.Publish(ctx, space, x.plan)
}

// nobody joins the start of a run in which nobody else is awaited.
const nobody = "kernel"

// await waits until all modules are ready and T0 is announced.
func (x *execution) await(ctx context.Context) (egs.Start, error) {
	type result struct {
		s   egs.Start
		err error
	}
	if len(x.names) == 0 {
		return x.kernel.Hub().Member(nobody).Join(ctx, egs.StartBarrier)
	}
	actx, cancel := context.WithCancel(ctx)
	defer cancel()
	got := make(chan result, 1)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		s, err := x.kernel.Hub().Await(actx, egs.StartBarrier)
		got <- result{s, err}
	})
	defer cancel()
	for {
		select {
		case r := <-got:
			return r.s, r.err
		case e := <-x.events:
			if err := x.death(e); err != nil {
				return egs.Start{}, err
			}
		}
	}
}

// linger is how long the modules have for their last synchronisation after the end of the plan.
const linger = 200 * time.Millisecond

// watch waits for the end of the plan. A module that dies meanwhile is told and the run goes on: its callers count the
// errors, and the measurements so far stay.
func (x *execution) watch(ctx context.Context) error {
	end := time.Duration(x.t0.Load()-mono.Now()) + x.plan.Duration + linger
	timer := time.NewTimer(end)
	defer timer.Stop()
	marks := x.newMarks()
	defer marks.timer.Stop()
	for {
		select {
		case <-marks.timer.C:
			if err := marks.tell(ctx); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			return nil
		case e := <-x.events:
			if e.State == evekernel.Failed && x.clientsGone() {
				return fmt.Errorf("%s: no clients are left", x.sentence(e))
			}
		}
	}
}

// clientsGone reports whether every client module has failed.
func (x *execution) clientsGone() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, c := range x.plan.Clients {
		for _, name := range c.Processes() {
			if x.states[name].State != evekernel.Failed {
				return false
			}
		}
	}
	return len(x.plan.Clients) > 0
}

// stop ends the modules: those that ask first, those that answer last.
func (x *execution) stop() {
	x.mu.Lock()
	x.ended = true
	x.mu.Unlock()
	order := []string{adapterName}
	for _, c := range x.plan.Clients {
		order = append(order, c.Processes()...)
	}
	for _, m := range x.plan.Modules {
		order = append(order, m.Instances()...)
	}
	for _, p := range x.processes() {
		order = append(order, p.name)
	}
	for _, t := range x.plan.Targets {
		order = append(order, t.Name)
	}
	started := map[string]bool{}
	for _, e := range x.kernel.Modules() {
		started[e.Name] = true
	}
	order = slices.DeleteFunc(order, func(name string) bool { return !started[name] })
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := x.kernel.Stop(ctx, order...); err != nil {
		x.tell(err.Error())
	}
}

// modules tells what became of each module, for the summary. died is how the first ended that should not have.
func (x *execution) modules() (list []runs.Module, died string) {
	for _, e := range x.kernel.Modules() {
		m := runs.Module{Name: e.Name, State: string(e.State), At: runs.Number(nan)}
		if e.State == evekernel.Failed {
			at := e.At
			e.At = 0 // told beside
			m.Exit = strings.TrimSpace(strings.TrimPrefix(x.sentence(e), "module "+e.Name))
			e.At = at
			if x.begun() {
				m.At = runs.Number(float64(at-x.t0.Load()) / 1e9)
			}
			if died == "" {
				died = x.sentence(e)
			}
		}
		list = append(list, m)
	}
	return list, died
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
