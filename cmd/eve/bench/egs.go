package bench

import (
	"context"
	_ "embed" // the guest
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/eve-emulation/eve/dsv"
)

// sinkCount is how many sinks the published experiments have.
const sinkCount = 8

//go:embed filter.wasm
var filterGuest []byte

// EGS runs K1 to K4 and measures the fan-out, beside NATS if wanted.
func EGS(ctx context.Context, cfg Config) (*Report, error) {
	if err := CheckEventPeers(cfg.Peers); err != nil {
		return nil, err
	}
	x := &events{cfg: cfg, rounds: pick(cfg, 61, 2), times: map[string]*sampler{}}
	return measure("egs", cfg, func(r *Report) error {
		defer x.close()
		if err := x.open(ctx); err != nil {
			return err
		}
		for _, f := range []func(context.Context) error{x.costs, x.filters, x.fanOut} {
			if err := f(ctx); err != nil {
				return err
			}
		}
		x.report(r)
		return nil
	})
}

// CheckEventPeers is CheckPeers for events.
func CheckEventPeers(names []string) error {
	if slices.Contains(names, "redis") {
		return errors.New("peer redis: events are compared with nats only")
	}
	return CheckPeers(names)
}

// events holds the processes of the event benches: a kernel, eight sinks, an echo, and this one as a module's. They are
// reused, so that all that is compared meets the same ones.
type events struct {
	cfg    Config
	rounds int

	kernel *kernel
	sinks  []*part
	echo   *part
	bare   map[int]*bareping // by size
	near   *client
	bus    *eveBus
	far    []peer
	nats   *natsBus

	times   map[string]*sampler // by what and where
	leaks   int                 // events that came through a filter that blocks them
	blocked int                 // events that a filter blocked
	fan     map[string]*fanned
}

// eventSizes are those of the published deliveries.
func eventSizes() []int { return []int{100, 1024} }

func (x *events) open(ctx context.Context) (err error) {
	x.cfg.say("starting a kernel and %d sinks", sinkCount)
	if x.kernel, err = x.cfg.openKernel(ctx, opening{}); err != nil {
		return err
	}
	if x.near, err = x.kernel.dial(ctx); err != nil {
		return err
	}
	for _, n := range []dsv.Name{channelOne, channelEight, channelBack, channelHome} {
		if err := x.near.Open(ctx, eventChannel(n)); err != nil {
			return err
		}
	}
	if x.bus, err = newEveBus(ctx, x.near, channelBack); err != nil {
		return err
	}
	if x.far, err = x.cfg.openPeers(ctx); err != nil {
		return err
	}
	for _, p := range x.far {
		if x.nats, err = newNATSBus(p.(*natsPeer).url()); err != nil {
			return err
		}
	}
	for i := range sinkCount {
		s, err := x.cfg.start(ctx, "sink")
		if err != nil {
			return err
		}
		x.sinks = append(x.sinks, s)
		if err := s.call("join", joining{door: x.kernel.door, Rank: i}, nil); err != nil {
			return err
		}
		for _, p := range x.far {
			if err := s.call("join", joining{NATS: p.(*natsPeer).url(), Rank: i}, nil); err != nil {
				return err
			}
		}
	}
	return x.openEcho(ctx)
}

func (x *events) openEcho(ctx context.Context) error {
	echo, at, err := x.cfg.openEcho(ctx)
	if err != nil {
		return err
	}
	x.echo, x.bare = echo, map[int]*bareping{}
	for _, size := range eventSizes() {
		if x.bare[size], err = dialBare(ctx, at.TCP, size); err != nil {
			return err
		}
	}
	return nil
}

func (x *events) close() {
	for _, b := range x.bare {
		_ = b.conn.Close()
	}
	if x.bus != nil {
		x.bus.close()
	}
	if x.nats != nil {
		x.nats.close()
	}
	for _, s := range x.sinks {
		s.stop()
	}
	if x.near != nil {
		x.near.close()
	}
	closeAll(x.far)
	if x.echo != nil {
		x.echo.stop()
	}
	if x.kernel != nil {
		x.kernel.stop()
	}
}

// sample adds the durations of one round.
func (x *events) sample(what string, seconds ...float64) {
	s := x.times[what]
	if s == nil {
		s = &sampler{}
		x.times[what] = s
	}
	for _, t := range seconds {
		s.add(t)
	}
}

// next ends the round of everything that was sampled.
func (x *events) next() {
	for _, s := range x.times {
		s.next()
	}
}

