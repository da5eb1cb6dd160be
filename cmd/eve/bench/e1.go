package bench

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel/wire"
	"github.com/eve-emulation/eve/evekernel/wire/wiretest"
	"github.com/eve-emulation/eve/fase/report"
	"github.com/eve-emulation/eve/modules"
)

// The operations of variables, as the published experiment orders them; GTAS is our TestAndSet, GetInfo our Info.
const (
	opRead   = "Read"
	opWrite  = "Write"
	opCreate = "Create"
	opSwap   = "TestAndSet"
	opInfo   = "Info"
)

func opNames() []string { return []string{opRead, opWrite, opCreate, opSwap, opInfo} }

// sample is the i-th value that is written, as text of about the size of a float.
func sample(i int) string { return strconv.FormatFloat(0.001+float64(i&1023)*1e-6, 'f', 6, 64) }

// sampleValue is the same as a value of ours.
func sampleValue(i int) dsv.Value { return dsv.FloatValue(0.001 + float64(i&1023)*1e-6) }

// local is how many operations are timed together where one is too short for a clock.
const local = 64

// e1 measures the response time of the operations of variables: E1.
type e1 struct {
	cfg   Config
	times map[string]map[string]*sampler // by place, then operation
	order []string                       // of the places
}

// The places of E1, beside the peers.
const (
	placeLocal  = "local"
	placeRemote = "remote"
	placeDMM    = "remote with a DMM"
	placePing   = "WebSocket"
)

func (x *e1) run(ctx context.Context, r *Report) error {
	x.cfg.say("E1: response time of the operations of variables")
	k, err := x.cfg.openKernel(ctx, opening{Parties: []string{"probe"}})
	if err != nil {
		return err
	}
	defer k.stop()
	size, err := roundTripBytes()
	if err != nil {
		return err
	}
	echo, at, err := x.cfg.openEcho(ctx)
	if err != nil {
		return err
	}
	defer echo.stop()
	ping, err := wiretest.Dial(ctx, at.URL, size)
	if err != nil {
		return err
	}
	defer func() { _ = ping.Close() }()
	peers, err := x.cfg.openPeers(ctx)
	defer closeAll(peers)
	if err != nil {
		return err
	}
	servers := []int{k.pid(), echo.pid()}
	for _, p := range peers {
		servers = append(servers, p.pid())
	}
	together, err := apart(servers)
	defer together()
	if err != nil {
		return err
	}
	guest, err := k.dial(ctx)
	if err != nil {
		return err
	}
	defer guest.close()
	// A module, because a manipulator is a module's: what it measures is synchronised while it is measured here.
	err = modules.Run(ctx, modules.Func(func(ctx context.Context, env *modules.Env) error {
		return x.measure(ctx, env, guest, ping, peers)
	}), modules.Link{Name: "probe", URL: k.URL, Token: k.Token})
	if err != nil {
		return err
	}
	x.report(r, size)
	return nil
}

// roundTripBytes is the size of a ping that weighs as much as a Write: the mean of its request and its answer.
func roundTripBytes() (int, error) {
	codec, err := wire.NewCodec(wire.CBOR)
	if err != nil {
		return 0, err
	}
	v, err := wire.FromValue(sampleValue(1))
	if err != nil {
		return 0, err
	}
	total := 0
	for _, f := range []*wire.Frame{
		{Req: &wire.Req{ID: 1000, Op: wire.OpWrite, Name: dsv.Name(key(0)), Value: v}},
		{Res: &wire.Res{ID: 1000, Rev: 1000}},
	} {
		b, err := codec.Encode(f)
		if err != nil {
			return 0, err
		}
		total += len(b)
	}
	return total / 2, nil
}

