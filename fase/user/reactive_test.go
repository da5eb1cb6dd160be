package user_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/session"
	"github.com/eve-emulation/eve/fase/stat"
	"github.com/eve-emulation/eve/fase/step"
	"github.com/eve-emulation/eve/fase/user"
	"github.com/eve-emulation/eve/rdr"
)

func after(d time.Duration) func(*bench, step.Effect) (service.Answer, time.Duration) {
	return func(*bench, step.Effect) (service.Answer, time.Duration) { return service.Answer{Status: 200}, d }
}

// TestRateKeepsTheLaw halves and doubles the rate of a Poisson group: each arrival comes when the integral of the rate reaches
// the sum of the planned gaps, to the nanosecond; so the gaps on either side of a change have the law at their rate.
func TestRateKeepsTheLaw(t *testing.T) {
	const s = time.Second
	cfg := user.Config{Seed: 11, Rate: []user.Point{{Rate: 200}}, End: dsv.At(60 * s)}
	b := newBench(t, cfg, after(time.Millisecond))
	changes := []struct {
		at   time.Duration
		rate float64
	}{{0, 200}, {20 * s, 100}, {40 * s, 400}}
	for _, c := range changes[1:] {
		b.until(c.at - 20*time.Millisecond)
		b.SetRate(dsv.At(c.at-20*time.Millisecond), dsv.At(c.at), c.rate)
	}
	b.until(60 * s)

	integral := func(at dsv.Instant) (sum float64) {
		for i, c := range changes {
			end := at
			if i+1 < len(changes) {
				end = min(at, dsv.At(changes[i+1].at))
			}
			sum += max(0, end.Sub(dsv.At(c.at)).Seconds()) * c.rate
		}
		return sum
	}
	n := 0
	plan := cfg
	plan.End = dsv.At(1000 * s)
	for _, planned := range plan.Arrivals() {
		if n == len(b.sends) {
			break
		}
		want := planned.Sub(0).Seconds() * 200
		if got := integral(b.sends[n].At); math.Abs(got-want) > 1e-6 {
			t.Fatalf("arrival %d at %v: the integral of the rate is %v there, the plan says %v", n, b.sends[n].At.Sub(0), got, want)
		}
		n++
	}
	if n < 13000 {
		t.Fatalf("got %d arrivals, want about 14 000", n)
	}
	for i, c := range changes {
		end := dsv.At(60 * s)
		if i+1 < len(changes) {
			end = dsv.At(changes[i+1].at)
		}
		var gaps []float64
		last := dsv.Instant(-1)
		for _, e := range b.sends {
			if e.At >= dsv.At(c.at) && e.At < end {
				if last >= 0 {
					gaps = append(gaps, e.At.Sub(last).Seconds()*c.rate)
				}
				last = e.At
			}
		}
		if a, err := stat.ExponentialMean(gaps, 1); err != nil || a.Rejects(0.01) {
			t.Errorf("gaps from %v on: %+v, p = %v, %v: not exponential with the mean of %v/s", c.at, a, a.P(), err, c.rate)
		}
	}
	b.balanced()
}

// TestRateThatStays sets the rate that a group has: not one instant moves.
func TestRateThatStays(t *testing.T) {
	cfg := user.Config{Seed: 2, Rate: []user.Point{{Rate: 333}}, End: dsv.At(5 * time.Second)}
	b := newBench(t, cfg, after(time.Millisecond))
	b.SetRate(0, dsv.At(20*time.Millisecond), 333)
	b.until(2 * time.Second)
	b.SetRate(dsv.At(2*time.Second), 0, 333)
	b.until(6 * time.Second)
	n := 0
	for _, due := range cfg.Arrivals() {
		if n >= len(b.sends) || b.sends[n].At != due {
			t.Fatalf("arrival %d is not at %v", n, due)
		}
		n++
	}
}

// TestUsersComeAndGo changes a population and looks at who asks when.
func TestUsersComeAndGo(t *testing.T) {
	const ms = time.Millisecond
	const answer, pause = 5 * ms, 45 * ms
	cfg := user.Config{Seed: 4, Users: 10, Think: &user.Think{Mean: pause}, End: dsv.At(10 * time.Second)}
	for _, parts := range []int{1, 3} {
		t.Run(fmt.Sprint(parts), func(t *testing.T) {
			seen := map[rdr.Key]bool{}
			perSlice := map[int]int{} // requests by 500 ms
			for part := range parts {
				cfg.Part, cfg.Parts = part, parts
				b := newBench(t, cfg, after(answer))
				for _, c := range []struct {
					at    time.Duration
					users int
				}{{1000 * ms, 25}, {2000 * ms, 4}, {3000 * ms, 12}, {4000 * ms, 0}, {5000 * ms, 7}} {
					b.until(c.at - 1)
					b.SetUsers(dsv.At(c.at), dsv.At(c.at), c.users)
				}
				b.until(6 * time.Second)
				for _, e := range b.sends {
					if seen[rdr.Key(e.Key)] {
						t.Fatalf("the request of key %016x was asked twice", e.Key)
					}
					seen[rdr.Key(e.Key)] = true
					perSlice[int(e.At.Sub(0)/(500*ms))]++
				}
				if b.count("errors") != 0 {
					t.Errorf("got %d errors: who leaves finishes first", b.count("errors"))
				}
				b.balanced()
			}
			// A round takes 50 ms: in the second half of each second, the population is what it was set to, 10 rounds each.
			for i, users := range []int{10, 25, 4, 12, 0, 7} {
				if got, want := perSlice[2*i+1], users*10; got != want {
					t.Errorf("%d users from second %d on: got %d requests in its second half, want %d", users, i, got, want)
				}
			}
		})
	}
}

