package user_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/machine"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/session"
	"github.com/eve-emulation/eve/fase/step"
	"github.com/eve-emulation/eve/fase/user"
	"github.com/eve-emulation/eve/rdr"
)

// visit is home (list 0.8), list (item 0.6, home 0.1), item (list 0.7); what is missing to 1 is the exit.
func visit(t *testing.T) *user.Sessions {
	t.Helper()
	req := func(src string) *rdr.Block { return request(t, src) }
	return &user.Sessions{
		Name: "visit",
		Pages: []user.Page{
			{Name: "home", Request: req("call app { cpu 1ms }"), Think: &user.Think{Mean: 20 * time.Millisecond}},
			{Name: "list", Request: req("par { call app { cpu 1ms } call app { cpu 1ms } }"), Think: &user.Think{Mean: 50 * time.Millisecond, Exponential: true}},
			{Name: "item", Request: req("call app { fail 0.2 }")},
		},
		Chain: &session.Chain{
			Pages: []string{"home", "list", "item"},
			Steps: []session.Step{
				{Page: 0, Next: []session.Edge{{To: 1, P: 0.8}}},
				{Page: 1, Next: []session.Edge{{To: 2, P: 0.6}, {To: 0, P: 0.1}}},
				{Page: 2, Next: []session.Edge{{To: 1, P: 0.7}}},
			},
			Start: []session.Edge{{To: 0, P: 1}},
		},
	}
}

