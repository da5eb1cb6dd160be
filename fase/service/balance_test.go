package service_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/eve-emulation/eve/dmm/expr"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/step"
	"github.com/eve-emulation/eve/rdr"
)

// A farm is a caller of one service with replicas of given weights, and where its calls went.
type farm struct {
	*service.Caller
	went []int
	refs []step.Ref
}

func newFarm(cfg service.Config, node int, views []service.View, weights ...int) *farm {
	f := &farm{}
	topo := &service.Topology{Services: []string{"app"}, Views: views}
	for i := range weights {
		topo.Servers = append(topo.Servers, fmt.Sprintf("server_%d", i+1))
	}
	cfg.Name = "app"
	f.Caller = service.NewCaller(topo, []service.Config{cfg}, node, step.Send, step.Abandon, func(e step.Effect) {
		if e.Kind == step.Send {
			f.went = append(f.went, int(e.Node))
		}
	}, noVars)
	f.place(1, weights...)
	return f
}

// place puts a mapping in force: a replica at each server of a weight above 0.
func (f *farm) place(epoch uint32, weights ...int) {
	m := service.Mapping{Epoch: epoch}
	for i, w := range weights {
		if w > 0 {
			m.Replicas = append(m.Replicas, service.Replica{Server: fmt.Sprintf("server_%d", i+1), Weight: w, State: service.Serving})
		}
	}
	f.Apply(0, 0, m)
}

// call makes a call, and returns where it went.
func (f *farm) call(key rdr.Key, client uint64) int {
	f.refs = append(f.refs, f.Start(0, 0, service.Request{Key: key, Client: client}, service.Op{}))
	return f.went[len(f.went)-1]
}

// count makes calls that are answered at once, and counts where they went.
func (f *farm) count(n, servers int, client func(int) uint64) []int {
	counts := make([]int, servers)
	for i := range n {
		counts[f.call(rdr.Root(1, 2, uint64(i), 3), client(i))]++
		f.Answer(0, f.refs[len(f.refs)-1], service.Answer{Status: 200})
	}
	return counts
}

func nobody(int) uint64 { return 0 }

// close reports whether counts are as the weights have it, within 5 standard deviations each.
func within(counts, weights []int) bool {
	n, sum := 0, 0
	for i := range counts {
		n, sum = n+counts[i], sum+weights[i]
	}
	for i, c := range counts {
		p := float64(weights[i]) / float64(sum)
		if math.Abs(float64(c)-p*float64(n)) > 5*math.Sqrt(float64(n)*p*(1-p)) {
			return false
		}
	}
	return true
}

func TestRoundRobin(t *testing.T) {
	f := newFarm(service.Config{Balance: service.RoundRobin}, -1, nil, 1, 1, 1)
	f.count(7, 3, nobody)
	if want := []int{0, 1, 2, 0, 1, 2, 0}; !slices.Equal(f.went, want) {
		t.Errorf("equal weights: got %v, want %v", f.went, want)
	}
	// The example of nginx's change of 2012: weights 5, 1, 1 give a a b a c a a.
	f = newFarm(service.Config{Balance: service.RoundRobin}, -1, nil, 5, 1, 1)
	f.count(14, 3, nobody)
	if want := []int{0, 0, 1, 0, 2, 0, 0}; !slices.Equal(f.went, slices.Concat(want, want)) {
		t.Errorf("weights 5, 1, 1: got %v, want %v twice", f.went, want)
	}
	// One that comes later has its share from then on, and no more.
	f = newFarm(service.Config{Balance: service.RoundRobin}, -1, nil, 1, 1, 0)
	f.count(10, 3, nobody)
	f.place(2, 1, 1, 1)
	if got := f.count(30, 3, nobody); !slices.Equal(got, []int{10, 10, 10}) {
		t.Errorf("30 calls after a third came: got %v, want 10 each", got)
	}
}

// Every call of a client goes to one server, as long as that serves; when one goes, only its clients move, and they come back.
func TestHashIsSticky(t *testing.T) {
	weights := []int{1, 2, 1, 4}
	f := newFarm(service.Config{Balance: service.Hash}, -1, nil, weights...)
	const clients = 4000
	id := func(i int) uint64 { return uint64(rdr.Root(0, 1, uint64(i), 0)) | 1 }
	home := make([]int, clients)
	counts := make([]int, len(weights))
	for i := range home {
		home[i] = f.call(rdr.Key(i), id(i))
		counts[home[i]]++
	}
	if !within(counts, weights) {
		t.Errorf("clients by server: got %v, want by weights %v", counts, weights)
	}
	moved := 0
	f.place(2, 1, 0, 1, 4)
	for i := range home {
		got := f.call(rdr.Key(clients+i), id(i))
		if home[i] != 1 && got != home[i] {
			t.Fatalf("client %d: got server %d, want %d, which still serves", i, got, home[i])
		}
		if got != home[i] {
			moved++
		}
	}
	if moved != counts[1] {
		t.Errorf("clients that moved: got %d, want the %d of the server that went", moved, counts[1])
	}
	f.place(3, weights...)
	for i := range home {
		if got := f.call(rdr.Key(2*clients+i), id(i)); got != home[i] {
			t.Fatalf("client %d: got server %d, want %d again", i, got, home[i])
		}
	}
	// Who does not tell is spread by the call's key.
	if got := f.count(4000, len(weights), nobody); !within(got, weights) {
		t.Errorf("calls of nobody by server: got %v, want by weights %v", got, weights)
	}
}

