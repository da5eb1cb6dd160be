// Package replay asks what another controller would have done about what a run met: the dry run of an autoscaler.
//
// The nouns:
//
//   - A [Recording] is a run that has ended: its plan, its summary and its history.
//   - [Recording.Work] is what its clients asked, put into a plan with the same servers, services and clients and with whatever
//     controllers: arrivals are those that were recorded, users of closed groups think as they did, and demands are drawn by the
//     same keys.
//   - [Recording.Replay] simulates that. Replayed with its own controllers a recording should come out as it was: [Judge] says how
//     far it does not, and whether a replay with other controllers is to be believed; what it sets against the recording differs
//     for certain only by more than that.
//
// It is a trace-driven simulation, validated by the trace that drives it (Law, Simulation Modeling and Analysis, sections 5.6 and
// 6.2), with common random numbers for both controllers.
package replay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/adapt"
	"github.com/eve-emulation/eve/fase/campaign"
	"github.com/eve-emulation/eve/fase/judge"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/sim"
	"github.com/eve-emulation/eve/fase/user"
)

// ErrUnfit reports a recording that cannot be replayed.
var ErrUnfit = errors.New("cannot be replayed")

// A Recording is a run that has ended, or was cut off.
type Recording struct {
	Plan    *scenario.Plan
	Summary *runs.Summary
	History runs.History
}

// least is how much must have been measured for a replay to tell anything.
const least = time.Second

// Check returns ErrUnfit, with what is in the way, for a recording that cannot be replayed.
func (r *Recording) Check() error {
	why := ""
	switch w := r.Summary.Window; {
	case len(r.Plan.Targets) > 0:
		why = fmt.Sprintf("target %s is a real server, of which the demands are not known (`eve fit` estimates them from runs, and writes a scenario without targets)", r.Plan.Targets[0].Name)
	case len(r.Plan.Modules) > 0:
		why = fmt.Sprintf("module %s is a process of its own, which is not in the recording", r.Plan.Modules[0].Name)
	case len(r.Plan.Clients) == 0:
		why = "nobody asked anything"
	case float64(w.To-w.From) < least.Seconds():
		why = fmt.Sprintf("it ended at %.3g s, and what is measured begins at %.3g s", float64(w.To), r.Plan.Warmup.Seconds())
	}
	if why == "" {
		return nil
	}
	return fmt.Errorf("replay %s: %s: %w", r.Plan.Name, why, ErrUnfit)
}

// End is how long the recording is: its plan's duration, or up to where it was cut off.
func (r *Recording) End() time.Duration {
	if !r.Summary.Interrupted {
		return r.Plan.Duration
	}
	return dsv.Instant(float64(r.Summary.Window.To) * 1e9).Sub(0).Truncate(time.Millisecond)
}

// The ways in which the requests of a group are replayed.
const (
	AsPlanned  = "as planned"  // an open group, or a trace: keyed arrivals, which the recording had
	AsRecorded = "as recorded" // an open group whose rate was set: the instants of its records
	AsUsers    = "as users"    // a closed group: users who think as they did, and ask again when they have an answer
	AsDecided  = "as decided"  // what sets the rate, or the users, is a controller, and decides here too
)

// A Group says how the requests of a group are replayed.
type Group struct {
	Name      string `json:"name"`
	How       string `json:"how"`
	Arrivals  int    `json:"arrivals,omitempty"`  // as recorded: how many
	Estimated int    `json:"estimated,omitempty"` // of them, those without a record, whose instants are estimated
}

// Work is what a recording's clients asked, to be served under a plan.
type Work struct {
	Plan   *scenario.Plan // with the recorded arrivals
	Writes []sim.Write    // settings that were set while it ran
	Groups []Group
	Notes  []string
}

// Work puts the recorded work into a plan that has the same clients, servers and services. Where live is set, clients whose rate,
// users or other settings follow expressions react to what they meet in the replay; otherwise they do what they did.
func (r *Recording) Work(plan *scenario.Plan, live bool) (*Work, error) {
	if err := r.fits(plan); err != nil {
		return nil, err
	}
	p := *plan
	p.Clients = slices.Clone(plan.Clients)
	w := &Work{Plan: &p}
	if !live {
		p.Adapt.Follows = slices.DeleteFunc(slices.Clone(plan.Adapt.Follows), func(f adapt.Follow) bool { return r.ofClients(f.Var) })
	}
	decided := settable(&p.Adapt)
	for i := range p.Clients {
		g, err := r.group(w, &p.Clients[i], decided)
		if err != nil {
			return nil, err
		}
		w.Groups = append(w.Groups, g)
	}
	own := settable(&r.Plan.Adapt)
	for _, x := range r.Plan.Initials() {
		if !r.ofClients(x.Name) && !own[x.Name] && !decided[x.Name] {
			if err := r.schedule(w, x.Name, x.Value); err != nil {
				return nil, err
			}
		}
	}
	return w, nil
}

