package user_test

import (
	"testing"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/machine"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/step"
	"github.com/eve-emulation/eve/fase/user"
	"github.com/eve-emulation/eve/rdr"
)

// wire carries effects between one group and one host, without time passing on the way.
type wire struct {
	group *user.Group
	host  *service.Host
}

func (w *wire) Route(_ int, e step.Effect) {
	switch e.Kind {
	case step.Send:
		w.group.Sent(e.At, e.Ref)
		w.host.Arrive(e.At, w.group.Request(e.Ref), uint64(e.Ref))
	case step.Reply:
		w.group.Answer(e.At, step.Ref(e.Key), service.Answer{Status: int(e.Code), Bytes: e.N})
	}
}

var topology = &service.Topology{Servers: []string{"server_1"}, Services: []string{"app"}}

// run steps a group against one host and returns what the group recorded.
func run(t *testing.T, cfg user.Config, mach machine.Config, until time.Duration) []user.Record {
	t.Helper()
	set, err := dmm.NewSet(1, 1, []dmm.Spec{{Name: "crowd.records", Manipulator: "records"}})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Name, cfg.Topology, cfg.End = "crowd", topology, dsv.At(until)
	cfg.Services = []service.Config{{Name: "app", On: []int{0}}}
	w := &wire{
		group: user.NewGroup(cfg, set.Var),
		host:  service.NewHost(service.HostConfig{Machine: mach, Topology: topology, Services: cfg.Services}, set.Var),
	}
	m := service.Mapping{Epoch: 1, Replicas: []service.Replica{{Server: "server_1", State: service.Serving}}}
	w.host.Changed(0, 0, m)
	w.group.Changed(0, 0, m)
	d := step.NewDriver(w, w.host, w.group)
	d.Run(dsv.At(2 * until))
	if n := w.group.InFlight(); n != 0 {
		t.Fatalf("requests in flight after twice the run: got %d, want 0", n)
	}
	set.Close(dsv.At(2 * until))
	var records []user.Record
	for _, delta := range set.Take(nil) {
		for b := range dmm.Records(delta.Value.Bytes) {
			records = append(records, user.DecodeRecord(b))
		}
	}
	return records
}

func request(t *testing.T, src string) *rdr.Block {
	t.Helper()
	f, err := rdr.ParseFile("test", []byte("request page { "+src+" }"), rdr.StartRequest)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := f.Request("page")
	return b
}

// cpuDemand is the CPU time that a request of this key draws at the server.
func cpuDemand(b *rdr.Block, key rdr.Key) int64 {
	var sum int64
	b.Draw(key, "", func(d *rdr.Demand) {
		if d.Op == rdr.OpCall {
			d.Block.Draw(d.Key, "", func(d *rdr.Demand) {
				if d.Op == rdr.OpCPU {
					sum += d.N
				}
			})
		}
	})
	return sum
}

// An open queue served first come first served obeys Lindley's recursion exactly, request by request.
func TestOpenQueueFollowsLindley(t *testing.T) {
	b := request(t, "call app { cpu exp(10ms) reply 1KiB }")
	cfg := user.Config{Seed: 7, Request: b, Rate: []user.Point{{Rate: 70}}}
	records := run(t, cfg, machine.Config{}, 60*time.Second)
	if len(records) < 3800 || len(records) > 4600 {
		t.Fatalf("requests in 60 s at 70/s: got %d, want 4200 ± 400", len(records))
	}
	var free dsv.Instant
	for i, r := range records { // in order of departure, which is the order of arrival
		free = max(free, r.Due) + dsv.Instant(cpuDemand(b, r.Key))
		if r.Done != free {
			t.Fatalf("request %d due at %v: done at %v, want %v", i, r.Due, r.Done, free)
		}
		if r.Cause != service.OK || r.Sent != r.Due {
			t.Fatalf("request %d: got cause %v, sent at %v, want ok, sent at %v", i, r.Cause, r.Sent, r.Due)
		}
	}
	cfg.End = dsv.At(60 * time.Second)
	if off := cfg.OffPlan(records, false); off != 0 {
		t.Errorf("requests off plan: got %d, want 0", off)
	}
	records[5].Key++
	records[6].Due++
	if off := cfg.OffPlan(records, false); off != 2 {
		t.Errorf("requests off plan after two were changed: got %d, want 2", off)
	}
}

