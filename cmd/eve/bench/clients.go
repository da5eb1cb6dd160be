package bench

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	eveload "github.com/eve-emulation/eve/fase/load"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/step"
	"github.com/eve-emulation/eve/fase/user"
	"github.com/eve-emulation/eve/internal/mono"
	"github.com/eve-emulation/eve/rdr"
)

// Guests are what a group of Eve's clients is to do: what `eve load` would, with all that it measures. It is open with a Rate, else closed.
type guests struct {
	Address string
	Seed    uint64
	Run     time.Duration
	Warmup  time.Duration // of Run: what ended before is in no quantile

	Law    user.Law
	Rate   []user.Point
	Bursts *user.Bursts
	Trace  *user.Trace

	Users    int
	Think    time.Duration // the mean of an exponential; 0: none
	Patience time.Duration
	Own      bool // closed: each user keeps a connection of its own

	Connections int           // most at once; 0: no limit
	Sources     []netip.Addr  // local addresses, taken in turn; without them the system chooses
	Spin        time.Duration // polled before each instant that is due
	Start       int64         // T0 as an instant of mono; 0: 20 ms hence
	Stamps      bool          // tell when each request was due and sent
}

// visited is what guests did.
type visited struct {
	T0                   int64
	Unready              bool // T0 had passed before they could begin: nothing was done
	Planned              int  // arrivals of the plan that were due within Run; open only
	Issued, Requests, OK int64
	Errors               map[string]int64 // by cause
	InFlight             int64
	Balanced             bool
	Seconds              float64 // of wall time
	CPU, ThreadCPU       float64 // s: of the process, of the loop's thread
	Utilisation          float64 // of a processor, by the loop's thread
	Opened               uint64
	Lag, Wake            quantiles // sent − due; how late the loop came
	Response             quantiles // from due
	FromSent             quantiles // from sending: what a client that is careless of its plan would tell
	Limited              []string  // why the generator was the limit
	Dues, Sents          []int64   // ns since T0, in order, where they are asked for
	Resident             float64   // bytes of the process with all users in it, once they have ended
}

// quantiles are of a distribution, in s.
type quantiles struct {
	Count                                uint64
	Mean, P50, P90, P95, P99, P995, P999 runs.Number
	Max                                  runs.Number
}

func quantilesOf(h *dsv.Hist) quantiles {
	q := func(p float64) runs.Number { return runs.Number(h.Quantile(p)) }
	return quantiles{
		Count: h.Count(), Mean: runs.Number(h.Mean()), P50: q(0.5), P90: q(0.9), P95: q(0.95), P99: q(0.99), P995: q(0.995), P999: q(0.999),
		Max: runs.Number(h.Max()),
	}
}

const guestsName = "guests"

// variables are what guests measure.
func (c *guests) variables() (*dmm.Set, error) {
	var specs []dmm.Spec
	for _, leaf := range []string{"latency", "send_lag", "from_sent"} {
		specs = append(specs, dmm.Spec{Name: guestsName + "." + dsv.Name(leaf), Manipulator: "histogram"})
	}
	for _, leaf := range []string{"requests", "errors", "issued", "late"} {
		specs = append(specs, dmm.Spec{Name: guestsName + "." + dsv.Name(leaf), Manipulator: "count"})
	}
	for _, cause := range service.Causes() {
		specs = append(specs, dmm.Spec{Name: guestsName + ".errors_" + dsv.Name(cause.String()), Manipulator: "count"})
	}
	return dmm.NewSet(1, 1, specs)
}

// config is the group.
func (c *guests) config() (user.Config, error) {
	file, err := rdr.ParseFile("request", []byte("request guests { http target GET "+strconv.Quote("/")+" }"), rdr.StartRequest)
	if err != nil {
		return user.Config{}, err
	}
	block, _ := file.Request("guests")
	g := user.Config{
		Name: guestsName, Seed: c.Seed, Request: block, Law: c.Law, Rate: c.Rate, Bursts: c.Bursts, Trace: c.Trace, Users: c.Users, Patience: c.Patience, End: dsv.At(c.Run),
		Topology: &service.Topology{Servers: []string{"target"}, Services: []string{"target"}},
		Services: []service.Config{{Name: "target", On: []int{0}}},
	}
	if c.Think > 0 {
		g.Think = &user.Think{Mean: c.Think, Exponential: true}
	}
	return g, nil
}