// fits checks that a plan is of the recording: its clients, its servers, and where its services are at the start.
func (r *Recording) fits(plan *scenario.Plan) error {
	differ := func(what string) error { return fmt.Errorf("replay %s: %s: %w", r.Plan.Name, what, ErrUnfit) }
	switch {
	case plan.Seed != r.Plan.Seed:
		return differ(fmt.Sprintf("its seed is %d, not %d", r.Plan.Seed, plan.Seed))
	case !slices.Equal(plan.Topology.Servers, r.Plan.Topology.Servers) || !slices.Equal(plan.Topology.Services, r.Plan.Topology.Services):
		return differ("its servers, or services, are others")
	case !slices.EqualFunc(plan.Clients, r.Plan.Clients, func(a, b user.Config) bool { return a.Name == b.Name && a.Open() == b.Open() }):
		return differ("its clients are others")
	}
	for i, m := range r.Plan.Mappings() {
		if now := plan.Mappings()[i]; now.Encode() != m.Encode() {
			return differ(fmt.Sprintf("at the start %s was elsewhere: %s, not %s", r.Plan.Topology.Services[i], m.Encode(), now.Encode()))
		}
	}
	return nil
}

// group puts the arrivals of one group into the plan.
func (r *Recording) group(w *Work, g *user.Config, decided map[dsv.Name]bool) (Group, error) {
	out := Group{Name: g.Name, How: AsUsers}
	if g.Open() {
		out.How = AsPlanned
	}
	recorded := r.Plan.Clients[slices.IndexFunc(r.Plan.Clients, func(c user.Config) bool { return c.Name == g.Name })]
	for _, s := range recorded.Settings() {
		name := dsv.Name(g.Name + "." + s.Name)
		first, _ := recorded.Initial(s.Name)
		changed, err := r.changes(name, first)
		if err != nil {
			return out, err
		}
		switch {
		case decided[name]:
			if s.Name == user.RateSetting || s.Name == user.UsersSetting {
				out.How = AsDecided
			}
		case len(changed) == 0 && (s.Name != user.RateSetting || r.Summary.Clients[g.Name].ArrivalsOffPlan == 0):
		case s.Name == user.RateSetting && r.trace(w, g, &out):
		default:
			w.Writes = append(w.Writes, changed...)
			if s.Name == user.RateSetting {
				w.Notes = append(w.Notes, fmt.Sprintf("no request of %s was recorded: its arrivals follow from the rates that it was given", g.Name))
			}
		}
	}
	return out, nil
}

// trace gives a group the arrivals of its records; false where there are none.
func (r *Recording) trace(w *Work, g *user.Config, out *Group) bool {
	var records []user.Record
	if runs.Requests(r.History, g.Name, func(x user.Record) error {
		records = append(records, x)
		return nil
	}) != nil {
		return false
	}
	begun := r.total(g.Begun())
	t, estimated := g.Recorded(records, begun)
	if t == nil {
		return false
	}
	g.Trace, g.Law = t, user.Replay
	out.How, out.Arrivals, out.Estimated = AsRecorded, len(t.Due), estimated
	if estimated > 0 {
		w.Notes = append(w.Notes, fmt.Sprintf("of %d arrivals of %s %d were not recorded: their instants are estimated from the rate between those that were", len(t.Due), g.Name, estimated))
	}
	return true
}

// total is the sum of a counter over the whole recording.
func (r *Recording) total(n dsv.Name) int64 {
	var sum int64
	_ = r.History.History(n, -1, dsv.Never, func(u dsv.Update) error {
		if u.Delta != nil {
			sum += u.Delta.Value.Int
		}
		return nil
	})
	return sum
}

// schedule has a setting written as it was.
func (r *Recording) schedule(w *Work, n dsv.Name, first float64) error {
	changed, err := r.changes(n, first)
	w.Writes = append(w.Writes, changed...)
	return err
}