// collect asks all sinks for what they have got.
func (x *events) collect() ([]receipts, error) {
	all := make([]receipts, len(x.sinks))
	for i, s := range x.sinks {
		if err := s.call("collect", struct{}{}, &all[i]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// The places from which events are sent.
const (
	fromModule = "module process"
	fromKernel = "kernel's process"
	fromNATS   = "nats"
	fromBare   = "TCP"
)

func at(what, place string) string { return what + ", " + place }

// costs measures K1 to K3: creating a channel, submitting, polling, and the way of an event to its handler.
func (x *events) costs(ctx context.Context) error {
	x.cfg.say("K1 to K3: create, submit, poll, delivery")
	n := pick(x.cfg, 40, 8)
	together, err := x.apart()
	defer together()
	if err != nil {
		return err
	}
	for round := range x.rounds {
		for _, size := range eventSizes() {
			for range n {
				start := time.Now()
				if err := x.bare[size].ping(); err != nil {
					return err
				}
				x.sample(at(delivery(size), fromBare), time.Since(start).Seconds()/2)
			}
			d := drill{Prefix: fmt.Sprintf("near_%d_%d", size, round), Count: n, Size: size}
			out, err := d.run(ctx, x.near, x.bus)
			if err != nil {
				return x.stalled("events from a module's process", err)
			}
			if err := x.drilled(out, d, fromModule); err != nil {
				return err
			}
			d.Prefix = fmt.Sprintf("inside_%d_%d", size, round)
			out = drilled{}
			if err := x.kernel.call("drill", d, &out); err != nil {
				return err
			}
			if err := x.drilled(out, d, fromKernel); err != nil {
				return err
			}
			if err := x.natsDelivery(ctx, n, size); err != nil {
				return err
			}
		}
		x.next()
	}
	return nil
}

// apart lays the sources apart from what answers them.
func (x *events) apart() (together func(), err error) {
	others := []int{x.echo.pid()}
	for _, s := range x.sinks {
		others = append(others, s.pid())
	}
	near := []int{x.kernel.pid()}
	for _, p := range x.far {
		near = append(near, p.pid())
	}
	return apart(others, near...)
}

func delivery(size int) string {
	if size >= 1024 {
		return fmt.Sprintf("delivery of %d KB", size/1024)
	}
	return fmt.Sprintf("delivery of %d B", size)
}

// drilled keeps what a drill told, and how long its events were under way.
func (x *events) drilled(out drilled, d drill, place string) error {
	got, err := x.collect()
	if err != nil {
		return err
	}
	if len(got[0].List) != 2*d.Count {
		return fmt.Errorf("events from a %s: %d of %d came to the first sink", place, len(got[0].List), 2*d.Count)
	}
	for _, r := range got[0].List[:d.Count] {
		x.sample(at(delivery(d.Size), place), float64(r.Got-r.Sent)/1e9)
	}
	if d.Size != eventSizes()[0] {
		return nil
	}
	x.sample(at("create", place), out.Create...)
	x.sample(at("submit to one sink", place), out.Submit...)
	for _, t := range out.Eight {
		x.sample(at("submit to eight, per sink", place), t/sinkCount)
	}
	x.sample(at("poll", place), out.Poll...)
	x.sample(at("poll of nothing", place), out.Empty...)
	return nil
}

// natsDelivery sends the same events over NATS.
func (x *events) natsDelivery(ctx context.Context, n, size int) error {
	if x.nats == nil {
		return nil
	}
	for range n {
		if err := x.nats.submit(ctx, channelOne, size, 1, 1); err != nil {
			return err
		}
		if err := await(ctx, x.nats, 1); err != nil {
			return x.stalled("events over nats", err)
		}
	}
	got, err := x.collect()
	if err != nil {
		return err
	}
	for _, r := range got[0].List {
		x.sample(at(delivery(size), fromNATS), float64(r.Got-r.Sent)/1e9)
	}
	return nil
}

// stalled tells how far the sinks had come when an answer was missing.
func (x *events) stalled(what string, err error) error {
	got, cerr := x.collect()
	if cerr != nil {
		return errors.Join(err, cerr)
	}
	var told []string
	for _, g := range got {
		t := fmt.Sprintf("%d", g.Count)
		if g.Lost > 0 {
			t += fmt.Sprintf(" (%d lost)", g.Lost)
		}
		if g.Fault != "" {
			t += " (" + g.Fault + ")"
		}
		told = append(told, t)
	}
	back := x.bus.back.Stats()
	return fmt.Errorf("%s: the sinks have got %s; of the answers %d came, %d were lost, %d late: %w",
		what, strings.Join(told, ", "), back.Delivered, back.Lost, back.Late, err)
}