// measure takes all places in turns, one round after the other.
func (x *e1) measure(ctx context.Context, env *modules.Env, guest *client, ping *wiretest.Pinger, peers []peer) error {
	spec := dmm.Spec{Name: "bench.manipulated", Manipulator: "histogram", Sync: dmm.Trigger{Every: 100 * time.Millisecond}}
	if err := env.Measure(spec); err != nil {
		return err
	}
	if err := env.Ready(ctx); err != nil {
		return err
	}
	store := dsv.NewStore(nil)
	for _, s := range []dsv.Space{store, guest.Proxy} {
		if err := declareKeys(ctx, s); err != nil {
			return err
		}
	}
	lanes := []lane{
		{place: placeLocal, ops: spaceOps("local", store), block: map[string]int{opRead: local, opWrite: local, opCreate: local, opSwap: local, opInfo: local}},
		{place: placeRemote, ops: spaceOps("remote", guest.Proxy)},
		{place: placeDMM, ops: manipulatedOps(env, env.Var(spec.Name)), block: map[string]int{opRead: local, opWrite: local}},
		{place: placePing, ops: map[string]operation{}},
	}
	for _, op := range opNames() {
		lanes[3].ops[op] = func(context.Context, int) error { return ping.Ping() }
	}
	for _, p := range peers {
		lanes = append(lanes, lane{place: p.name(), ops: p.ops()})
	}
	x.times = map[string]map[string]*sampler{}
	for _, l := range lanes {
		x.times[l.place] = map[string]*sampler{}
		x.order = append(x.order, l.place)
	}
	calls := map[string]int{} // each call of a place and operation has a number of its own
	for round := range pick(x.cfg, 45, 2) {
		for _, op := range opNames() {
			for _, l := range lanes {
				if err := x.round(ctx, l, op, calls, pick(x.cfg, 60, 20)); err != nil {
					return fmt.Errorf("%s %s, round %d: %w", l.place, op, round+1, err)
				}
			}
		}
	}
	return nil
}

// An operation is one form of it at one place; i is the number of the call.
type operation = func(ctx context.Context, i int) error

// A lane is the operations at one place. Those too short for a clock are timed in blocks.
type lane struct {
	place string
	ops   map[string]operation
	block map[string]int // calls; absent: one
}

// warm is how many calls precede a round, uncounted.
const warm = 5

// round times n calls, or n blocks of calls, of one operation at one place, if it is there.
func (x *e1) round(ctx context.Context, l lane, op string, calls map[string]int, n int) error {
	f, block := l.ops[op], max(l.block[op], 1)
	if f == nil {
		return nil
	}
	s := x.times[l.place][op]
	if s == nil {
		s = &sampler{}
		x.times[l.place][op] = s
	}
	for i := range n + warm {
		start := time.Now()
		for range block {
			if err := f(ctx, calls[l.place+op]); err != nil {
				return err
			}
			calls[l.place+op]++
		}
		if i >= warm {
			s.add(time.Since(start).Seconds() / float64(block))
		}
	}
	s.next()
	return nil
}

// declareKeys declares the variables that the operations need, and writes them.
func declareKeys(ctx context.Context, s dsv.Space) error {
	for i := range 3 {
		n := dsv.Name(key(i))
		if err := s.Create(ctx, declaration(n)); err != nil {
			return err
		}
		if _, err := s.Write(ctx, n, sampleValue(0)); err != nil {
			return err
		}
	}
	return nil
}

func declaration(n dsv.Name) dsv.Declaration {
	return dsv.Declaration{Name: n, Kind: dsv.Float, Unit: "s"}
}

// spaceOps are the operations of a Space, each one to the variables themselves and not to a copy of them. What it creates
// is named after the place.
func spaceOps(place string, s dsv.Space) map[string]operation {
	read := s.Read
	if f, ok := s.(interface {
		ReadFresh(ctx context.Context, n dsv.Name) (dsv.Reading, error)
	}); ok {
		read = f.ReadFresh
	}
	var last dsv.Revision
	return map[string]operation{
		opRead: func(ctx context.Context, _ int) error {
			_, err := read(ctx, dsv.Name(key(0)))
			return err
		},
		opWrite: func(ctx context.Context, i int) error {
			_, err := s.Write(ctx, dsv.Name(key(0)), sampleValue(i))
			return err
		},
		opCreate: func(ctx context.Context, i int) error {
			return s.Create(ctx, declaration(dsv.Name(fmt.Sprintf("bench.%s_%06d", place, i))))
		},
		opSwap: func(ctx context.Context, i int) error {
			n := dsv.Name("bench.swapped_" + place)
			if i == 0 {
				if err := s.Create(ctx, declaration(n)); err != nil {
					return err
				}
			}
			var err error
			last, err = s.TestAndSet(ctx, n, last, sampleValue(i))
			return err
		},
		opInfo: func(ctx context.Context, _ int) error {
			_, err := s.Info(ctx, dsv.Name(key(0)))
			return err
		},
	}
}

