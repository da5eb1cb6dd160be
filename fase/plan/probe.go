package plan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/campaign"
	"github.com/eve-emulation/eve/fase/find"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/stat"
	"github.com/eve-emulation/eve/fase/user"
)

// A judge looks at what groups met, or callers of services, and tests objectives on it.
type judge struct {
	limits   []find.Limit
	subjects []*subject
	from     dsv.Instant
}

// A subject is a group of clients, or a service, with the objectives on it.
type subject struct {
	name    string
	service bool
	of      []int // objectives, by index
	limits  []find.Limit
	test    *find.Test
	meters  []*find.Meter
	issued  int64
}

// newJudge makes the tests of one probe of a plan. whole has them go on to the end, unless an objective fails.
func newJudge(plan *scenario.Plan, limits []find.Limit, most time.Duration, whole bool) (*judge, error) {
	j := &judge{limits: limits, from: dsv.At(plan.Warmup)}
	for i, l := range limits {
		name := subjectOf(l)
		at := slices.IndexFunc(j.subjects, func(s *subject) bool { return s.name == name })
		if at < 0 {
			j.subjects = append(j.subjects, &subject{name: name, service: plan.Topology.Service(name) >= 0})
			at = len(j.subjects) - 1
		}
		j.subjects[at].of = append(j.subjects[at].of, i)
	}
	for _, s := range j.subjects {
		cfg := find.TestConfig{Most: most, Whole: whole, Clumps: 1}
		for _, i := range s.of {
			cfg.Limits, s.limits = append(cfg.Limits, limits[i]), append(s.limits, limits[i])
			s.meters = append(s.meters, find.NewMeter(find.Goal{Limit: limits[i]}, j.from))
		}
		var err error
		if s.test, err = find.NewTest(cfg, j.from); err != nil {
			return nil, err
		}
	}
	return j, nil
}

func (s *subject) add(done dsv.Instant, seconds float64, failed bool) {
	s.test.Add(done, seconds, failed)
	for i, m := range s.meters {
		if failed && s.limits[i].Metric == find.Quantile {
			m.Add(done, dsv.HistMax, failed) // above all others, as the test has it
			continue
		}
		m.Add(done, seconds, failed)
	}
}

// see takes what was synchronised in a simulation; false: all is decided.
func (j *judge) see(deltas []dsv.Delta) bool {
	at := dsv.Instant(0)
	for i := range deltas {
		at = max(at, deltas[i].T1)
	}
	for _, s := range j.subjects {
		s.see(deltas, j.from)
	}
	return j.look(at)
}

// look judges what was seen up to an instant; false: all is decided, or one objective fails.
func (j *judge) look(at dsv.Instant) bool {
	open := false
	for _, s := range j.subjects {
		if !s.test.Look(at) {
			open = true
		} else if s.test.Verdict() == find.Fail {
			return false
		}
	}
	return open
}

func (s *subject) see(deltas []dsv.Delta, from dsv.Instant) {
	for i := range deltas {
		d := &deltas[i]
		owner, leaf, _ := strings.Cut(string(d.Name), ".")
		switch {
		case owner != s.name || s.service:
		case leaf == "records":
			for b := range dmm.Records(d.Value.Bytes) {
				if r, ok := decode(b); ok && r.Due >= from {
					s.add(r.Done, r.Done.Sub(r.Due).Seconds(), r.Cause != service.OK)
				}
			}
		case leaf == "issued" && d.T1 > from:
			s.issued += d.Value.Int
			s.test.Issued(d.T1, s.issued)
		}
	}
	if s.service {
		find.Calls(deltas, s.name, from, s.add)
	}
}

func decode(b []byte) (user.Record, bool) {
	if len(b) < user.RecordSize {
		return user.Record{}, false
	}
	return user.DecodeRecord(b), true
}

// history takes a whole run of which the measurements were kept.
func (j *judge) history(h runs.History, end dsv.Instant) error {
	for _, s := range j.subjects {
		if err := s.history(h, j.from, end); err != nil {
			return err
		}
	}
	j.look(end)
	return nil
}