// changes are the values that a setting was given after the first.
func (r *Recording) changes(n dsv.Name, first float64) ([]sim.Write, error) {
	var out []sim.Write
	last := first
	err := r.History.History(n, -1, dsv.Never, func(u dsv.Update) error {
		if x, ok := u.Reading.Value.Number(); ok && !u.Deleted && x != last {
			out, last = append(out, sim.Write{At: max(u.Reading.T1, 0), Name: n, Value: dsv.FloatValue(x)}), x
		}
		return nil
	})
	if errors.Is(err, dsv.ErrNotFound) {
		return nil, nil
	}
	return out, err
}

// ofClients reports whether a variable is a setting of a group of clients.
func (r *Recording) ofClients(n dsv.Name) bool {
	group, _, _ := strings.Cut(string(n), ".")
	return slices.ContainsFunc(r.Plan.Clients, func(c user.Config) bool { return c.Name == group })
}

// settable are the variables that an adaptation sets.
func settable(a *adapt.Config) map[dsv.Name]bool {
	set := map[dsv.Name]bool{}
	for _, rule := range a.Rules {
		for _, x := range rule.Do {
			if x.Verb == adapt.Assign {
				set[x.Var] = true
			}
		}
	}
	for i := range a.Controls {
		if x := &a.Controls[i].Actuator; x.Verb == adapt.Assign {
			set[x.Var] = true
			for _, n := range x.Also {
				set[n] = true
			}
		}
	}
	for _, f := range a.Follows {
		set[f.Var] = true
	}
	return set
}

// Options say how a recording is replayed. The zero value works.
type Options struct {
	campaign.Hooks
	Version string // of Eve, for the summary
	Live    bool   // clients that follow expressions react; see Work
}

// A Replay is what came of it.
type Replay struct {
	*campaign.Result
	Work *Work
}

// Replay simulates the recorded work under a plan, whose controllers decide, and judges how it adapted. An error may come with what
// there is up to where the context ended.
func (r *Recording) Replay(ctx context.Context, plan *scenario.Plan, o Options) (*Replay, error) {
	w, err := r.Work(plan, o.Live)
	if err != nil {
		return nil, err
	}
	prepare := o.Prepare
	o.Prepare = func(s *sim.Sim) (func() error, error) {
		s.Schedule(w.Writes)
		if prepare == nil {
			return nil, nil
		}
		return prepare(s)
	}
	res, err := campaign.Simulate(ctx, w.Plan, campaign.Options{Hooks: o.Hooks, Version: o.Version})
	if res == nil {
		return nil, err
	}
	out := &Replay{Result: res, Work: w}
	a, jerr := r.judge(w.Plan, res.History, res.Summary)
	res.Summary.Adaptation = a
	return out, errors.Join(err, jerr)
}

// judge judges how a plan adapted, beside the baselines of the recording: arrivals without adaptation, and as who knew them would have
// served them, are the same for all controllers. They hold for the goals that they were found for.
func (r *Recording) judge(plan *scenario.Plan, h runs.History, s *runs.Summary) (*runs.Adaptation, error) {
	o := judge.Options{Budget: -1}
	if a := r.Summary.Adaptation; a != nil && a.Baselines != nil && sameGoals(plan, r.Plan) && s.Window == r.Summary.Window {
		o = judge.Options{Known: a.Baselines}
	}
	p := *plan
	p.SLO = plan.Objectives() // also where nobody adapts
	return judge.Run(context.Background(), &p, h, s, o)
}

// Rejudge judges the recording by the goals of a plan, such as those of another file, where it was not judged by them.
func (r *Recording) Rejudge(plan *scenario.Plan) error {
	if a := r.Summary.Adaptation; sameGoals(plan, r.Plan) && a != nil && len(a.SLO) == len(plan.Objectives()) {
		return nil
	}
	judged := *r.Plan
	judged.SLO, judged.Expect = plan.SLO, plan.Expect
	a, err := r.judge(&judged, r.History, r.Summary)
	if err != nil {
		return err
	}
	s := *r.Summary
	s.Adaptation = a
	r.Summary, r.Plan = &s, &judged
	return nil
}

// sameGoals reports whether two plans are judged by the same.
func sameGoals(a, b *scenario.Plan) bool {
	return slices.EqualFunc(a.Objectives(), b.Objectives(), func(x, y scenario.Expect) bool { return x.Text == y.Text })
}