// manipulatedOps are those of a module that manipulates: Read takes its process's copy, Write a shadow.
func manipulatedOps(env *modules.Env, v *dmm.Var) map[string]operation {
	ops := spaceOps("manipulated", env.Space())
	ops[opRead] = func(ctx context.Context, _ int) error {
		_, err := env.Space().Read(ctx, dsv.Name(key(2))) // nobody writes this one: what is watched here costs its writer more
		return err
	}
	ops[opWrite] = func(_ context.Context, i int) error {
		v.Write(env.Now(), 0.001+float64(i&1023)*1e-6)
		return nil
	}
	return ops
}

func (x *e1) figure(place, op string) Figure {
	s := x.times[place][op]
	if s == nil {
		return NewFigure(Seconds)
	}
	return s.median()
}

// report makes the table, the shapes and the chart.
func (x *e1) report(r *Report, size int) {
	t := &Table{
		Card: "E1", Title: "response time of the operations of variables", Head: "p50",
		Also: []string{"p99"}, Peers: append([]string{placePing}, x.cfg.Peers...), Published: "published",
		Note: fmt.Sprintf("WebSocket: a bare ping-pong of %d bytes over gorilla/websocket, as many as a Write takes; it, remote and the peers: between two processes on two processors", size),
	}
	for _, place := range []string{placeLocal, placeRemote, placeDMM} {
		for _, op := range opNames() {
			row := Row{Name: op + ", " + place, Ours: x.figure(place, op), Also: []Figure{x.times[place][op].quantile(0.99)}, Published: "lost"}
			if place == placeRemote {
				row.Peers = map[string]Figure{}
				for _, p := range t.Peers {
					row.Peers[p] = x.figure(p, op)
				}
			}
			t.Rows = append(t.Rows, row)
		}
	}
	r.Tables = append(r.Tables, t)
	x.shapes(r)
	chart := report.ChartPanel{Title: "response time, p50", Groups: opNames(), LogY: true, FormatY: Seconds.text}
	for _, place := range x.order {
		s := report.ChartSeries{Label: place}
		for _, op := range opNames() {
			s.Ys = append(s.Ys, float64(x.figure(place, op).Value))
		}
		chart.Series = append(chart.Series, s)
	}
	r.Charts = append(r.Charts, report.Chart{
		Name: "e1-response-time", Title: "E1  Response time of the operations of variables",
		Caption: "With a manipulator, Read and Write cost what they cost locally; the other operations still need the round trip.",
		Panels:  []report.ChartPanel{chart},
	})
}

func (x *e1) shapes(r *Report) {
	for _, op := range opNames() {
		r.Shapes = append(r.Shapes, AtLeast("E1", "remote "+op+" over local", Ratio(x.figure(placeRemote, op), x.figure(placeLocal, op)), 10))
	}
	for _, op := range opNames() {
		switch op {
		case opRead, opWrite:
			r.Shapes = append(r.Shapes, AtMost("E1", op+" with a DMM over local", Ratio(x.figure(placeDMM, op), x.figure(placeLocal, op)), 2))
		default:
			r.Shapes = append(r.Shapes, AtLeast("E1", op+" with a DMM over remote", Ratio(x.figure(placeDMM, op), x.figure(placeRemote, op)), 0.5))
		}
	}
	for _, op := range opNames() {
		most := 1.6
		if op == opRead || op == opWrite {
			most = 1.35
		}
		r.Shapes = append(r.Shapes, goal(AtMost("E1", "remote "+op+" over a WebSocket ping-pong", Ratio(x.figure(placeRemote, op), x.figure(placePing, op)), most)))
	}
	if x.times["nats"] != nil {
		for _, op := range []string{opRead, opWrite} {
			r.Shapes = append(r.Shapes, goal(AtMost("E1", "remote "+op+" over NATS KV", Ratio(x.figure(placeRemote, op), x.figure("nats", op)), 1)))
		}
	}
}
