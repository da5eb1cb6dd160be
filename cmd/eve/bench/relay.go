package bench

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/eve-emulation/eve/fase/stat"
	"github.com/eve-emulation/eve/modules/relay"
)

// Relay measures what a relay costs between a source and a sink, all in processes of their own: UN.
func Relay(ctx context.Context, cfg Config) (*Report, error) {
	x := &relays{cfg: cfg}
	return measure("relay", cfg, func(r *Report) error { return x.run(ctx, r) })
}

// The ways from source to sink.
const (
	wayDirect    = "direct"
	wayCopy      = "copy"
	waySplice    = "splice"
	wayInspect   = "inspect"
	wayTransform = "transform"
	wayNginx     = nginx
)

// A passage is one of them.
type passage struct {
	name      string
	mode      relay.Mode // empty: no relay
	extension string
	peer      bool // a program that is not ours
	carrier   carrier
	sizes     []carried
	conn      connectionCost
}

// A carrier is the process of a relay; the zero value but for at is none.
type carrier struct {
	at   string // where the source connects to
	pid  int    // 0: no relay
	part *part  // nil of a peer
	stop func()
}

func (x *relays) passages() []*passage {
	list := []*passage{
		{name: wayDirect},
		{name: wayCopy, mode: relay.Copy},
		{name: waySplice, mode: relay.Splice},
		{name: wayInspect, mode: relay.Wasm, extension: "heads"},
		{name: wayTransform, mode: relay.Wasm, extension: "upper"},
	}
	for _, name := range x.cfg.Peers {
		list = append(list, &passage{name: name, peer: true})
	}
	return list
}

// carried is what was found of one way with messages of one size, by round.
type carried struct {
	rate   []float64 // bytes per second
	perGB  []float64 // CPU seconds of the relay per 10⁹ bytes
	p50    []float64 // of the time under way, s
	p99    []float64
	jitter []float64 // s
}

// connectionCost is what a connection costs, by round.
type connectionCost struct {
	memory []float64 // bytes of the relay's process for each that is idle
	cpu    []float64 // s of the relay to open and close one
}

// relays measures the relay.
type relays struct {
	cfg          Config
	source, sink *part
	to           string // where the sink listens
	sizes        []int
	ways         []*passage
	garbled      int // streams that did not come out as they went in
	checked      int
	counted      int // relays of ours
	wrongCounts  int // of relays that counted other than the sink
}

func (x *relays) run(ctx context.Context, r *Report) error {
	x.sizes, x.ways = pick(x.cfg, []int{64, 1 << 10, 16 << 10, 128 << 10, 1 << 20}, []int{64, 1 << 20}), x.passages()
	defer x.stop()
	if err := x.open(ctx); err != nil {
		return err
	}
	if err := x.check(); err != nil {
		return err
	}
	rounds := pick(x.cfg, 9, 1)
	for i := range rounds {
		x.cfg.say("UN: round %d of %d", i+1, rounds)
		if err := x.round(ctx, i); err != nil {
			return err
		}
	}
	if err := x.count(); err != nil {
		return err
	}
	x.report(r)
	return nil
}

// open starts the processes.
func (x *relays) open(ctx context.Context) error {
	var err error
	if x.source, err = x.cfg.start(ctx, "stream"); err != nil {
		return err
	}
	if x.sink, err = x.cfg.start(ctx, "stream"); err != nil {
		return err
	}
	if err := x.sink.call("listen", struct{}{}, &x.to); err != nil {
		return err
	}
	for _, w := range x.ways {
		w.sizes = make([]carried, len(x.sizes))
		if w.carrier, err = x.carrier(ctx, w); err != nil {
			return err
		}
	}
	return nil
}

