package user_test

import (
	"testing"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/step"
	"github.com/eve-emulation/eve/fase/user"
	"github.com/eve-emulation/eve/rdr"
)

// BenchmarkRequest measures what a group itself needs for a request of a closed population, with all that is measured of it:
// issued, carried, sent and answered.
func BenchmarkRequest(b *testing.B) {
	file, err := rdr.ParseFile("test.rdr", []byte(`request page { http app GET "/" }`), rdr.StartRequest)
	if err != nil {
		b.Fatal(err)
	}
	page, _ := file.Request("page")
	var specs []dmm.Spec
	for _, n := range []dsv.Name{"crowd.latency", "crowd.send_lag", "crowd.connect", "crowd.first_byte", "app.latency"} {
		specs = append(specs, dmm.Spec{Name: n, Manipulator: "histogram"})
	}
	for _, n := range []dsv.Name{"crowd.issued", "crowd.requests", "crowd.errors", "crowd.late", "app.requests", "app.errors"} {
		specs = append(specs, dmm.Spec{Name: n, Manipulator: "count"})
	}
	set, err := dmm.NewSet(1, 1, specs)
	if err != nil {
		b.Fatal(err)
	}
	g := user.NewGroup(user.Config{
		Name: "crowd", Seed: 1, Request: page, Users: 64, End: dsv.Never,
		Topology: &service.Topology{Servers: []string{"server_1"}, Services: []string{"app"}},
		Services: []service.Config{{Name: "app", On: []int{0}}},
	}, set.Var)
	g.Changed(0, 0, service.Mapping{Epoch: 1, Replicas: []service.Replica{{Server: "server_1", State: service.Serving}}})
	var under []step.Ref
	now := dsv.Instant(0)
	b.ReportAllocs()
	b.ResetTimer()
	for n := 0; n < b.N; {
		for g.Next() <= now {
			g.Advance(g.Next())
		}
		for _, e := range g.Effects() {
			under = append(under, e.Ref)
		}
		for i, ref := range under {
			g.Sent(now+dsv.Instant(i), ref)
		}
		now += 100_000
		for _, ref := range under {
			g.Answer(now, ref, service.Answer{Status: 200})
			n++
		}
		under = under[:0]
	}
}