// sessionSet measures what sessions of these pages are measured by.
func sessionSet(t *testing.T, pages ...string) *dmm.Set {
	t.Helper()
	specs := []dmm.Spec{{Name: "crowd.records", Manipulator: "records"}}
	for _, n := range []string{"issued", "requests", "errors", "sessions_begun", "sessions"} {
		specs = append(specs, dmm.Spec{Name: dsv.Name("crowd." + n), Manipulator: "count"})
	}
	specs = append(specs, dmm.Spec{Name: "crowd.session_time", Manipulator: "histogram"}, dmm.Spec{Name: "crowd.latency", Manipulator: "histogram"})
	for _, p := range pages {
		specs = append(specs,
			dmm.Spec{Name: dsv.Name("crowd.visits." + p), Manipulator: "count"},
			dmm.Spec{Name: dsv.Name("crowd.page." + p + ".latency"), Manipulator: "histogram"},
			dmm.Spec{Name: dsv.Name("crowd.page." + p + ".errors"), Manipulator: "count"},
			dmm.Spec{Name: dsv.Name("crowd.page." + p + ".cut"), Manipulator: "sum"})
	}
	set, err := dmm.NewSet(1, 1, specs)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func number(set *dmm.Set, name string) float64 {
	x, _ := set.Var(dsv.Name("crowd." + name)).Read().Number()
	return x
}

func count(set *dmm.Set, name string) uint64 {
	return set.Var(dsv.Name("crowd." + name)).Read().Hist.Count()
}

// emulate steps a group against a host until the run's end, and stops there.
func emulate(cfg user.Config, set *dmm.Set, until time.Duration) []user.Record {
	cfg.Name, cfg.Topology, cfg.End = "crowd", topology, dsv.At(until)
	cfg.Services = []service.Config{{Name: "app", On: []int{0}}}
	w := &wire{
		group: user.NewGroup(cfg, set.Var),
		host:  service.NewHost(service.HostConfig{Machine: machine.Config{CPU: machine.CPUConfig{Cores: 8}}, Topology: topology, Services: cfg.Services}, set.Var),
	}
	m := service.Mapping{Epoch: 1, Replicas: []service.Replica{{Server: "server_1", State: service.Serving}}}
	w.host.Changed(0, 0, m)
	w.group.Changed(0, 0, m)
	step.NewDriver(w, w.host, w.group).Run(dsv.At(until))
	w.group.Settle(dsv.At(until))
	set.Close(dsv.At(until))
	var records []user.Record
	for _, delta := range set.Take(nil) {
		if delta.Name == "crowd.records" {
			for b := range dmm.Records(delta.Value.Bytes) {
				records = append(records, user.DecodeRecord(b))
			}
		}
	}
	return records
}

// TestSessionsFollowTheirWalk compares what a group asks with the walk of each session, page by page: the first is due when the
// session arrives, each further one when the one before was answered and its pause is over.
func TestSessionsFollowTheirWalk(t *testing.T) {
	set := sessionSet(t, "home", "list", "item")
	cfg := user.Config{Seed: 5, Rate: []user.Point{{Rate: 20}}, Sessions: visit(t)}
	byKey := map[rdr.Key]user.Record{}
	for _, r := range emulate(cfg, set, 60*time.Second) {
		byKey[r.Key] = r
	}
	cfg.End = dsv.At(60 * time.Second)
	pages, sessions := 0, 0
	for key, due := range cfg.Arrivals() {
		sessions++
		cfg.Sessions.Walk(key, func(n, page int, k rdr.Key, pause dsv.Instant) bool {
			r, ok := byKey[k]
			if !ok {
				if due < dsv.At(59*time.Second) {
					t.Fatalf("page %d of session %d: not asked by %v", n, sessions-1, due)
				}
				return false
			}
			if r.Due != due {
				t.Fatalf("page %d of session %d: due at %v, want %v", n, sessions-1, r.Due, due)
			}
			pages++
			due = r.Done + pause
			return true
		})
	}
	if pages != len(byKey) || sessions < 1000 {
		t.Errorf("got %d requests, want the %d pages of %d sessions", len(byKey), pages, sessions)
	}
	if off := cfg.OffPlan(slices.Collect(maps(byKey)), false); off != 0 {
		t.Errorf("off plan: got %d, want 0", off)
	}
	var some []user.Record
	for _, r := range byKey {
		r.Key++
		some = append(some, r)
		if len(some) == 7 {
			break
		}
	}
	if off := cfg.OffPlan(append(slices.Collect(maps(byKey)), some...), false); off != 7 {
		t.Errorf("off plan with 7 foreign requests: got %d", off)
	}
}

func maps(m map[rdr.Key]user.Record) func(func(user.Record) bool) {
	return func(yield func(user.Record) bool) {
		for _, r := range m {
			if !yield(r) {
				return
			}
		}
	}
}

// TestVisitsBalance checks the books of sessions: visits make up the requests, and visits together with what was cut short
// are what the fundamental matrix promises for the sessions that began, whether a failure ends a session or not.
func TestVisitsBalance(t *testing.T) {
	for name, cfg := range map[string]user.Config{
		"open":        {Seed: 5, Rate: []user.Point{{Rate: 40}}},
		"open leave":  {Seed: 6, Rate: []user.Point{{Rate: 40}}},
		"closed":      {Seed: 7, Users: 20, Think: &user.Think{Mean: 100 * time.Millisecond}},
		"long at end": {Seed: 8, Rate: []user.Point{{Rate: 0}, {At: dsv.At(49 * time.Second)}, {At: dsv.At(49*time.Second + 1), Rate: 20_000}}},
		"few retries": {Seed: 9, Rate: []user.Point{{Rate: 40}}, Retry: user.Retry{Attempts: 1, Backoff: time.Millisecond}},
		"impatience":  {Seed: 10, Rate: []user.Point{{Rate: 40}}, Patience: 1050 * time.Microsecond},
	} {
		t.Run(name, func(t *testing.T) {
			set := sessionSet(t, "home", "list", "item")
			cfg.Sessions = visit(t)
			cfg.Sessions.Leave = name == "open leave" || name == "impatience"
			emulate(cfg, set, 50*time.Second)
			v, err := cfg.Visits()
			if err != nil {
				t.Fatal(err)
			}
			begun, ended := number(set, "sessions_begun"), number(set, "sessions")
			if begun < 1000 || ended > begun || ended < begun/2 && name != "long at end" || float64(count(set, "session_time")) != ended {
				t.Fatalf("got %v sessions begun and %v ended", begun, ended)
			}
			visits, samples, errors, cut := 0.0, uint64(0), 0.0, 0.0
			for i, p := range cfg.Sessions.Chain.Pages {
				n, c := number(set, "visits."+p), number(set, "page."+p+".cut")
				visits, samples, errors, cut = visits+n, samples+count(set, "page."+p+".latency"), errors+number(set, "page."+p+".errors"), cut+c
				if z := (n + c - begun*v.Mean[i]) / math.Sqrt(begun*v.Variance[i]); math.Abs(z) > 4 {
					t.Errorf("page %s: %v visits and %v cut short of %v sessions: %v standard deviations from %v", p, n, c, begun, z, begun*v.Mean[i])
				}
			}
			if visits != number(set, "issued") || samples != count(set, "latency") || errors != number(set, "errors") {
				t.Errorf("pages: got %v visits, %v samples, %v errors; the group has %v, %v, %v", visits, samples, errors, number(set, "issued"), count(set, "latency"), number(set, "errors"))
			}
			if want := name == "open leave" || name == "long at end" || name == "impatience"; (cut > 0.05*visits) != want {
				t.Errorf("cut short: got %v of %v visits, want many: %v", cut, visits, want)
			}
		})
	}
}

func TestSessionsOfAMixAreOneRequestEach(t *testing.T) {
	set := sessionSet(t, "browse", "buy")
	cfg := user.Config{Seed: 5, Users: 3, Think: &user.Think{Mean: 5 * time.Millisecond}, Sessions: &user.Sessions{
		Mix:   true,
		Pages: []user.Page{{Name: "browse", Request: request(t, "call app { cpu 1ms }")}, {Name: "buy", Request: request(t, "call app { cpu 2ms }")}},
		Chain: session.Mix([]string{"browse", "buy"}, []float64{9, 1}),
	}}
	records := emulate(cfg, set, 20*time.Second)
	browse, buy := number(set, "visits.browse"), number(set, "visits.buy")
	if n := browse + buy; n < 8000 || math.Abs(buy-n/10) > 4*math.Sqrt(n*0.09) {
		t.Errorf("got %v and %v, want one in ten of at least 8000", browse, buy)
	}
	for _, r := range records {
		if r.Key != cfg.Key(0, 0) {
			continue
		}
		return // the request's key is the round's own, as it is without a mix
	}
	t.Error("the first request of user 0 has another key")
}

func TestPartsShareSessions(t *testing.T) {
	for name, cfg := range map[string]user.Config{
		"open":   {Seed: 7, Rate: []user.Point{{Rate: 100}}},
		"closed": {Seed: 7, Users: 23, Think: &user.Think{Mean: 20 * time.Millisecond, Exponential: true}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg.Name, cfg.Sessions = "crowd", visit(t)
			want, _, _ := answered(t, cfg, nil, 2*time.Second)
			var got []string
			cfg.Parts = 3
			for cfg.Part = range 3 {
				s, _, _ := answered(t, cfg, nil, 2*time.Second)
				got = append(got, s...)
			}
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) || len(want) < 300 {
				t.Errorf("got %d sends, want the %d of the undivided group", len(got), len(want))
			}
		})
	}
}

