package app

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/exact"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/user"
)

// A system is a queueing system of which theory knows the mean response, and of which the exact path of every request can be computed. Its
// parts of a scenario are templates in which @ stands for its tag, which leads all its names.
type system struct {
	card, name string
	tag        string
	requests   string // RDR
	servers    []string
	services   []string
	clients    []string
	path       func(c *course) []dsv.Instant
	runs       func(c *course) []dsv.Instant // the path of a run, where it takes more than arrivals and demands; nil: path
	of         func(group int) bool          // whose requests count; nil: all
	theory     float64                       // mean response, s, or mean score
	variance   float64                       // asymptotic variance of a response by the square of the mean: what a sample tells
	wall       bool                          // it is run for real too
	slack      time.Duration                 // by which virtual time may deviate from the path
	closed     bool                          // arrivals follow from departures
	fluid      bool                          // E16: the load steps up and down; judged by peak and drain
	full       bool                          // E17: offered twice what it can carry; judged by throughput

	score     func(took float64, refused bool) float64         // what theory tells of a request; NaN: nothing; nil: how long it took
	share     bool                                             // the score is a share
	slow      bool                                             // its requests have many calls: the test that comes with every change leaves it out
	tolerance float64                                          // by which share theory itself may be wrong, where it is an approximation
	rounds    func(c *course, g *user.Config, end dsv.Instant) // closed: what its users ask; nil: of one station
}

// demand is the mean CPU demand of every station but where a system says otherwise: not less, so that what a wake-up costs is small beside it.
const demand = 5 * time.Millisecond

// one is a system of one station with one open group: server says what it is, law what a request demands.
func one(card, name, tag, server, law string, rate, theory, variance float64, path func(int, []exact.Job) []dsv.Instant, servers int) system {
	return system{
		card: card, name: name, tag: tag,
		requests: "request @job { call @s { " + law + " } }",
		servers:  []string{"@x: {" + server + ", run: hold, process: truth}"}, services: []string{"@s: {on: [@x]}"},
		clients: []string{fmt.Sprintf("@g: {request: @job, arrive: poisson, rate: %g/s, patience: none}", rate)},
		theory:  theory, variance: variance,
		path: func(c *course) []dsv.Instant {
			return c.single(func(js []exact.Job) []dsv.Instant { return path(servers, js) })
		},
	}
}

func slowly(s system) system {
	s.slow = true
	return s
}

// real marks a system as one that is run for real too.
func real(s system) system {
	s.wall = true
	return s
}

// must is a value of theory; its arguments are constants of this file.
func must(x float64, err error) float64 {
	if err != nil {
		panic(err)
	}
	return x
}

// h2 is an hyperexponential demand of mean 5 ms and squared coefficient of variation 4, of balanced means.
const h2 = "choose { 0.887298: { cpu exp(2817.5us) } 0.112702: { cpu exp(22182.5us) } }"

