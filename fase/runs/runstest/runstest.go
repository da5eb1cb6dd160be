// Package runstest makes histories for tests of whatever reads run folders: small ones by hand, and that of a flash
// crowd, drawn by a little queueing model and written by the manipulators that a real run uses.
package runstest

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dmm/expr"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/adapt"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/user"
)

// A Memory is a History in memory, which is also a dsv.Recorder.
type Memory struct {
	declarations map[dsv.Name]dsv.Declaration
	updates      map[dsv.Name][]dsv.Update
	// Plan is the plan that the history belongs to, for whoever wants to keep them together.
	Plan *scenario.Plan
	// Broken, where set, is the error that reading the history of a variable ends with.
	Broken map[dsv.Name]error
}

// NewMemory returns an empty history.
func NewMemory() *Memory {
	return &Memory{declarations: map[dsv.Name]dsv.Declaration{}, updates: map[dsv.Name][]dsv.Update{}, Broken: map[dsv.Name]error{}}
}

// Declare implements dsv.Recorder.
func (m *Memory) Declare(d dsv.Declaration) error { m.declarations[d.Name] = d; return nil }

// Record implements dsv.Recorder.
func (m *Memory) Record(u dsv.Update) error {
	if u.Delta != nil { // the Store's, until this returns
		d := *u.Delta
		u.Delta = &d
	}
	if m.declarations[u.Name].History {
		m.updates[u.Name] = append(m.updates[u.Name], u)
	}
	return nil
}

// Flush implements dsv.Recorder.
func (m *Memory) Flush() error { return nil }

// Close implements dsv.Recorder.
func (m *Memory) Close() error { return nil }

// Declarations implements runs.History.
func (m *Memory) Declarations() []dsv.Declaration {
	var ds []dsv.Declaration
	for _, d := range m.declarations {
		ds = append(ds, d)
	}
	slices.SortFunc(ds, func(a, b dsv.Declaration) int { return strings.Compare(string(a.Name), string(b.Name)) })
	return ds
}

// History implements runs.History.
func (m *Memory) History(n dsv.Name, from, to dsv.Instant, fn func(dsv.Update) error) error {
	for _, u := range m.updates[n] {
		at := u.Reading.T1
		if u.Delta != nil {
			at = u.Delta.T1
		}
		if at <= from || at > to {
			continue
		}
		if err := fn(u); err != nil {
			return err
		}
	}
	return m.Broken[n]
}

// A Writer writes variables as a participant of a run does, through manipulators and a Store, into a Recorder.
type Writer struct {
	store *dsv.Store
	set   *dmm.Set
	seq   uint64 // of whole values
}

// NewWriter declares the plan's measures and what the kernel and the adapter declare.
func NewWriter(plan *scenario.Plan, rec dsv.Recorder) (*Writer, error) {
	w := &Writer{store: dsv.NewStore(rec)}
	var specs []dmm.Spec
	for _, m := range plan.Measures {
		specs = append(specs, m.Spec)
		if err := w.store.Create(context.Background(), m.Declaration()); err != nil {
			return nil, err
		}
	}
	others := []dsv.Declaration{{Name: adapt.DecisionsName, Kind: dsv.Bytes, History: true, Help: "every decision"}}
	for _, s := range plan.Topology.Services {
		others = append(others, dsv.Declaration{Name: service.MapName(s), Kind: dsv.Text, History: true, Help: "where " + s + " is"})
	}
	for _, d := range others {
		if err := w.store.Create(context.Background(), d); err != nil {
			return nil, err
		}
	}
	set, err := dmm.NewSet(1, 1, specs)
	w.set = set
	return w, err
}

// Var returns a variable of the plan's; nil, which swallows what is written, when there is none.
func (w *Writer) Var(n dsv.Name) *dmm.Var { return w.set.Var(n) }

// Advance synchronises what is due until an instant.
func (w *Writer) Advance(to dsv.Instant) error {
	w.set.Advance(to)
	return w.store.Sync(context.Background(), w.set.Take(nil))
}

// Decide writes a step of a decision.
func (w *Writer) Decide(d adapt.Decision) error {
	b, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return w.whole(adapt.DecisionsName, d.At, dsv.BytesValue(b))
}

// Map writes a mapping.
func (w *Writer) Map(service string, m service.Mapping) error {
	return w.whole(dsv.Name("map."+service), m.At, dsv.TextValue(m.Encode()))
}