// carrier starts the relay of a way, if it has one.
func (x *relays) carrier(ctx context.Context, w *passage) (c carrier, err error) {
	switch {
	case w.peer:
		s, err := openConfigured(ctx, "nginx", strings.ReplaceAll(nginxStreamConfig, "{to}", x.to), "-p", "{dir}", "-e", "stderr", "-c", "{file}")
		if err != nil {
			return c, fmt.Errorf("%s: %w", w.name, err)
		}
		return carrier{at: s.addr, pid: s.cmd.Process.Pid, stop: s.stop}, nil
	case w.mode == "":
		return carrier{at: x.to}, nil
	}
	if c.part, err = x.cfg.start(ctx, "relay"); err != nil {
		return carrier{}, err
	}
	c.pid, c.stop = c.part.pid(), c.part.stop
	if err := c.part.call("open", relaying{Mode: w.mode, Extension: w.extension, To: x.to}, &c.at); err != nil {
		c.stop()
		return carrier{}, err
	}
	return c, nil
}

func (x *relays) stop() {
	for _, p := range []*part{x.source, x.sink} {
		if p != nil {
			p.stop()
		}
	}
	for _, w := range x.ways {
		if w.carrier.stop != nil {
			w.carrier.stop()
		}
	}
}

// placed does something with the source and the sink on one processor and the relay alone on another, as if it were a host of its
// own: every way crosses processors equally often. Without a relay the sink is there instead.
func (x *relays) placed(c carrier, do func() error) error {
	alone, near := c.pid, []int{x.source.pid(), x.sink.pid()}
	if alone == 0 {
		alone, near = x.sink.pid(), near[:1]
	}
	together, err := apart([]int{alone}, near...)
	defer together()
	if err != nil {
		return err
	}
	return do()
}

// carry sends a stream by a way.
func (x *relays) carry(w *passage, s sending, r receiving) (out sent, got received, err error) {
	s.To = w.carrier.at
	err = x.placed(w.carrier, func() error {
		var g errgroup.Group
		g.Go(func() error { return x.sink.call("receive", r, &got) })
		g.Go(func() error { return x.source.call("send", s, &out) })
		return g.Wait()
	})
	return out, got, err
}

// check looks at whether what comes out is what went in.
func (x *relays) check() error {
	x.cfg.say("UN: what comes out")
	for _, w := range x.ways {
		for _, size := range x.sizes {
			out, got, err := x.carry(w, sending{Size: size, Count: max(1, pick(x.cfg, 16<<20, 1<<20)/size)}, receiving{Size: size, Sum: true})
			if err != nil {
				return err
			}
			want := out.Sum
			if w.name == wayTransform {
				want = out.Upper
			}
			x.checked++
			if got.Sum != want || got.Bytes != out.Bytes {
				x.garbled++
			}
		}
	}
	return nil
}

// round takes all ways in turns, each size after the other; the order turns too.
func (x *relays) round(ctx context.Context, n int) error {
	order := slices.Concat(x.ways[n%len(x.ways):], x.ways[:n%len(x.ways)])
	for i, size := range x.sizes {
		for _, w := range order {
			if err := x.flood(w, i, size); err != nil {
				return err
			}
		}
		for _, w := range order {
			if err := x.trickle(w, i, size); err != nil {
				return err
			}
		}
	}
	for _, w := range order {
		if err := x.connections(ctx, w); err != nil {
			return err
		}
	}
	return nil
}

// flood sends as much as a way takes.
func (x *relays) flood(w *passage, i, size int) error {
	before := w.carrier.cpu()
	_, got, err := x.carry(w, sending{Size: size, For: pick(x.cfg, 200*time.Millisecond, 20*time.Millisecond)}, receiving{Size: size})
	if err != nil {
		return err
	}
	c := &w.sizes[i]
	c.rate = append(c.rate, float64(got.Bytes)/got.Took.Seconds())
	c.perGB = append(c.perGB, (w.carrier.cpu()-before)/float64(got.Bytes)*1e9)
	return nil
}

// cpu is the CPU time of the relay's process, user and system, in s.
func (c carrier) cpu() float64 {
	if c.pid == 0 {
		return math.NaN()
	}
	return processCPU(c.pid)
}