// Each set of d replicas is drawn with the same probability, and the one of least load is taken.
func TestPowerOfChoices(t *testing.T) {
	views := []service.View{{Leaf: "in_flight"}}
	weights := []int{1, 1, 1, 1, 1}
	for _, tt := range []struct {
		choices int
		want    []int // by rank of load: how many sets of so many it is the least of
	}{
		{1, []int{1, 1, 1, 1, 1}},
		{2, []int{4, 3, 2, 1, 0}},
		{3, []int{6, 3, 1, 0, 0}},
		{5, []int{1, 0, 0, 0, 0}},
		{9, []int{1, 0, 0, 0, 0}}, // more than there are: all
	} {
		f := newFarm(service.Config{Balance: service.Power, Choices: tt.choices, View: 1}, -1, views, weights...)
		order := []int{3, 0, 4, 1, 2}
		for rank, server := range order {
			f.See(0, server, float64(rank))
		}
		got := f.count(20_000, len(weights), nobody)
		byRank := make([]int, len(order))
		for rank, server := range order {
			byRank[rank] = got[server]
		}
		if !within(byRank, tt.want) {
			t.Errorf("power of %d: got %v by rank, want as %v", tt.choices, byRank, tt.want)
		}
	}
}

func TestViews(t *testing.T) {
	views := []service.View{{Leaf: "delay", Facts: []float64{0, 0, 0}}, {Leaf: "cpu.queue"}}
	f := newFarm(service.Config{Balance: service.Least, View: 2}, -1, views, 1, 1, 2)
	if got := f.count(9000, 3, nobody); !within(got, []int{1, 1, 1}) {
		t.Errorf("nothing told: got %v, want alike", got)
	}
	f.See(1, 0, 5)
	f.See(1, 1, 4)
	if got := f.count(10, 3, nobody); !slices.Equal(got, []int{0, 10, 0}) {
		t.Errorf("the third has told nothing: got %v, want all at the second", got)
	}
	f.See(1, 2, 7) // 3.5 by weight
	if got := f.count(10, 3, nobody); !slices.Equal(got, []int{0, 0, 10}) {
		t.Errorf("loads 5, 4 and 7 at weight 2: got %v, want all at the third", got)
	}
	// What nobody reads, there is not, or is a fact, changes nothing.
	f.See(0, 0, 9)
	f.See(2, 0, 9)
	f.See(-1, 0, 9)
	f.See(1, 3, 9)
	f.See(1, -1, 9)
	if got := f.count(10, 3, nobody); !slices.Equal(got, []int{0, 0, 10}) {
		t.Errorf("after figures of none: got %v, want all at the third", got)
	}
}

func TestLocal(t *testing.T) {
	f := newFarm(service.Config{Balance: service.Local, Else: service.RoundRobin}, 1, nil, 1, 1, 1)
	if got := f.count(9, 3, nobody); !slices.Equal(got, []int{0, 9, 0}) {
		t.Errorf("own server serves: got %v, want all there", got)
	}
	f.place(2, 1, 0, 1)
	if got := f.count(10, 3, nobody); !slices.Equal(got, []int{5, 0, 5}) {
		t.Errorf("it does not: got %v, want the others in turn", got)
	}
}

// score compiles an expression over an input of each kind.
func score(t *testing.T, src string) *service.Score {
	t.Helper()
	names := []string{"it.weight", "it.outstanding", "it.local", "it.delay", "it.in_flight"}
	var inputs []expr.Input
	for _, n := range names {
		inputs = append(inputs, expr.Input{Name: n, Kind: dsv.Float})
	}
	f, err := expr.CompileFormula(src, inputs)
	if err != nil {
		t.Fatal(err)
	}
	return &service.Score{Formula: f, Inputs: []service.ScoreInput{service.ScoreWeight, service.ScoreOutstanding, service.ScoreLocal, 0, 1}}
}