// A stamper is a group of clients that is watched: when each request was sent, and how long it took from then.
type stamper struct {
	*user.Group
	sents []int64
	at    []sentCall // by slot of the call
	from  *dmm.Var
}

type sentCall struct {
	ref step.Ref
	at  dsv.Instant
}

// Sent implements load.Group.
func (s *stamper) Sent(at dsv.Instant, ref step.Ref) {
	s.sents = append(s.sents, int64(at))
	slot := int(ref.Slot())
	for slot >= len(s.at) {
		s.at = append(s.at, sentCall{})
	}
	s.at[slot] = sentCall{ref: ref, at: at}
	s.Group.Sent(at, ref)
}

// Answer implements load.Group.
func (s *stamper) Answer(at dsv.Instant, ref step.Ref, a service.Answer) {
	if slot := int(ref.Slot()); a.Cause == service.OK && slot < len(s.at) && s.at[slot].ref == ref {
		s.from.Write(at, at.Sub(s.at[slot].at).Seconds())
	}
	s.Group.Answer(at, ref, a)
}

// run carries them to their end.
func (c *guests) run(ctx context.Context) (r visited, err error) {
	cfg, err := c.config()
	if err != nil {
		return r, err
	}
	set, err := c.variables()
	if err != nil {
		return r, err
	}
	group := user.NewGroup(cfg, set.Var)
	group.Changed(user.Before, 0, service.Mapping{Epoch: 1, Replicas: []service.Replica{{Server: "target", State: service.Serving}}})
	var carried eveload.Group = group
	var watched *stamper
	if c.Stamps {
		watched = &stamper{Group: group, from: set.Var(guestsName + ".from_sent")}
		carried = watched
	}
	r.T0 = c.Start
	if r.T0 == 0 {
		r.T0 = mono.Now() + int64(20*time.Millisecond)
	}
	l, err := eveload.New(eveload.Config{
		T0: r.T0, Groups: []eveload.Group{carried}, Address: func(int) string { return c.Address }, End: cfg.End, Grace: 2 * time.Second,
		Spin: c.Spin, Connections: c.Connections, Own: c.Own, Sources: c.Sources,
	})
	if err != nil {
		return r, err
	}
	cold := c.warmup(l, r.T0, set)
	cpu, begun := mono.ProcessCPU(), mono.Now()
	if r.Unready = begun > r.T0; r.Unready {
		return r, nil // what came then would be late from the beginning
	}
	stats, err := l.Run(ctx)
	early := cold()
	if err != nil {
		return r, err
	}
	r.CPU, r.Seconds = float64(mono.ProcessCPU()-cpu)/1e9, float64(mono.Now()-max(begun, r.T0))/1e9
	r.ThreadCPU, r.Opened, r.Utilisation = stats.ThreadCPU.Seconds(), stats.Opened, stats.Utilisation()
	r.Wake = quantiles{P50: runs.Number(stats.Lag.Quantile(0.5).Seconds()), P99: runs.Number(stats.Lag.Quantile(0.99).Seconds())}
	c.tell(&r, &cfg, set, group, early)
	if watched != nil {
		r.FromSent, r.Sents = quantilesOf(set.Var(guestsName+".from_sent").Read().Hist), watched.sents
		for _, due := range cfg.Arrivals() {
			r.Dues = append(r.Dues, int64(due))
		}
	}
	debug.FreeOSMemory()
	r.Resident, err = residentBytes(os.Getpid())
	runtime.KeepAlive(l)
	runtime.KeepAlive(group)
	return r, err
}

// transient is what was measured until the end of the warm-up; nothing without one.
type transient struct{ response, lag *dsv.Hist }

