package app

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/exact"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/stat"
	"github.com/eve-emulation/eve/fase/user"
	"github.com/eve-emulation/eve/rdr"
)

// G4 compares the scenario closed-open with theory and with the exact path of its requests: an open stream and a closed population at the
// same throughput (Schroeder, Wierman and Harchol-Balter, "Open Versus Closed: A Cautionary Tale", NSDI 2006).
const (
	modelsScenario = "closed-open"
	modelsReal     = 60 * time.Second // of which 10 s are warm-up
	modelsLong     = 2 * time.Hour    // of the path that is held against theory, for each seed
	modelsTheory   = 0.03             // by how much its mean may miss theory, with its whole interval
)

// A model is one of the two client groups.
type model struct {
	group  *user.Config
	cores  int
	theory float64 // mean response in the long run, s
}

// modelsOf are the groups of closed-open with their theory.
func modelsOf(plan *scenario.Plan) (closed, open model, err error) {
	for i := range plan.Clients {
		g := &plan.Clients[i]
		m := model{group: g, cores: plan.Servers[0].Machine.CPU.Cores}
		mean, err := g.Request.Mean()
		if err != nil {
			return closed, open, err
		}
		demand := 0.0
		for _, s := range mean.Services() {
			demand += mean.Of(s).CPU
		}
		if g.Open() {
			m.theory, err = exact.MM1(g.Rate[0].Rate, demand)
			open = m
		} else {
			var c exact.Closed
			c, err = exact.MVA(g.Users, g.Think.Mean.Seconds(), demand)
			m.theory = c.Response
			closed = m
		}
		if err != nil {
			return closed, open, err
		}
	}
	if closed.group == nil || open.group == nil {
		return closed, open, fmt.Errorf("%s: it has no open and closed group", modelsScenario)
	}
	return closed, open, nil
}

// pathOf is the exact path of a group's plan up to an instant: each request with its key, when it was due and when it departs.
func (m model) pathOf(end dsv.Instant) ([]paired, map[rdr.Key]int) {
	var requests []paired
	index := map[rdr.Key]int{}
	var demands drawer
	if m.group.Open() {
		var jobs []exact.Job
		for key, due := range until(m.group, end) {
			index[key] = len(jobs)
			jobs = append(jobs, exact.Job{Arrival: due, Demand: demands.cpu(m.group.Request, key)})
		}
		for i, at := range exact.FCFS(m.cores, jobs) {
			requests = append(requests, paired{due: jobs[i].Arrival, want: at})
		}
		return requests, index
	}
	rounds := exact.ClosedFCFS(m.cores, m.group.Users, m.group.Start, end,
		func(u int, n uint64) int64 { return int64(m.group.ThinkTime(uint64(u), n)) },
		func(u int, n uint64) int64 { return demands.cpu(m.group.Request, m.group.Key(uint64(u), n)) })
	for i, r := range rounds {
		index[m.group.Key(uint64(r.User), r.N)] = i
		requests = append(requests, paired{due: r.Arrival, want: r.Departure})
	}
	return requests, index
}

// until yields the arrivals of a group's plan as if it went on until then.
func until(g *user.Config, end dsv.Instant) func(func(rdr.Key, dsv.Instant) bool) {
	longer := *g
	longer.End = end
	return longer.Arrivals()
}

// models is G4: the path over hours against theory, the simulation against the path, and a run on real sockets against the path of the
// requests that it asked, whose instants follow from its answers where the group is closed.
func (t *truth) models(ctx context.Context) error {
	for _, seed := range t.seeds {
		if err := t.modelsVirtual(ctx, seed); err != nil {
			return err
		}
	}
	if err := t.modelsInTheory(); err != nil || t.quick {
		return err
	}
	return t.modelsForReal(ctx, t.seeds[0])
}

// modelsPlan compiles the scenario.
func (t *truth) modelsPlan(seed int64, d time.Duration) (*scenario.Plan, model, model, error) {
	plan, err := t.app.load(modelsScenario, overrides{duration: d, seed: seed})
	if err != nil {
		return nil, model{}, model{}, err
	}
	closed, open, err := modelsOf(plan)
	return plan, closed, open, err
}

// modelsInTheory compares the means of long paths, of all seeds together, with theory.
func (t *truth) modelsInTheory() error {
	long := modelsLong
	if t.quick {
		long = 20 * time.Minute
	}
	responses := map[string][]float64{}
	theory := map[string]float64{}
	for _, seed := range t.seeds {
		plan, closed, open, err := t.modelsPlan(seed, 0)
		if err != nil {
			return err
		}
		for _, m := range []model{closed, open} {
			path, _ := m.pathOf(dsv.At(long))
			for _, r := range path {
				if r.due > dsv.At(plan.Warmup) {
					responses[m.group.Name] = append(responses[m.group.Name], r.want.Sub(r.due).Seconds())
				}
			}
			theory[m.group.Name] = m.theory
		}
	}
	for _, name := range []string{"closed", "open"} {
		e, err := stat.BatchMeans(responses[name], stat.Batches, 1-truthAlpha)
		if err != nil {
			return err
		}
		v := verdict{name: name + ", theory", kind: "path", n: e.N, exact: theory[name], measured: e.Value, p99: nan, clean: nan}
		v.seed = t.seeds[0]
		v.diff = stat.Estimate{Value: e.Value - v.exact, Low: e.Low - v.exact, High: e.High - v.exact}
		v.verdict = stat.Equivalence(v.diff, modelsTheory*v.exact)
		if t.quick && v.verdict == stat.Inconclusive {
			v.verdict = stat.Pass
			v.notes = append(v.notes, "short: the interval decides nothing")
		}
		t.verdicts = append(t.verdicts, v)
	}
	return nil
}

