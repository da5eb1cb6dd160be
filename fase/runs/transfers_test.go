package runs_test

import (
	"testing"
	"time"

	"github.com/eve-emulation/eve/fase/machine"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/runs/runstest"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/service"
)

// Two copies are asked for at once, of which the first has left when the second is given up; another follows, from another source; and a
// move that stops the service is given up.
func TestTransfers(t *testing.T) {
	m := runstest.NewMemory()
	plan := runstest.Plan(20*time.Second, time.Second, []string{"g"}, []string{"app"}, []string{"a", "b", "c", "d"})
	plan.Services = []service.Config{{Name: "app", On: []int{0}, Size: 1_000_000}}
	for _, s := range []string{"a", "b"} {
		plan.Servers = append(plan.Servers, scenario.Server{Name: s})
		plan.Measures = append(plan.Measures, runstest.Measure("last", s+".app.copied"))
	}
	plan.Servers[0].Machine.Link.Rate = machine.BitRate(4e6)
	w, err := runstest.NewWriter(plan, m)
	if err != nil {
		t.Fatal(err)
	}
	serving := func(x string) service.Replica {
		return service.Replica{Server: x, State: service.Serving, Since: 1}
	}
	copying := func(x, source string, since uint32) service.Replica {
		return service.Replica{Server: x, State: service.Copying, Since: since, Source: source}
	}
	stopped := serving("b")
	stopped.State, stopped.Since = service.Stopped, 7
	for _, x := range []struct {
		at       float64
		epoch    uint32
		replicas []service.Replica
	}{
		{0, 1, []service.Replica{serving("a")}},
		{1, 2, []service.Replica{serving("a"), copying("b", "a", 2), copying("c", "a", 3)}},
		{3.5, 4, []service.Replica{serving("a"), serving("b"), copying("c", "a", 3)}},
		{4, 5, []service.Replica{serving("a"), serving("b")}},
		{5, 6, []service.Replica{serving("a"), serving("b"), copying("d", "b", 6)}},
		{8, 7, []service.Replica{stopped, copying("d", "b", 7)}},
		{10, 8, []service.Replica{serving("b")}},
	} {
		if err := w.Map("app", service.Mapping{Epoch: x.epoch, At: sec(x.at), Replicas: x.replicas}); err != nil {
			t.Fatal(err)
		}
	}
	w.Var("a.app.copied").Write(sec(3), 2)
	w.Var("b.app.copied").Write(sec(7.5), 6)
	if err := w.Close(sec(20)); err != nil {
		t.Fatal(err)
	}
	type transfer struct {
		from, to                                string
		began, left, serving, took, at, without float64 // -1: none
	}
	want := []transfer{
		{"a", "b", 1, 3, 3.5, 2, 2, 0},
		{"a", "c", 1, -1, -1, -1, 2, 0},
		{"b", "d", 5, 7.5, -1, 2.5, -1, 0},
		{"b", "d", 8, -1, -1, -1, -1, 2},
	}
	got := runs.Summarise(plan, m, runs.Extras{Kind: runs.Real}).Transfers
	if len(got) != len(want) {
		t.Fatalf("got %+v, want %d transfers", got, len(want))
	}
	n := func(x runs.Number) float64 {
		if x != x {
			return -1
		}
		return float64(x)
	}
	for i, x := range got {
		if g := (transfer{x.From, x.To, n(x.Began), n(x.Left), n(x.Serving), n(x.Took), n(x.AtLink), n(x.Downtime)}); g != want[i] {
			t.Errorf("transfer %d: got %+v, want %+v", i, g, want[i])
		}
	}
}