// The asymptotic variances are measured: 400 replications of 100 000 requests of each system, by an independent program.
func systems() []system {
	const s = 5e-3
	var list []system
	add := func(x ...system) { list = append(list, x...) }
	for _, x := range []struct{ rho, variance float64 }{{0.3, 4.5}, {0.5, 8.5}, {0.7, 33}, {0.8, 82}, {0.9, 329}} {
		c := one("E1", fmt.Sprintf("M/M/1 at %g", x.rho), fmt.Sprintf("m%.0f_", 10*x.rho), "cpus: 1", "cpu exp(5ms)", x.rho/s, s/(1-x.rho), x.variance, exact.FCFS, 1)
		c.wall = x.rho != 0.3 && x.rho != 0.8
		add(c)
	}
	for _, x := range []struct{ rho, variance float64 }{{0.5, 1.3}, {0.7, 7.8}, {0.8, 24}, {0.9, 150}} {
		c := one("E2", fmt.Sprintf("M/D/1 at %g", x.rho), fmt.Sprintf("d%.0f_", 10*x.rho), "cpus: 1", "cpu 5ms", x.rho/s, s*must(exact.MG1(x.rho, 0)), x.variance, exact.FCFS, 1)
		c.wall = x.rho == 0.7
		add(c)
	}
	for _, x := range []struct {
		name, tag, law string
		scv, variance  float64
		wall           bool
	}{
		{"M/U/1 at 0.7", "u_", "cpu uniform(0ms, 10ms)", 1.0 / 3, 12, false},
		{"M/E2/1 at 0.7", "e_", "cpu erlang(2, 5ms)", 0.5, 16, false},
		{"M/LN/1 at 0.7", "l_", "cpu lognormal(4.0824829ms, 0.6367614)", 0.5, 20, true},
		{"M/H2/1 at 0.7", "h_", h2, 4, 147, true},
	} {
		c := one("E3", x.name, x.tag, "cpus: 1", x.law, 0.7/s, s*must(exact.MG1(0.7, x.scv)), x.variance, exact.FCFS, 1)
		c.wall = x.wall
		add(c)
	}
	for _, x := range []struct {
		c        int
		variance float64
	}{{2, 64}, {4, 38}, {8, 18}, {16, 9}} {
		const rho = 0.8
		mean := s * float64(max(1, x.c/2)) // so that larger ones do not ask for more than two servers do
		c := one("E4", fmt.Sprintf("M/M/%d at %g", x.c, rho), fmt.Sprintf("c%d_", x.c), fmt.Sprintf("cpus: %d", x.c), fmt.Sprintf("cpu exp(%gms)", 1e3*mean),
			rho*float64(x.c)/mean, mean*must(exact.MMc(x.c, rho)), x.variance, exact.FCFS, x.c)
		c.wall = x.c != 8
		add(c)
	}
	for _, users := range []int{1, 5, 10, 12, 20} {
		add(repairman(users))
	}
	add(real(tandem()))
	for _, x := range []struct {
		name, tag, law string
		rho, variance  float64
		wall           bool
	}{
		{"M/M/1-PS at 0.7", "pm7_", "cpu exp(5ms)", 0.7, 33, true},
		{"M/D/1-PS at 0.7", "pd7_", "cpu 5ms", 0.7, 13, true},
		{"M/H2/1-PS at 0.7", "ph7_", h2, 0.7, 95, true},
		{"M/M/1-PS at 0.5", "pm5_", "cpu exp(5ms)", 0.5, 9, false},
		{"M/H2/1-PS at 0.5", "ph5_", h2, 0.5, 29, false},
	} {
		c := one("E10", x.name, x.tag, "cpus: 1, discipline: ps", x.law, x.rho/s, s/(1-x.rho), x.variance, exact.PS, 1)
		c.wall, c.slack = x.wall, time.Microsecond
		add(c)
	}
	add(priorities()...)
	for _, x := range []struct{ rho, variance float64 }{{0.3, 3}, {0.5, 7}, {0.7, 36}, {0.8, 85}} {
		c := forkJoin(2, x.rho, s*must(exact.ForkJoin2(x.rho)), x.variance)
		c.wall = x.rho == 0.7
		add(c)
	}
	// Of more branches there are simulated means: Nelson and Tantawi's approximation is up to 4 % below them.
	add(renamed(forkJoin(4, 0.5, s*3.842, 7), "E13"), renamed(forkJoin(8, 0.5, s*4.845, 7), "E13"))
	add(bounded()...)
	add(threeStations(), feedback(), slowly(approximated(16, 0.5, 7)), slowly(approximated(4, 0.7, 33)), fanOut(10), slowly(fanOut(100)))
	add(real(choices(2, 2.830, 110)), choices(3, 2.272, 120))
	add(stepUp(), saturated())
	slices.SortStableFunc(list, func(a, b system) int { return cmp.Compare(cardNumber(a.card), cardNumber(b.card)) })
	return list
}

// choiceServers is of how many servers E15 chooses.
const choiceServers = 16