// Tell writes what a group's generator cost.
func (w *Writer) Tell(name dsv.Name, g runs.Generator) error {
	b, err := json.Marshal(g)
	if err != nil {
		return err
	}
	if err := w.store.Create(context.Background(), dsv.Declaration{Name: name, Kind: dsv.Text, History: true}); err != nil {
		return err
	}
	return w.whole(name, 0, dsv.TextValue(string(b)))
}

func (w *Writer) whole(n dsv.Name, at dsv.Instant, v dsv.Value) error {
	w.seq++
	return w.store.Sync(context.Background(), []dsv.Delta{{Name: n, Writer: 2, Epoch: 1, Seq: w.seq, T0: at, T1: at, Value: v, Weight: 1}})
}

// Close synchronises everything and closes the Store and its Recorder.
func (w *Writer) Close(at dsv.Instant) error {
	w.set.Close(at)
	if err := w.store.Sync(context.Background(), w.set.Take(nil)); err != nil {
		return err
	}
	return w.store.Close()
}

// Plan returns a plan with the standard measures of groups, services and servers, without blocks or programs to run.
func Plan(duration, warmup time.Duration, groups, services, servers []string) *scenario.Plan {
	p := &scenario.Plan{
		Name: "synthetic", About: "Made by a test.", Duration: duration, Warmup: warmup, Seed: 7,
		Topology: &service.Topology{Servers: servers, Services: services}, Text: []byte("eve: 1\nname: synthetic\n"),
	}
	measure := func(manipulator, unit string, names ...string) {
		for _, n := range names {
			s := dmm.Spec{Name: dsv.Name(n), Manipulator: manipulator, Sync: dmm.Trigger{Every: 100 * time.Millisecond}}
			p.Measures = append(p.Measures, scenario.Measure{Spec: s, Unit: unit, History: true, Help: n})
		}
	}
	for i, g := range groups {
		p.Clients = append(p.Clients, user.Config{Name: g, Index: i, Seed: p.Seed, Rate: []user.Point{{Rate: 40}}, End: dsv.At(duration)})
		measure("histogram", "s", g+".latency", g+".send_lag", g+".connect", g+".first_byte")
		measure("count", "1", g+".requests", g+".errors", g+".issued", g+".late", g+".dropped")
		for _, c := range service.Causes() {
			measure("count", "1", g+".errors_"+c.String())
		}
		measure("mean", "1", g+".in_flight")
		measure("sum", "1", g+".target", g+".unfinished")
		measure("last", "1/s", g+".rate")
		measure("records", "", g+".records", string(service.LedgerName(g)))
	}
	for _, s := range services {
		p.Services = append(p.Services, service.Config{Name: s})
		measure("histogram", "s", s+".latency", s+".residence")
		measure("count", "1", s+".requests", s+".errors")
	}
	for _, x := range servers {
		measure("records", "", string(service.LedgerName(x)))
		for _, r := range runs.Resources() {
			measure("mean", "1", x+"."+string(r)+".utilisation", x+"."+string(r)+".queue")
			measure("sum", "s", x+"."+string(r)+".requested", x+"."+string(r)+".delivered")
		}
	}
	return p
}

// Expect adds a condition to a plan.
func Expect(p *scenario.Plan, text string) error {
	program, err := expr.Compile(text, func(n dsv.Name) (dsv.Declaration, bool) {
		for _, m := range p.Measures {
			if m.Name == n {
				return m.Declaration(), true
			}
		}
		return dsv.Declaration{}, false
	})
	if err != nil {
		return err
	}
	p.Expect = append(p.Expect, scenario.Expect{Text: text, Program: program})
	return nil
}

// AppendRecord appends the encoding of a request's record.
func AppendRecord(b []byte, r user.Record) []byte {
	for _, x := range []uint64{uint64(r.Key), uint64(r.Due), uint64(r.Sent), uint64(r.Done), uint64(r.Cause)} {
		b = binary.LittleEndian.AppendUint64(b, x)
	}
	return b
}

// rng returns a generator with a fixed seed.
func rng(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

// Measure is a measure of a plan beside those of Plan.
func Measure(manipulator, name string) scenario.Measure {
	s := dmm.Spec{Name: dsv.Name(name), Manipulator: manipulator, Sync: dmm.Trigger{Every: 100 * time.Millisecond}}
	return scenario.Measure{Spec: s, History: true, Help: name}
}

// AppendVisit appends the encoding of an execution at a server.
func AppendVisit(b []byte, v runs.Visit) []byte {
	for _, x := range []uint64{v.Key, uint64(v.Arrived), uint64(v.Done), service.PackDemand(int64(v.CPU), v.Server)} {
		b = binary.LittleEndian.AppendUint64(b, x)
	}
	return b
}