// modelsVirtual simulates the scenario, whose every request must be on its exact path.
func (t *truth) modelsVirtual(ctx context.Context, seed int64) error {
	plan, closed, open, err := t.modelsPlan(seed, t.modelsFor())
	if err != nil {
		return err
	}
	o, err := t.execute(ctx, plan, runs.Virtual, seed)
	if err != nil {
		return err
	}
	for _, m := range []model{closed, open} {
		p, err := pairModel(plan, m, o)
		if err != nil {
			return err
		}
		v := verdict{name: m.group.Name, kind: runs.Virtual, seed: seed}
		p.judgeVirtual(&v, 0)
		t.verdicts = append(t.verdicts, v)
	}
	return nil
}

func (t *truth) modelsFor() time.Duration {
	if t.quick {
		return 20 * time.Second
	}
	return modelsReal
}

// execute performs a plan into a folder of its own.
func (t *truth) execute(ctx context.Context, plan *scenario.Plan, kind runs.Kind, seed int64) (*outcome, error) {
	what := fmt.Sprintf("%s %s, seed %d", plan.Name, kind, seed)
	if kind == runs.Real {
		fmt.Fprintf(t.app.err, "G4: %s: %v …\n", what, plan.Duration)
	}
	o, err := t.app.perform(ctx, plan, filepath.Join(t.out, fmt.Sprintf("%s-%s-seed%d", plan.Name, kind, seed)), kind, nil, newView(plan, discard{}))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	switch o.summary.Exit {
	case runs.ExitInterrupted, runs.ExitFailed:
		return nil, fmt.Errorf("%s: %w", what, o.failure())
	}
	return o, nil
}

// modelsForReal runs the scenario on real sockets. What is exact there is the departure of each request given when all of them were due: in
// a closed group that follows from earlier answers, which come some tens of microseconds late.
func (t *truth) modelsForReal(ctx context.Context, seed int64) error {
	plan, closed, open, err := t.modelsPlan(seed, t.modelsFor())
	if err != nil {
		return err
	}
	o, err := t.execute(ctx, plan, runs.Real, seed)
	if err != nil {
		return err
	}
	for _, m := range []model{closed, open} {
		p, err := pairDue(plan, m, o)
		if err != nil {
			return err
		}
		v := verdict{name: m.group.Name, kind: runs.Real, seed: seed}
		p.judgeReal(&v, 1)
		v.notes = append(v.notes, fmt.Sprintf("in the long run theory says %s", milli(m.theory)))
		t.samePlan(&v)
		t.verdicts = append(t.verdicts, v)
	}
	return nil
}

// pairModel finds what a run recorded of each request of a group's exact path.
func pairModel(plan *scenario.Plan, m model, o *outcome) (*pairing, error) {
	p := newPairing(plan, m, o)
	requests, index := m.pathOf(m.group.End)
	p.requests = requests
	return p, records(o, m.group.Name, func(r user.Record) {
		i, ok := index[r.Key]
		if !ok || p.requests[i].got != 0 || r.Due != p.requests[i].due {
			p.strange++
			return
		}
		p.requests[i].got, p.requests[i].cause = r.Done, r.Cause
	})
}

// pairDue computes the exact departures of the requests that a run recorded, given when they were due.
func pairDue(plan *scenario.Plan, m model, o *outcome) (*pairing, error) {
	p := newPairing(plan, m, o)
	var rs []user.Record
	if err := records(o, m.group.Name, func(r user.Record) { rs = append(rs, r) }); err != nil {
		return nil, err
	}
	slices.SortStableFunc(rs, func(a, b user.Record) int { return int(a.Due - b.Due) })
	jobs := make([]exact.Job, len(rs))
	var demands drawer
	for i, r := range rs {
		jobs[i] = exact.Job{Arrival: r.Due, Demand: demands.cpu(m.group.Request, r.Key)}
	}
	for i, at := range exact.FCFS(m.cores, jobs) {
		p.requests = append(p.requests, paired{due: rs[i].Due, want: at, got: rs[i].Done, cause: rs[i].Cause})
	}
	if a := p.client.Accounting; a.Issued-a.InFlight != int64(len(rs)) {
		p.strange++ // a request that ended and was not recorded would put the others off their path
	}
	return p, nil
}

func newPairing(plan *scenario.Plan, m model, o *outcome) *pairing {
	return &pairing{from: dsv.At(plan.Warmup), to: dsv.At(plan.Duration), client: o.summary.Clients[m.group.Name], noise: o.noise}
}

// records reads what a run recorded of the requests of a group.
func records(o *outcome, group string, fn func(user.Record)) error {
	folder, err := runs.Open(o.dir)
	if err != nil {
		return err
	}
	defer folder.Close()
	return runs.Requests(folder.History(), group, func(r user.Record) error {
		fn(r)
		return nil
	})
}
