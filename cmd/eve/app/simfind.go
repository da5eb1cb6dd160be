package app

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/campaign"
	"github.com/eve-emulation/eve/fase/find"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/sim"
	"github.com/eve-emulation/eve/fase/user"
)

// virtualProbe is the longest probe in virtual time, where it is cheap.
const virtualProbe = 10 * time.Minute

// simSearch searches the highest load of a scenario in virtual time.
type simSearch struct {
	a      *App
	arg    string
	o      overrides
	of     string // the group, or the service, that the conditions are on
	path   string // of the value that is varied
	whole  bool
	seed   uint64
	warmup time.Duration
}

// findSimulated does `eve sim SCENARIO --find …`.
func (a *App) findSimulated(ctx context.Context, arg string, s settings, f findFlags) error {
	limits, err := f.limits()
	if err != nil {
		return wrong(fmt.Errorf("sim: %w", err))
	}
	x := simSearch{a: a, arg: arg, o: s.overrides}
	plan, err := a.load(arg, s.overrides)
	if err != nil {
		return err
	}
	if err := sim.Check(plan); err != nil {
		return wrong(err)
	}
	start, err := x.vary(plan, limits, f.vary)
	if err != nil {
		return wrong(fmt.Errorf("sim: %w", err))
	}
	cfg, err := f.config(limits, start, x.whole)
	if err != nil {
		return wrong(fmt.Errorf("sim: %w", err))
	}
	title := fmt.Sprintf("%s in virtual time: the highest %s at which %s", plan.Name, x.path, f.text)
	if s.quiet {
		title = ""
	}
	return a.search(ctx, cfg, searchView{title: title, unit: unitOf(x.whole), json: f.json}, x.probe)
}

// vary finds what the conditions are on, a group or a service, and what is varied: the path of the rate or the users of that
// group, or of the only one. start is its present value.
func (x *simSearch) vary(plan *scenario.Plan, limits []find.Limit, path string) (start float64, err error) {
	for _, l := range limits {
		of := strings.TrimSuffix(strings.TrimSuffix(l.Of, ".latency"), ".errors")
		switch {
		case of == "" && len(plan.Clients) == 1:
			of = plan.Clients[0].Name
		case of == "":
			return 0, fmt.Errorf("--find '%s': say of which group, as %s(%s.latency); there are %s", l, l.Name(), plan.Clients[0].Name, groupNames(plan))
		}
		if x.of != "" && x.of != of {
			return 0, fmt.Errorf("--find: conditions on %s and on %s; want them on one group of clients, or one service", x.of, of)
		}
		x.of = of
	}
	c := clientOf(plan, x.of)
	if c == nil && slices.Contains(plan.Topology.Services, x.of) {
		if len(plan.Clients) > 1 && path == "" {
			return 0, fmt.Errorf("--find: %s is a service: say whose load is varied, as --vary clients.%s.rate; there are %s", x.of, plan.Clients[0].Name, groupNames(plan))
		}
		c = &plan.Clients[0]
	}
	if c == nil {
		return 0, fmt.Errorf("--find: no group of clients is called %s; there are %s, and the services %s", x.of, groupNames(plan), strings.Join(plan.Topology.Services, ", "))
	}
	x.seed, x.warmup = plan.Seed, plan.Warmup
	x.path = path
	if path == "" {
		x.path = "clients." + c.Name + ".rate"
		if len(c.Rate) == 0 {
			x.path = "clients." + c.Name + ".users"
		}
	}
	name, what, ok := strings.Cut(strings.TrimPrefix(x.path, "clients."), ".")
	if v := clientOf(plan, name); ok && v != nil && strings.HasPrefix(x.path, "clients.") {
		switch {
		case what == "rate" && len(v.Rate) > 0:
			return v.Rate[0].Rate, nil
		case what == "users" && len(v.Rate) == 0:
			x.whole = true
			return float64(v.Users), nil
		}
	}
	return 0, fmt.Errorf("--vary %s: want clients.GROUP.rate of an open group, or clients.GROUP.users of a closed one", x.path)
}

func clientOf(plan *scenario.Plan, name string) *user.Config {
	for i := range plan.Clients {
		if plan.Clients[i].Name == name {
			return &plan.Clients[i]
		}
	}
	return nil
}

func groupNames(plan *scenario.Plan) string {
	var names []string
	for _, c := range plan.Clients {
		names = append(names, c.Name)
	}
	return strings.Join(names, ", ")
}

// probe simulates one load, with a seed of its own.
func (x *simSearch) probe(ctx context.Context, p find.Probe) (find.Outcome, string, error) {
	o := x.o
	value := strconv.FormatFloat(p.Load, 'f', -1, 64)
	if !x.whole {
		value += "/s"
	}
	o.set = append(append([]string(nil), o.set...), x.path+"="+value)
	o.duration = x.warmup + p.Test.Most + time.Second
	plan, err := x.a.load(x.arg, o.seeded(x.seed+uint64(p.N)-1))
	if err != nil {
		return find.Outcome{}, "", err
	}
	for i := range plan.Clients {
		plan.Clients[i].RecordShare = 0 // every request is looked at
	}
	test, err := find.NewTest(p.Test, dsv.At(x.warmup))
	if err != nil {
		return find.Outcome{}, "", err
	}
	tap := &tap{of: x.of, test: test, from: dsv.At(x.warmup), service: clientOf(plan, x.of) == nil}
	_, err = campaign.Run(ctx, plan, nil, campaign.Hooks{Prepare: connecting(plan, func(string) {}), Deltas: tap.see})
	return test.Outcome(), "", err
}

// A tap hands what a group's clients met, or the callers of a service, to a test.
type tap struct {
	of      string
	test    *find.Test
	from    dsv.Instant
	issued  int64
	service bool
}

// see takes what was synchronised; false once the test has decided.
func (t *tap) see(deltas []dsv.Delta) bool {
	at := dsv.Instant(0)
	for i := range deltas {
		d := &deltas[i]
		at = max(at, d.T1)
		switch d.Name {
		case dsv.Name(t.of + ".records"):
			feedRecords(t.test, d.Value.Bytes, t.from)
		case dsv.Name(t.of + ".issued"):
			if d.T1 > t.from {
				t.issued += d.Value.Int
				t.test.Issued(d.T1, t.issued)
			}
		}
	}
	if t.service {
		find.Calls(deltas, t.of, t.from, t.test.Add)
	}
	return !t.test.Look(at)
}

// feedRecords feeds the requests of a chunk of records to a test; those that were due before from are no part of it.
func feedRecords(test *find.Test, chunk []byte, from dsv.Instant) {
	for b := range dmm.Records(chunk) {
		if len(b) < user.RecordSize {
			continue
		}
		r := user.DecodeRecord(b)
		if r.Due >= from {
			test.Add(r.Done, r.Done.Sub(r.Due).Seconds(), r.Cause != service.OK)
		}
	}
}

func unitOf(whole bool) string {
	if whole {
		return " users"
	}
	return "/s"
}