// trickle sends messages one at a time, at an even pace, and looks at how long they are under way.
func (x *relays) trickle(w *passage, i, size int) error {
	pace := time.Millisecond
	if size >= 1<<20 {
		pace = 4 * time.Millisecond
	}
	n := pick(x.cfg, 200, 10)
	_, got, err := x.carry(w, sending{Size: size, Count: n, Pace: pace}, receiving{Size: size, Times: true})
	if err != nil {
		return err
	}
	if len(got.Transits) != n {
		return fmt.Errorf("%s, messages of %d bytes: %d of %d came", w.name, size, len(got.Transits), n)
	}
	c := &w.sizes[i]
	c.jitter = append(c.jitter, jitter(got.Transits))
	slices.Sort(got.Transits)
	times := make([]float64, n)
	for k, t := range got.Transits {
		times[k] = float64(t) / 1e9
	}
	c.p50, c.p99 = append(c.p50, stat.Quantile(times, 0.5)), append(c.p99, stat.Quantile(times, 0.99))
	return nil
}

// jitter is how much the times under way of messages that follow each other differ, in the mean (RFC 3550, 6.4.1), in s.
func jitter(transits []int64) float64 {
	sum := int64(0)
	for i := range transits[1:] {
		d := transits[i+1] - transits[i]
		sum += max(d, -d)
	}
	return float64(sum) / float64(len(transits)-1) / 1e9
}

// connections opens many at a relay that had none, leaves them alone, and closes them.
func (x *relays) connections(ctx context.Context, w *passage) error {
	if w.carrier.pid == 0 {
		return nil
	}
	c, err := x.carrier(ctx, w)
	if err != nil {
		return err
	}
	defer c.stop()
	if c.part == nil { // it has been asked whether it is there, and has asked the sink
		if _, _, err := x.carry(&passage{carrier: c}, sending{Size: 1, Count: 1}, receiving{Size: 1}); err != nil {
			return err
		}
	}
	n := pick(x.cfg, 250, 20)
	idle, err := c.resident()
	if err != nil {
		return err
	}
	before := c.cpu()
	var g errgroup.Group
	g.Go(func() error { return x.sink.call("keep", leaving{Count: n}, nil) })
	g.Go(func() error { return x.source.call("hold", leaving{To: c.at, Count: n}, nil) })
	if err := g.Wait(); err != nil {
		return err
	}
	opened := c.cpu() - before
	busy, err := c.resident()
	if err != nil {
		return err
	}
	for _, p := range []*part{x.source, x.sink} {
		if err := p.call("drop", struct{}{}, nil); err != nil {
			return err
		}
	}
	w.conn.memory = append(w.conn.memory, (busy-idle)/float64(n))
	w.conn.cpu = append(w.conn.cpu, opened/float64(n))
	return c.empty(w.name)
}

// resident is the memory of a relay in bytes, of ours after it gave back what it does not need.
func (c carrier) resident() (float64, error) {
	if c.part == nil {
		return residentBytes(c.pid)
	}
	var s relayState
	err := c.part.call("stats", struct{}{}, &s)
	return s.Resident, err
}

// empty waits until a relay of ours has no connection.
func (c carrier) empty(name string) error {
	if c.part == nil {
		return nil
	}
	for range 1000 {
		var s relayState
		if err := c.part.call("stats", struct{}{}, &s); err != nil || s.Stats.Open == 0 {
			return err
		}
	}
	return fmt.Errorf("relay %s: connections stay open whose ends are closed", name)
}

// count looks at whether relays counted what they carried, and met no errors.
func (x *relays) count() error {
	for _, w := range x.ways {
		if w.carrier.part == nil {
			continue
		}
		x.counted++
		var s relayState
		if err := w.carrier.part.call("stats", struct{}{}, &s); err != nil {
			return err
		}
		if len(s.Stats.Errors) > 0 || w.name == wayTransform && s.Stats.Told != s.Stats.Up {
			x.wrongCounts++
		}
	}
	return nil
}