// TestOwnersOfSessions says whose a call is where sessions keep connections of their own: a session's calls have one owner,
// which leaves once, when the session is over, and only then is another's.
func TestOwnersOfSessions(t *testing.T) {
	cfg := user.Config{Name: "crowd", Seed: 3, Rate: []user.Point{{Rate: 200}}, Sessions: visit(t), Connections: user.Connections{Own: true}}
	set := sessionSet(t, "home", "list", "item")
	_, owners, leaves := answered(t, cfg, set, 5*time.Second)
	ended := int(number(set, "sessions"))
	if ended < 500 || len(leaves) > ended || len(leaves) < ended-1 { // the last one may end behind the run
		t.Errorf("got %d leaves, want one for each of the %d sessions that ended", len(leaves), ended)
	}
	if most := slices.Max(owners); most > 100 {
		t.Errorf("owners up to %d, want as many as sessions are under way", most)
	}
	cfg = user.Config{Name: "crowd", Seed: 3, Users: 4, Sessions: visit(t), Connections: user.Connections{Own: true}}
	_, owners, leaves = answered(t, cfg, nil, time.Second)
	if len(leaves) > 0 || slices.Max(owners) != 3 {
		t.Errorf("closed: got %d leaves and owners up to %d, want none and 3", len(leaves), slices.Max(owners))
	}
}