// TestUsersThatCome begin by thinking, and those that return go on with their next request.
func TestUsersThatCome(t *testing.T) {
	cfg := user.Config{Seed: 4, Users: 1, Think: &user.Think{Mean: 100 * time.Millisecond}, End: dsv.At(10 * time.Second)}
	b := newBench(t, cfg, after(10*time.Millisecond))
	b.SetUsers(0, dsv.At(time.Second), 2)
	b.until(1500 * time.Millisecond)
	b.SetUsers(b.now, b.now, 1)
	b.until(2 * time.Second)
	b.SetUsers(b.now, b.now, 2)
	b.until(3 * time.Second)
	var of2 []time.Duration
	round := uint64(0)
	for _, e := range b.sends {
		if at := slices.IndexFunc([]rdr.Key{cfg.Key(1, round), cfg.Key(1, round+1)}, func(k rdr.Key) bool { return callKey(t, k) == e.Key }); at == 0 {
			of2 = append(of2, e.At.Sub(0).Round(10*time.Millisecond))
			round++
		} else if at > 0 {
			t.Fatalf("round %d of the second user was left out", round)
		}
	}
	if len(of2) < 10 || of2[0] != 1100*time.Millisecond || of2[1] != 1210*time.Millisecond {
		t.Errorf("the second user asks at %v: want 1.1 s, 1.21 s and so on", of2)
	}
	away := 0
	for i := 1; i < len(of2); i++ {
		if of2[i]-of2[i-1] > 150*time.Millisecond {
			away++
		}
	}
	if away != 1 {
		t.Errorf("the second user asks at %v: want one time away", of2)
	}
}

// callKey is the key that the one call of the request sends.
func callKey(t *testing.T, k rdr.Key) uint64 {
	t.Helper()
	var key rdr.Key
	request(t, "call app { reply 1B }").Draw(k, "", func(d *rdr.Demand) { key = d.Key })
	return uint64(key)
}

func TestThinkTimeChanges(t *testing.T) {
	b := newBench(t, user.Config{Seed: 8, Users: 40, Think: &user.Think{Mean: 100 * time.Millisecond, Exponential: true}, End: dsv.At(time.Minute)}, after(time.Microsecond))
	b.SetThink(0, dsv.At(20*time.Second), 25*time.Millisecond)
	b.until(20 * time.Second)
	before := len(b.sends)
	b.until(21 * time.Second)
	at21 := len(b.sends)
	b.until(41 * time.Second)
	// Throughput of users that are answered at once: one request per user and think time. Deviations: Poisson.
	for _, c := range []struct {
		got  int
		want float64
	}{{before, 40 * 20 / 0.1}, {len(b.sends) - at21, 40 * 20 / 0.025}} {
		if math.Abs(float64(c.got)-c.want) > 4*math.Sqrt(c.want) {
			t.Errorf("got %d requests in 20 s, want %v ± %v", c.got, c.want, 4*math.Sqrt(c.want))
		}
	}
	b.balanced()
}

func TestPatienceChanges(t *testing.T) {
	b := newBench(t, user.Config{Rate: []user.Point{{Rate: 10}}, Law: user.Constant, Patience: 2 * time.Second, End: dsv.At(2 * time.Second)},
		func(*bench, step.Effect) (service.Answer, time.Duration) { return service.Answer{}, -1 })
	b.SetPatience(0, dsv.At(1050*time.Millisecond), 50*time.Millisecond)
	b.SetPatience(0, dsv.At(1550*time.Millisecond), 0)
	b.until(1900 * time.Millisecond)
	if got := b.count("abandoned"); got != 5 {
		t.Errorf("got %d abandoned, want the five that are due at 1.1 s to 1.5 s", got)
	}
	b.until(9 * time.Second)
	if got := b.count("abandoned"); got != 15 || b.InFlight() != 4 {
		t.Errorf("got %d abandoned and %d in flight, want the ten before too, and the last four for ever", got, b.InFlight())
	}
	b.balanced()
}