// warmup has the loop note what it has measured when the warm-up ends. The function that it returns, to be called when the loop has
// ended, tells it.
func (c *guests) warmup(l *eveload.Loop, t0 int64, set *dmm.Set) func() transient {
	var got transient
	if c.Warmup == 0 {
		return func() transient { return got }
	}
	done := make(chan struct{})
	timer := time.AfterFunc(time.Duration(t0-mono.Now())+c.Warmup, func() {
		defer close(done)
		l.Post(func(dsv.Instant) {
			got = transient{response: set.Var(guestsName + ".latency").Read().Hist, lag: set.Var(guestsName + ".send_lag").Read().Hist}
		})
	})
	return func() transient {
		if !timer.Stop() {
			<-done
		}
		return got
	}
}

// since is what a histogram has beyond an earlier state of it.
func since(now, before *dsv.Hist) *dsv.Hist {
	if before.Count() == 0 {
		return now
	}
	earlier := map[int]uint64{}
	before.Buckets(func(b int, n uint64) bool { earlier[b] = n; return true })
	var buckets []uint32
	var counts []uint64
	now.Buckets(func(b int, n uint64) bool {
		if n -= earlier[b]; n > 0 {
			buckets, counts = append(buckets, uint32(b)), append(counts, n)
		}
		return true
	})
	return dsv.NewHist(buckets, counts)
}

// tell fills in what was measured, as `eve load` does.
func (c *guests) tell(r *visited, cfg *user.Config, set *dmm.Set, group *user.Group, early transient) {
	count := func(leaf string) int64 {
		x, _ := set.Var(guestsName + "." + dsv.Name(leaf)).Read().Number()
		return int64(x)
	}
	for range cfg.Arrivals() {
		r.Planned++
	}
	whole, lag := set.Var(guestsName+".latency").Read().Hist, set.Var(guestsName+".send_lag").Read().Hist
	response := since(whole, early.response)
	r.Response, r.Lag = quantilesOf(response), quantilesOf(since(lag, early.lag))
	r.Issued, r.Requests, r.InFlight = count("issued"), count("requests"), int64(group.InFlight())
	r.OK, r.Errors = r.Requests-count("errors"), map[string]int64{}
	failed := int64(0)
	for _, cause := range service.Causes() {
		if n := count("errors_" + cause.String()); n > 0 {
			r.Errors[cause.String()] = n
			failed += n
		}
	}
	r.Balanced = r.Issued == r.OK+failed+r.InFlight && whole.Count() == uint64(r.Requests)
	r.Limited = runs.Generated{
		Open: len(c.Rate) > 0, Poisson: c.Law == user.Poisson, Planned: float64(r.Planned), Issued: r.Issued,
		SendLag: runs.Lag{P50: r.Lag.P50, P99: r.Lag.P99, Max: r.Lag.Max}, Response: runs.Distribute(response),
		Generator: &runs.Generator{Utilisation: runs.Number(r.Utilisation), Spin: runs.Number(c.Spin.Seconds())},
	}.LimitReasons()
}

// Waiting are users who have come and do nothing: what they take in memory.
type waiting struct{ Users int }

// weighUsers tells the memory of the process without users and with so many who think for ever, each with nothing under way.
func weighUsers(w waiting) (any, error) {
	c := guests{Run: 1000 * time.Hour, Users: w.Users, Think: 100 * time.Hour}
	cfg, err := c.config()
	if err != nil {
		return nil, err
	}
	set, err := c.variables()
	if err != nil {
		return nil, err
	}
	group := user.NewGroup(cfg, set.Var)
	debug.FreeOSMemory()
	bytes, err := residentBytes(os.Getpid())
	if n := group.InFlight(); n != 0 {
		return nil, fmt.Errorf("%d of %d users who think are asking", n, w.Users)
	}
	return bytes, err
}

// clientsPart is a process of Eve's clients.
func clientsPart(ctx context.Context) (duty, func() error, error) {
	return duty{
		"run":   take(func(c guests) (any, error) { return c.run(ctx) }),
		"weigh": take(weighUsers),
	}, func() error { return nil }, nil
}
