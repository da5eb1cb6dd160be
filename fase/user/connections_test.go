package user_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/step"
	"github.com/eve-emulation/eve/fase/user"
)

// answered steps a group whose calls are answered after 3 ms and returns its sends, as key and instant, and what each
// call's owner was.
func answered(t *testing.T, cfg user.Config, set *dmm.Set, until time.Duration) (sends []string, owners []uint32, leaves []int64) {
	t.Helper()
	cfg.Topology, cfg.End = topology, dsv.At(until)
	cfg.Services = []service.Config{{Name: "app", On: []int{0}}}
	vars := func(dsv.Name) *dmm.Var { return nil }
	if set != nil {
		vars = set.Var
	}
	g := user.NewGroup(cfg, vars)
	g.Changed(0, 0, service.Mapping{Epoch: 1, Replicas: []service.Replica{{Server: "server_1", State: service.Serving}}})
	type coming struct {
		at  dsv.Instant
		ref step.Ref
	}
	var answers []coming
	for now := dsv.Instant(0); ; {
		now = g.Next()
		if len(answers) > 0 && answers[0].at <= now {
			now = answers[0].at
			g.Answer(now, answers[0].ref, service.Answer{Status: 200})
			answers = answers[1:]
		}
		if now > dsv.At(until) {
			break
		}
		if g.Next() <= now {
			g.Advance(now)
		}
		for _, e := range g.Effects() {
			switch e.Kind {
			case step.Send:
				sends = append(sends, fmt.Sprintf("%016x at %d", e.Key, e.At))
				owners = append(owners, g.Owner(e.Ref))
				answers = append(answers, coming{e.At.Add(3 * time.Millisecond), e.Ref})
			case step.Leave:
				leaves = append(leaves, e.N)
			}
		}
	}
	g.Settle(dsv.At(until))
	return sends, owners, leaves
}

// TestPartsMakeOneGroup compares the sends of a group with those of the processes that share it: the same keys at the same
// instants, and measured together the same.
func TestPartsMakeOneGroup(t *testing.T) {
	for name, cfg := range map[string]user.Config{
		"open":   {Seed: 7, Rate: []user.Point{{Rate: 300}, {At: dsv.At(time.Second), Rate: 900}}},
		"closed": {Seed: 7, Users: 23, Think: &user.Think{Mean: 20 * time.Millisecond, Exponential: true}},
	} {
		for _, parts := range []int{2, 3, 5} {
			t.Run(fmt.Sprint(name, parts), func(t *testing.T) {
				cfg := cfg
				cfg.Name, cfg.Request = "crowd", request(t, "call app { reply 1B }")
				want, _, _ := answered(t, cfg, nil, 2*time.Second)
				var got []string
				inFlight, target := 0.0, 0.0
				cfg.Parts = parts
				for cfg.Part = range parts {
					set, err := dmm.NewSet(1, 1, []dmm.Spec{{Name: "crowd.in_flight", Manipulator: "mean"}, {Name: "crowd.target", Manipulator: "sum"}})
					if err != nil {
						t.Fatal(err)
					}
					s, _, _ := answered(t, cfg, set, 2*time.Second)
					got = append(got, s...)
					x, _ := set.Var("crowd.in_flight").Read().Number()
					inFlight += x / float64(parts) // as their means are merged
					x, _ = set.Var("crowd.target").Read().Number()
					target += x
				}
				slices.Sort(got)
				slices.Sort(want)
				if !slices.Equal(got, want) {
					t.Fatalf("got %d sends, want the %d of the undivided group", len(got), len(want))
				}
				if n := float64(len(want)) * 0.003 / 2; inFlight < 0.98*n || inFlight > 1.02*n {
					t.Errorf("in flight: got %v, want %v by Little's law", inFlight, n)
				}
				if want := 600 + 900.0; name == "open" && (target < want-1 || target > want+1) {
					t.Errorf("target: got %v, want %v", target, want)
				}
			})
		}
	}
}

// TestOwners says whose a call is: users are numbered densely in each part, sessions leave.
func TestOwners(t *testing.T) {
	req := request(t, "par { call app { reply 1B } call app { reply 1B } } call app { reply 1B }")
	cfg := user.Config{Seed: 3, Users: 10, Parts: 3, Part: 1, Request: req, Think: &user.Think{Mean: time.Millisecond}, Connections: user.Connections{Own: true}}
	_, owners, leaves := answered(t, cfg, nil, time.Second)
	counts := map[uint32]int{}
	for _, o := range owners {
		counts[o]++
	}
	if len(counts) != 3 || counts[0] < 100 || counts[0] != counts[1] || counts[1] != counts[2] || len(leaves) > 0 {
		t.Errorf("closed: got calls by owner %v and %d leaves, want users 0 to 2 alike and none", counts, len(leaves))
	}
	cfg = user.Config{Seed: 3, Rate: []user.Point{{Rate: 1000}}, Request: req, Connections: user.Connections{Own: true}}
	_, owners, leaves = answered(t, cfg, nil, time.Second)
	if n := len(owners) / 3; len(leaves) < n-30 || len(leaves) > n || slices.Max(owners) > 60 {
		t.Errorf("open: got %d leaves and owners up to %d for %d sessions, want about one each, densely numbered", len(leaves), slices.Max(owners), n)
	}
}

func TestIdleIsSpread(t *testing.T) {
	topo := &service.Topology{Servers: []string{"a", "b", "c", "d"}, Services: []string{"web", "db"}}
	services := []service.Config{{Name: "web", On: []int{0, 2, 3}}, {Name: "db", On: []int{1}}}
	sum := make([]int, 4)
	cfg := user.Config{
		Name: "crowd", Topology: topo, Services: services, Parts: 4, Connections: user.Connections{Idle: 103},
		Request: request(t, "call web { call db { cpu 1ms } }"),
	}
	for cfg.Part = range 4 {
		for i, n := range cfg.Idle() {
			sum[i] += n
		}
	}
	if sum[1] != 0 || sum[0]+sum[2]+sum[3] != 103 || min(sum[0], sum[2], sum[3]) < 33 {
		t.Errorf("got %v, want 103 spread over a, c and d", sum)
	}
	cfg.Connections.Idle = 0
	if got := cfg.Idle(); got != nil {
		t.Errorf("got %v, want none", got)
	}
	if got, want := cfg.Processes(), []string{"crowd", "crowd_2", "crowd_3", "crowd_4"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