// choices is E15: each request joins the shortest of d different lines that are drawn at random, of 16 at 0.9. In the limit of many servers the
// mean response is exact.Choices; of 16 an independent program has followed the Markov chain of the lines' lengths for 800 million steps, to
// 0.05 %. Where one line may be drawn twice it is 3 % more. In a run requests go where Eve sends them, and the path is that of each server.
func choices(d int, theory, variance float64) system {
	const mean = 20e-3 // so that 16 servers do not ask for too many requests
	return system{
		card: "E15", name: fmt.Sprintf("shortest of %d of %d at 0.9", d, choiceServers), tag: fmt.Sprintf("j%d_", d),
		requests: "request @job { call @s { cpu exp(20ms) } }",
		servers:  []string{fmt.Sprintf("@x: {count: %d, cpus: 1, run: hold, process: truth}", choiceServers)},
		services: []string{fmt.Sprintf("@s: {on: [@x], balance: power of %d}", d)},
		clients:  []string{fmt.Sprintf("@g: {request: @job, arrive: poisson, rate: %g/s, patience: none}", 0.9*choiceServers/mean)},
		theory:   mean * theory, variance: variance,
		path: func(c *course) []dsv.Instant { return c.shortest(choiceServers, d) }, runs: (*course).perServer,
	}
}

func renamed(s system, card string) system {
	s.card = card
	return s
}

// repairman is E6: users who think for ten demands.
func repairman(users int) system {
	c := must2(exact.MVA(users, 10*demand.Seconds(), demand.Seconds()))
	return system{
		card: "E6", name: fmt.Sprintf("M/M/1//%d, Z = 10 S", users), tag: fmt.Sprintf("z%d_", users),
		requests: "request @job { call @s { cpu exp(5ms) } }",
		servers:  []string{"@x: {cpus: 1, run: hold, process: truth}"}, services: []string{"@s: {on: [@x]}"},
		clients: []string{fmt.Sprintf("@g: {request: @job, users: %d, think: exp(50ms), patience: none}", users)},
		theory:  c.Response, variance: 14, closed: true, wall: users == 12,
		path: func(c *course) []dsv.Instant {
			return c.single(func(js []exact.Job) []dsv.Instant { return exact.FCFS(1, js) })
		},
	}
}

func must2(c exact.Closed, err error) exact.Closed {
	if err != nil {
		panic(err)
	}
	return c
}

// tandem is E8: three stations one after the other.
func tandem() system {
	return system{
		card: "E8", name: "tandem of three, 140/s", tag: "t_",
		requests: "request @job { call @s1 { cpu exp(5ms) } call @s2 { cpu exp(4ms) } call @s3 { cpu exp(2500us) } }",
		servers:  []string{"@x1: {cpus: 1, run: hold, process: truth}", "@x2: {cpus: 1, run: hold, process: truth}", "@x3: {cpus: 1, run: hold, process: truth}"},
		services: []string{"@s1: {on: [@x1]}", "@s2: {on: [@x2]}", "@s3: {on: [@x3]}"},
		clients:  []string{"@g: {request: @job, arrive: poisson, rate: 140/s, patience: none}"},
		theory:   must(exact.Tandem(140, 5e-3, 4e-3, 2.5e-3)), variance: 15,
		path: (*course).tandem,
	}
}

// priorities is E11: two classes at one server that lets each demand end.
func priorities() []system {
	rs, err := exact.Cobham(0.3, 0.4)
	if err != nil {
		panic(err)
	}
	both := system{
		card: "E11", tag: "q_", slack: 0,
		requests: "request @soon { call @s { priority 10 cpu exp(5ms) } }\nrequest @late { call @s { priority 1 cpu exp(5ms) } }",
		servers:  []string{"@x: {cpus: 1, discipline: priority, run: hold, process: truth}"}, services: []string{"@s: {on: [@x]}"},
		clients: []string{
			"@ga: {request: @soon, arrive: poisson, rate: 60/s, patience: none}",
			"@gb: {request: @late, arrive: poisson, rate: 80/s, patience: none}",
		},
		path: (*course).byGroup,
	}
	first, second := both, both
	first.name, first.of, first.theory, first.variance = "priority: first class", func(g int) bool { return g == 0 }, 5e-3*rs[0], 12
	second.name, second.of, second.theory, second.variance = "priority: second class", func(g int) bool { return g == 1 }, 5e-3*rs[1], 80
	second.tag, second.wall = "r_", true
	return []system{first, second}
}