func TestMixChanges(t *testing.T) {
	names := []string{"browse", "buy", "rare"}
	weights := []float64{3, 1, 0}
	s := &user.Sessions{Mix: true, Chain: session.Mix(names, weights)}
	for i, n := range names {
		s.Pages = append(s.Pages, user.Page{Name: n, Weight: weights[i], Request: request(t, fmt.Sprintf("call app { reply %dB }", i+1))})
	}
	b := newBench(t, user.Config{Seed: 6, Rate: []user.Point{{Rate: 1000}}, Sessions: s, End: dsv.At(20 * time.Second)}, after(0))
	counts := map[bool][]int{false: make([]int, 3), true: make([]int, 3)}
	b.reply = func(b *bench, e step.Effect) (service.Answer, time.Duration) {
		var size int64
		b.Request(e.Ref).Block.Draw(0, "", func(d *rdr.Demand) { size = d.N })
		counts[e.At >= dsv.At(10*time.Second)][size-1]++
		return service.Answer{Status: 200}, 0
	}
	b.SetMix(0, dsv.At(10*time.Second), "buy", 6)
	b.SetMix(0, dsv.At(10*time.Second), "rare", 1)
	b.SetMix(0, dsv.At(10*time.Second), "nobody", 1) // no request of the mix: ignored
	b.until(20 * time.Second)
	for changed, shares := range map[bool][]float64{false: {0.75, 0.25, 0}, true: {0.3, 0.6, 0.1}} {
		n := 0
		for _, x := range counts[changed] {
			n += x
		}
		for i, p := range shares {
			got, sd := float64(counts[changed][i]), math.Sqrt(float64(n)*p*(1-p))
			if math.Abs(got-p*float64(n)) > 4*sd || n < 9000 {
				t.Errorf("changed %v: %s is asked %v times of %d, want %v ± %v", changed, names[i], got, n, p*float64(n), 4*sd)
			}
		}
	}
	b.balanced()
}

func TestSettings(t *testing.T) {
	open := user.Config{Rate: []user.Point{{Rate: 5}}}
	closed := user.Config{Users: 3, Think: &user.Think{Mean: time.Second}, Patience: time.Minute}
	for _, tt := range []struct {
		cfg  *user.Config
		name string
		x    float64
		want string
	}{
		{&open, "rate", 0, ""},
		{&open, "rate", 1e7, ""},
		{&open, "rate", -1, "the rate -1 is negative"},
		{&open, "rate", 2e7, "the rate 2e+07/s is above 1e+07/s"},
		{&open, "rate", math.NaN(), "the rate is not a number"},
		{&open, "rate", math.Inf(1), "the rate +Inf/s is above 1e+07/s"},
		{&closed, "users", 2.5, "the number of users 2.5 is not whole"},
		{&closed, "users", 1e6 + 1, "the number of users 1.000001e+06 is above 1e+06"},
		{&closed, "think", -0.1, "the think time -0.1 is negative"},
		{&closed, "patience", 1e9, "the patience 1e+09s is above 2.592e+06s"},
	} {
		s, ok := tt.cfg.Setting(tt.name)
		got := ""
		if err := s.Check(tt.x); err != nil {
			got = err.Error()
		}
		if !ok || got != tt.want {
			t.Errorf("%s %v: got %q, want %q", tt.name, tt.x, got, tt.want)
		}
	}
	for _, name := range []string{"users", "think", "weight.a", "latency"} {
		if _, ok := open.Setting(name); ok {
			t.Errorf("an open group has the setting %s", name)
		}
	}
	for name, want := range map[string]float64{"users": 3, "think": 1, "patience": 60} {
		if got, ok := closed.Initial(name); !ok || got != want {
			t.Errorf("%s begins at %v, want %v", name, got, want)
		}
	}
	if _, ok := open.Initial("patience"); ok {
		t.Error("an endless patience has a value")
	}
}

// TestSettingsMeetAPartition: of two rates that are told while a partition is in force, the later one stays, though it comes first.
func TestSettingsMeetAPartition(t *testing.T) {
	const s = time.Second
	// What is told at 1 s is sent again 0.2, 0.6, 1.4, 3 and 6.2 s later, what is told at 4.9 s at 5.1 s.
	network := service.NewNetwork([]service.Fault{{
		Kind: service.Partition, At: dsv.At(s), Until: dsv.At(5 * s), Sides: [][]service.Party{{service.GroupParty(0)}, {service.Control}},
	}})
	cfg := user.Config{Seed: 3, Law: user.Constant, Rate: []user.Point{{Rate: 100}}, End: dsv.At(20 * s), Network: network}
	b := newBench(t, cfg, after(time.Millisecond))
	b.until(s)
	b.SetRate(dsv.At(s), dsv.At(s), 1000)
	b.until(4900 * time.Millisecond)
	b.SetRate(dsv.At(4900*time.Millisecond), dsv.At(4900*time.Millisecond), 10)
	b.until(20 * s)
	// 100/s until 5.1 s and then 10/s.
	if got, want := float64(len(b.sends)), 510+149.0; math.Abs(got-want) > 3 {
		t.Errorf("got %v requests, want %v", got, want)
	}
}