func (s *subject) history(h runs.History, from, end dsv.Instant) error {
	if s.service {
		var all []dsv.Delta
		for _, leaf := range []string{".errors", ".latency"} {
			err := h.History(dsv.Name(s.name+leaf), from, end, func(u dsv.Update) error {
				if u.Delta != nil {
					d := *u.Delta
					d.Value = d.Value.Clone()
					all = append(all, d)
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		find.Calls(all, s.name, from, s.add)
		return nil
	}
	var rs []user.Record
	err := h.History(dsv.Name(s.name+".records"), 0, end, func(u dsv.Update) error {
		if u.Delta == nil {
			return nil
		}
		for b := range dmm.Records(u.Delta.Value.Bytes) {
			if r, ok := decode(b); ok && r.Due >= from {
				rs = append(rs, r)
			}
		}
		return nil
	})
	slices.SortStableFunc(rs, func(a, b user.Record) int { return cmp.Compare(a.Done, b.Done) })
	for _, r := range rs {
		s.add(r.Done, r.Done.Sub(r.Due).Seconds(), r.Cause != service.OK)
	}
	return err
}

// tell puts what was found into a point.
func (j *judge) tell(x *Point, end dsv.Instant) {
	x.Values = make([]stat.Estimate, len(j.limits))
	x.Verdict, x.Holds = find.Pass, true
	for _, s := range j.subjects {
		o := s.test.Outcome()
		x.Requests += o.Requests
		x.Rate += o.Rate
		x.Took = max(x.Took, o.Took)
		if o.Verdict == find.Fail || o.Verdict == find.Inconclusive && x.Verdict == find.Pass {
			x.Verdict = o.Verdict
		}
		for k, i := range s.of {
			s.meters[k].Settle(end)
			x.Values[i] = estimate(s.meters[k], s.limits[k])
			if !(x.Values[i].Value < j.limits[i].Bound) {
				x.Holds = false
			}
		}
	}
	x.outcome = find.Outcome{Verdict: x.Verdict, Took: x.Took, Requests: x.Requests, Rate: x.Rate, Evidence: make([]find.Evidence, len(j.limits))}
	for _, s := range j.subjects {
		o := s.test.Outcome()
		x.outcome.Failed, x.outcome.P50, x.outcome.P99 = x.outcome.Failed+o.Failed, max(x.outcome.P50, o.P50), max(x.outcome.P99, o.P99)
		for k, e := range o.Evidence {
			x.outcome.Evidence[s.of[k]] = e
		}
		if len(o.Evidence) == 0 {
			x.outcome.Evidence = nil
			break
		}
	}
	if x.Verdict != find.Inconclusive { // a probe that ended early has decided, though its figure is rough
		x.Holds = x.Verdict == find.Pass
	}
}

// estimate is what a meter has; infinite is a quantile that failed requests reach.
func estimate(m *find.Meter, l find.Limit) stat.Estimate {
	e := m.Estimate()
	if l.Metric == find.Quantile {
		for _, x := range []*float64{&e.Value, &e.Low, &e.High} {
			if *x >= dsv.HistMax*0.99 {
				*x = math.Inf(1)
			}
		}
	}
	return e
}

// simulate probes counts in virtual time with the load multiplied, at most so long; whole: to the end, unless it fails.
func (p *Planner) simulate(ctx context.Context, c Counts, factor float64, seed uint64, most time.Duration, whole bool) (Point, error) {
	x := Point{How: Simulated, Counts: slices.Clone(c), Factor: factor, Load: p.rate * factor}
	sets := append(p.sets(c), p.loads(factor)...)
	plan, err := p.q.Load(append(sets, "duration="+seconds(p.warmup+most+time.Second), "seed="+strconv.FormatUint(seed, 10)))
	if err != nil {
		return x, err
	}
	for i := range plan.Clients {
		plan.Clients[i].RecordShare = 0 // every request is looked at
	}
	j, err := newJudge(plan, p.q.Limits, most, whole)
	if err != nil {
		return x, err
	}
	r, err := campaign.Simulate(ctx, plan, campaign.Options{
		Hooks: campaign.Hooks{Deltas: j.see, Live: func(dsv.Instant) bool { return p.left() > 0 }}, NoSummary: true,
		Keep: func(n dsv.Name) bool { return strings.HasSuffix(string(n), ".utilisation") },
	})
	if err != nil {
		return x, fmt.Errorf("simulate %s: %w", strings.Join(p.sets(c), " "), err)
	}
	j.tell(&x, r.At)
	x.Used, err = p.measured(plan, func(name string) (float64, error) {
		e, err := plan.Expression(name)
		if err != nil {
			return 0, err
		}
		return r.Eval(e)
	})
	p.Simulated++
	return x, err
}

// Judge tells a run of the scenario at counts, for real or not, as a point: the measurements are those of its folder, or of memory.
func (p *Planner) Judge(plan *scenario.Plan, h runs.History, c Counts, how How, early bool) (Point, error) {
	x := Point{How: how, Counts: slices.Clone(c), Factor: 1, Load: p.rate}
	j, err := newJudge(plan, p.q.Limits, max(plan.Duration-plan.Warmup, time.Second), true)
	if err != nil {
		return x, err
	}
	end := dsv.At(plan.Duration)
	if err := j.history(h, end); err != nil {
		return x, err
	}
	j.tell(&x, end)
	x.Took = plan.Duration - plan.Warmup
	reader := runs.Reader(plan, h, early)
	x.Used, err = p.measured(plan, func(name string) (float64, error) {
		e, err := plan.Expression(name)
		if err != nil {
			return 0, err
		}
		v, err := e.Eval(reader)
		if err != nil || !v.Known() {
			return math.NaN(), err
		}
		return v.Number, nil
	})
	return x, err
}

// measured are the utilisations that a run measured.
func (p *Planner) measured(plan *scenario.Plan, eval func(name string) (float64, error)) ([]Use, error) {
	var errs error
	used := p.uses(plan, func(yield func(string, float64)) {
		for i := range plan.Measures {
			name, ok := strings.CutSuffix(string(plan.Measures[i].Name), ".utilisation")
			if !ok || strings.HasSuffix(name, ".memory") {
				continue
			}
			u, err := eval(name + ".utilisation")
			errs = errors.Join(errs, err)
			yield(name, u)
		}
	})
	return used, errs
}

func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + "s" }