// forkJoin is E12 and E13: a request asks n stations at once and waits for all.
func forkJoin(n int, rho, theory, variance float64) system {
	c := system{card: "E12", name: fmt.Sprintf("fork-join of %d at %g", n, rho), tag: fmt.Sprintf("f%d%.0f_", n, 10*rho), theory: theory, variance: variance, path: (*course).forkJoin}
	var calls strings.Builder
	for i := 1; i <= n; i++ {
		fmt.Fprintf(&calls, " call @s%d { cpu exp(5ms) }", i)
		c.servers = append(c.servers, fmt.Sprintf("@x%d: {cpus: 1, run: hold, process: truth}", i))
		c.services = append(c.services, fmt.Sprintf("@s%d: {on: [@x%d]}", i, i))
	}
	c.requests = "request @job { par {" + calls.String() + " } }"
	c.clients = []string{fmt.Sprintf("@g: {request: @job, arrive: poisson, rate: %g/s, patience: none}", rho/demand.Seconds())}
	return c
}

// When the load of E16 steps up, and for how long.
const (
	stepsUp  = 8 * time.Second
	stepsFor = 2 * time.Second
)

// stepUp is E16: half of what the station carries, and one and a half times as much for 2 s. In the fluid limit 200 requests come together,
// the last of which waits for 1 s, and they are gone 2 s later.
func stepUp() system {
	c := one("E16", "step from 0.5 to 1.5 and back", "w_", "cpus: 1", "cpu 5ms", 100, 0, 0, exact.FCFS, 1)
	c.clients = []string{"@g: {request: @job, arrive: constant, rate: {0s: 100/s, 7999ms: 100/s, 8s: 300/s, 9999ms: 300/s, 10s: 100/s}, patience: none}"}
	c.fluid, c.wall = true, true
	return c
}

// saturated is E17: twice what the station can carry.
func saturated() system {
	c := one("E17", "offered twice the capacity", "x_", "cpus: 1", "cpu 5ms", 400, 0, 0, exact.FCFS, 1)
	c.full, c.wall = true, true
	return c
}

// scenarioOf writes the scenario of some systems, side by side.
func scenarioOf(name string, list []system, length, warmup time.Duration, seed int64) string {
	var requests, servers, services, clients strings.Builder
	for i := range list {
		s := &list[i]
		put := func(b *strings.Builder, lines ...string) {
			for _, l := range lines {
				for part := range strings.SplitSeq(strings.ReplaceAll(l, "@", s.tag), "\n") {
					b.WriteString("  " + part + "\n")
				}
			}
		}
		put(&requests, s.requests)
		put(&servers, s.servers...)
		put(&services, s.services...)
		put(&clients, s.clients...)
	}
	return fmt.Sprintf("eve: 1\nname: %s\nduration: %gs\nwarmup: %gs\nseed: %d\nrecords: 100000/s\nrequests: |\n%sservers:\n%sservices:\n%sclients:\n%s",
		name, length.Seconds(), warmup.Seconds(), seed, requests.String(), servers.String(), services.String(), clients.String())
}

// The periods at which the servers of systems tell what they measure. All of them do so at the same instants: ten times a second, as is
// standard, that of a hundred servers takes longer than the differences may be that are measured here.
const (
	seldomTold     = 5 * time.Second
	seldomRecorded = time.Second
)

// seldom has all servers of a scenario tell their measurements seldom.
func seldom(text string, compile func(name, text string) (*scenario.Plan, error)) (string, error) {
	plan, err := compile("systems", text)
	if err != nil {
		return "", err
	}
	farms := map[string]string{} // by server
	for _, f := range plan.Farms {
		for _, i := range f.Servers {
			farms[plan.Servers[i].Name] = f.Name
		}
	}
	var b strings.Builder
	b.WriteString(text + "measure:\n")
	told := map[string]bool{}
	for i := range plan.Measures {
		m := &plan.Measures[i]
		every := seldomTold
		if m.Manipulator == "records" {
			every = seldomRecorded
		}
		if m.Sync.Every == 0 || m.Sync.Every >= every || !slices.ContainsFunc(plan.Servers, func(s scenario.Server) bool { return slices.Contains(m.Owners, s.Name) }) {
			continue
		}
		name := string(m.Name)
		if owner, leaf, ok := strings.Cut(name, "."); ok && farms[owner] != "" {
			name = farms[owner] + "." + leaf
		}
		if !told[name] {
			told[name] = true
			fmt.Fprintf(&b, "  %s: {sync: {every: %v}}\n", name, every)
		}
	}
	return b.String(), nil
}