// The mean of an M/M/1 queue is S/(1-rho); with processor sharing too. 600 000 ms at rho 0.5 give a relative standard
// error of about sqrt(8.5/n) for n = 60 000 (see stat's asymptotic variances), 1.2 %; four of them are allowed.
func TestMeanResponse(t *testing.T) {
	for _, discipline := range []machine.Discipline{machine.FCFS, machine.PS} {
		b := request(t, "call app { cpu exp(5ms) }")
		cfg := user.Config{Seed: 3, Request: b, Rate: []user.Point{{Rate: 100}}}
		records := run(t, cfg, machine.Config{CPU: machine.CPUConfig{Discipline: discipline}}, 600*time.Second)
		var sum float64
		for _, r := range records {
			sum += r.Done.Sub(r.Due).Seconds()
		}
		got, want := sum/float64(len(records)), 0.010
		if got < want*0.952 || got > want*1.048 {
			t.Errorf("mean response, discipline %d: got %.5f s, want %.5f ± 4.8 %%", discipline, got, want)
		}
	}
}

// A closed population keeps at most its users in flight, thinks between requests, and obeys the interactive law.
func TestClosedPopulation(t *testing.T) {
	b := request(t, "call app { cpu exp(10ms) }")
	cfg := user.Config{Seed: 1, Request: b, Users: 10, Think: &user.Think{Mean: 100 * time.Millisecond, Exponential: true}}
	records := run(t, cfg, machine.Config{}, 200*time.Second)
	// Exact mean value analysis of the machine repairman with N=10, Z=10 S: X·S = 0.78542.
	got := float64(len(records)) / 200 * 0.010
	if got < 0.76 || got > 0.81 {
		t.Errorf("throughput times service time: got %.4f, want 0.78542 ± 0.025", got)
	}
	cfg.End = dsv.At(200 * time.Second)
	if off := cfg.OffPlan(records, false); off != 0 {
		t.Errorf("requests off plan: got %d, want 0", off)
	}
}

// Patience ends a request at its bound, whatever the server still does.
func TestPatience(t *testing.T) {
	b := request(t, "call app { cpu 300ms }")
	cfg := user.Config{Seed: 1, Request: b, Law: user.Constant, Rate: []user.Point{{Rate: 10}}, Patience: time.Second}
	records := run(t, cfg, machine.Config{}, 10*time.Second)
	abandoned := 0
	for _, r := range records {
		if d := r.Done.Sub(r.Due); d > time.Second {
			t.Fatalf("response time with a patience of 1 s: got %v", d)
		}
		if r.Cause == service.Abandoned {
			abandoned++
			if d := r.Done.Sub(r.Due); d != time.Second {
				t.Fatalf("abandoned request: got response time %v, want 1s", d)
			}
		}
	}
	if abandoned == 0 || abandoned == len(records) {
		t.Errorf("abandoned: got %d of %d, want some", abandoned, len(records))
	}
}

// A rate that is set keeps what is left of the gap, and the plan's keys.
func TestSetRate(t *testing.T) {
	b := request(t, "call app { cpu 0 }")
	cfg := user.Config{
		Name: "crowd", Seed: 1, Request: b, Law: user.Constant, Rate: []user.Point{{Rate: 1}}, End: dsv.At(20 * time.Second),
		Topology: topology, Services: []service.Config{{Name: "app"}},
	}
	var due []float64
	g := user.NewGroup(cfg, func(dsv.Name) *dmm.Var { return nil })
	g.Changed(0, 0, service.Mapping{Epoch: 1, Replicas: []service.Replica{{Server: "server_1", State: service.Serving}}})
	g.SetRate(0, dsv.At(2500*time.Millisecond), 2)
	for g.Next() < dsv.At(4*time.Second) {
		g.Advance(g.Next())
		for _, e := range g.Effects() {
			if e.Kind == step.Send {
				due = append(due, e.At.Seconds())
			}
		}
	}
	want := []float64{1, 2, 2.75, 3.25, 3.75} // half a gap was left at 2.5 s, which takes 0.25 s at 2/s
	if len(due) != len(want) {
		t.Fatalf("arrivals: got %v, want %v", due, want)
	}
	for i := range want {
		if due[i] != want[i] {
			t.Errorf("arrival %d: got %v s, want %v s", i, due[i], want[i])
		}
	}
}

func TestPlanHash(t *testing.T) {
	open := user.Config{Seed: 1, Rate: []user.Point{{Rate: 1}}}
	other := open
	other.Seed = 2
	closed := user.Config{Seed: 1, Users: 3}
	if first, second := open.PlanHash(), open.PlanHash(); first != second {
		t.Error("plan hash: got two values for one plan")
	}
	if open.PlanHash() == other.PlanHash() || open.PlanHash() == closed.PlanHash() {
		t.Error("plan hash: got one value for two plans")
	}
}