// TestSessionsWithoutTimeGetOn walks pages that take no time and mostly come again.
func TestSessionsWithoutTimeGetOn(t *testing.T) {
	s := &user.Sessions{
		Pages: []user.Page{{Name: "a", Request: request(t, "par { }")}},
		Chain: &session.Chain{Pages: []string{"a"}, Steps: []session.Step{{Next: []session.Edge{{To: 0, P: 0.9999}}}}, Start: []session.Edge{{To: 0, P: 1}}},
	}
	within(t, 10*time.Second, func() {
		set := sessionSet(t, "a")
		emulate(user.Config{Seed: 1, Users: 1, Sessions: s}, set, 20*time.Millisecond)
		if got := number(set, "sessions"); got < 15 || got > 20 {
			t.Errorf("sessions of one user in 20 ms: got %v, want one each millisecond", got)
		}
	})
}

func TestPlanHashCoversSessions(t *testing.T) {
	hash := func(change func(*user.Sessions)) string {
		s := visit(t)
		change(s)
		cfg := user.Config{Seed: 1, Rate: []user.Point{{Rate: 1}}, Sessions: s}
		return cfg.PlanHash()
	}
	same := hash(func(*user.Sessions) {})
	if again := hash(func(*user.Sessions) {}); again != same {
		t.Errorf("got %s and %s of one plan", same, again)
	}
	for name, change := range map[string]func(*user.Sessions){
		"a chance": func(s *user.Sessions) { s.Chain.Steps[2].Next[0].P = 0.69 },
		"a pause":  func(s *user.Sessions) { s.Pages[1].Think.Mean++ },
		"a start":  func(s *user.Sessions) { s.Chain.Start[0].To = 1 },
	} {
		if hash(change) == same {
			t.Errorf("%s changes nothing", name)
		}
	}
	one := user.Config{Seed: 1, Rate: []user.Point{{Rate: 1}}}
	if got, want := one.PlanHash(), plainHash; got != want {
		t.Errorf("a group without sessions: got %s, want %s as ever", got, want)
	}
}

// TestSteadySessionsAllocateNothing walks sessions in a group that has been as large before.
func TestSteadySessionsAllocateNothing(t *testing.T) {
	cfg := user.Config{
		Name: "crowd", Topology: topology, Services: []service.Config{{Name: "app", On: []int{0}}}, End: dsv.At(time.Hour),
		Rate: []user.Point{{Rate: 300}}, Sessions: visit(t),
	}
	set, err := dmm.NewSet(1, 1, []dmm.Spec{{Name: "crowd.visits.home", Manipulator: "count"}})
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{
		group: user.NewGroup(cfg, set.Var),
		host:  service.NewHost(service.HostConfig{Machine: machine.Config{CPU: machine.CPUConfig{Cores: 8}}, Topology: topology, Services: cfg.Services}, set.Var),
	}
	m := service.Mapping{Epoch: 1, Replicas: []service.Replica{{Server: "server_1", State: service.Serving}}}
	w.host.Changed(0, 0, m)
	w.group.Changed(0, 0, m)
	d := step.NewDriver(w, w.host, w.group)
	at := dsv.At(20 * time.Second)
	d.Run(at)
	if n := testing.AllocsPerRun(10, func() {
		at = at.Add(time.Second)
		d.Run(at)
	}); n > 3 {
		t.Errorf("got %v allocations in about 800 pages, want none", n)
	}
}

func ExampleConfig_Visits() {
	cfg := user.Config{Sessions: &user.Sessions{Chain: session.Mix([]string{"browse", "buy"}, []float64{3, 1})}}
	v, err := cfg.Visits()
	fmt.Println(v.Mean, err)
	// Output: [0.75 0.25] <nil>
}

// plainHash is the plan of a Poisson group of 1/s and seed 1, as it was before there were sessions.
const plainHash = "131907bcca4d512d0b1c1bdba8263db4087d54d40224871052538a4c3b8dae21"
