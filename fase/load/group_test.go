package load_test

import (
	"testing"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/load"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/user"
	"github.com/eve-emulation/eve/rdr"
)

var _ load.Group = (*user.Group)(nil)

// Groups as scenarios have them, open and closed, over real sockets: what the group counts is what the loop counts.
func TestUserGroups(t *testing.T) {
	const end = 300 * time.Millisecond
	file, err := rdr.ParseFile("test.rdr", []byte("request page { call app { cpu 1ms reply 100B } wait 20ms call app { reply 1B } }"), rdr.StartRequest)
	if err != nil {
		t.Fatal(err)
	}
	page, _ := file.Request("page")
	services := []service.Config{{Name: "app", On: []int{0}}}
	base := user.Config{
		Name: "crowd", Request: page, End: dsv.At(end), Services: services,
		Topology: &service.Topology{Servers: []string{"server_1"}, Services: []string{"app"}},
	}
	opened := base
	opened.Rate = []user.Point{{Rate: 500}}
	closed := base
	closed.Users, closed.Think = 5, &user.Think{Mean: 5 * time.Millisecond, Exponential: true}
	impatient := base
	impatient.Rate, impatient.Patience = []user.Point{{Rate: 200}}, 30*time.Millisecond

	tests := []struct {
		name    string
		cfg     user.Config
		address string
		failing bool
	}{
		{"open", opened, reactor(t), false},
		{"closed", closed, reactor(t), false},
		{"refused", opened, refused(t), true},
		{"silent", impatient, serve(t, hush), true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var specs []dmm.Spec
			for _, n := range []dsv.Name{"crowd.issued", "crowd.requests", "crowd.errors"} {
				specs = append(specs, dmm.Spec{Name: n, Manipulator: "count"})
			}
			set, err := dmm.NewSet(1, 1, specs)
			if err != nil {
				t.Fatal(err)
			}
			g := user.NewGroup(test.cfg, set.Var)
			l := open(t, start(load.Config{
				Groups: []load.Group{g}, Address: to(test.address), Services: []string{"app"},
				End: test.cfg.End, Grace: time.Minute,
			}))
			l.Changed(0, service.Mapping{Epoch: 1, Replicas: []service.Replica{{Server: "server_1", State: service.Serving}}})
			s, err := l.Run(t.Context())
			if err != nil || !s.Balanced() || g.InFlight() != 0 {
				t.Fatalf("got %v, %d in flight, %+v; want every request ended", err, g.InFlight(), s)
			}
			count := func(n dsv.Name) int64 { return set.Var(n).Read().Int }
			issued, requests, errors := count("crowd.issued"), count("crowd.requests"), count("crowd.errors")
			if issued == 0 || requests != issued || (errors > 0) != test.failing {
				t.Errorf("group: got %d issued, %d ended, %d errors", issued, requests, errors)
			}
			calls := 2 * issued // a request whose first call fails makes no second
			if test.failing {
				calls = errors
			}
			if got := int64(s.Answered + s.Failed() + s.Abandoned); got != calls {
				t.Errorf("calls: got %d, want %d", got, calls)
			}
		})
	}
}