func TestScore(t *testing.T) {
	views := []service.View{{Leaf: "delay", Facts: []float64{3, 1, 2}}, {Leaf: "in_flight"}}
	for _, tt := range []struct {
		src  string
		want []int
	}{
		{"it.delay", []int{0, 1, 1, 1}},
		{"0 - it.weight", []int{0, 2, 2, 2}},
		{"0 - it.local", []int{0, 0, 0, 0}},
		{"it.outstanding + it.delay / 10", []int{0, 1, 2, 0}},
		{"it.in_flight", []int{0, 2, 2, 2}}, // of the second nothing was told
		{"it.in_flight + 100 * it.outstanding", []int{0, 2, 0, 2}},
		{"1 / (it.delay - 1)", []int{0, 0, 0, 0}}, // unknown for the second: 0.5 is that of the first
	} {
		f := newFarm(service.Config{Balance: service.Custom, Score: score(t, tt.src)}, 0, views, 1, 1, 3)
		f.See(1, 0, 8)
		f.See(1, 2, 4)
		var got []int
		for k := range 3 {
			got = append(got, f.call(rdr.Key(k+1), 0))
		}
		if !slices.Equal(got, tt.want[1:]) {
			t.Errorf("%s: got %v, want %v", tt.src, got, tt.want[1:])
		}
	}
}

// Two callers with the same keys, mappings and answers pick alike, whatever the balancer: nothing but the key is drawn from.
func TestPicksFollowFromKeys(t *testing.T) {
	views := []service.View{{Leaf: "in_flight"}}
	for balance := service.Random; balance <= service.Custom; balance++ {
		cfg := service.Config{Balance: balance, Choices: 2, Score: score(t, "it.outstanding")}
		cfg.Score.Inputs[3], cfg.Score.Inputs[4] = 0, 0
		a, b := newFarm(cfg, -1, views, 1, 2, 3), newFarm(cfg, -1, views, 1, 2, 3)
		for i := range 200 {
			key := rdr.Root(9, 9, uint64(i), 9)
			if x, y := a.call(key, uint64(i%7)), b.call(key, uint64(i%7)); x != y {
				t.Errorf("balancer %d, call %d: got %d and %d", balance, i, x, y)
			}
		}
	}
}

// A call allocates nothing, whoever picks.
func TestPickAllocatesNothing(t *testing.T) {
	views := []service.View{{Leaf: "in_flight"}}
	for balance := service.Random; balance <= service.Custom; balance++ {
		cfg := service.Config{Balance: balance, Choices: 3, Else: service.Hash, View: int(balance % 2), Score: score(t, "it.outstanding + it.in_flight")}
		cfg.Score.Inputs[3], cfg.Score.Inputs[4] = 0, 0
		f := newFarm(cfg, -1, views, 1, 2, 3, 1)
		f.went = make([]int, 0, 10_000)
		i := 0
		got := testing.AllocsPerRun(1000, func() {
			i++
			ref := f.Start(0, 0, service.Request{Key: rdr.Key(i), Client: uint64(i % 5)}, service.Op{})
			f.Answer(0, ref, service.Answer{Status: 200})
		})
		if got != 0 {
			t.Errorf("balancer %d: got %v allocations, want 0", balance, got)
		}
	}
}

func BenchmarkPick(b *testing.B) {
	views := []service.View{{Leaf: "in_flight"}}
	for _, tt := range []struct {
		name    string
		balance service.Balance
	}{
		{"random", service.Random},
		{"round-robin", service.RoundRobin},
		{"power of 2", service.Power},
		{"least", service.Least},
		{"hash", service.Hash},
		{"expr", service.Custom},
	} {
		for _, n := range []int{8, 100} {
			b.Run(fmt.Sprintf("%s of %d", tt.name, n), func(b *testing.B) {
				cfg := service.Config{Balance: tt.balance, Choices: 2}
				if tt.balance == service.Custom {
					f, err := expr.CompileFormula("it.outstanding + it.in_flight", []expr.Input{{Name: "it.outstanding"}, {Name: "it.in_flight"}})
					if err != nil {
						b.Fatal(err)
					}
					cfg.Score = &service.Score{Formula: f, Inputs: []service.ScoreInput{service.ScoreOutstanding, 0}}
				}
				weights := slices.Repeat([]int{1}, n)
				f := newFarm(cfg, -1, views, weights...)
				i := 0
				for b.Loop() {
					i++
					f.went = f.went[:0]
					ref := f.Start(0, 0, service.Request{Key: rdr.Key(i), Client: uint64(i%5) + 1}, service.Op{})
					f.Answer(0, ref, service.Answer{Status: 200})
				}
			})
		}
	}
}
