package app

import (
	"sync"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/user"
)

// syncEvery is how often what a load measures is collected.
const syncEvery = 100 * time.Millisecond

// loadSpecs are the variables that are measured.
func loadSpecs(records bool) []dmm.Spec {
	var specs []dmm.Spec
	add := func(manipulator string, leaves ...string) {
		for _, leaf := range leaves {
			specs = append(specs, dmm.Spec{
				Name: loadName + "." + dsv.Name(leaf), Manipulator: manipulator, Sync: dmm.Trigger{Every: syncEvery},
			})
		}
	}
	add("histogram", "latency", "send_lag", "connect", "first_byte")
	add("count", "requests", "errors", "issued", "late", "retries")
	add("sum", "target", "unfinished")
	for _, c := range service.Causes() {
		add("count", "errors_"+c.String())
	}
	if records {
		add("records", "records")
	}
	return specs
}

// loadTotals is what was measured in some stretch of time.
type loadTotals struct {
	counts map[string]int64 // by the leaf of the variable
	hists  map[string]*dsv.HistSum
	target float64
	// unfinished is how many requests were under way at the end.
	unfinished float64
}

func newLoadTotals() loadTotals {
	return loadTotals{counts: map[string]int64{}, hists: map[string]*dsv.HistSum{}}
}

func (t *loadTotals) add(leaf string, d *dsv.Delta) {
	switch d.Value.Kind {
	case dsv.Histogram:
		if t.hists[leaf] == nil {
			t.hists[leaf] = &dsv.HistSum{}
		}
		t.hists[leaf].Add(d.Value.Hist)
	case dsv.Int:
		t.counts[leaf] += d.Value.Int
	default:
		switch leaf {
		case "target":
			t.target += d.Value.Float
		case "unfinished":
			t.unfinished += d.Value.Float
		}
	}
}

// hist is a histogram, empty where nothing was measured.
func (t *loadTotals) hist(leaf string) *dsv.Hist {
	if t.hists[leaf] == nil {
		return nil
	}
	return t.hists[leaf].Hist()
}

// A loadPump collects what a load measures: in all, since the warm-up, and by second. Its fields are set before it runs;
// advance and finish belong to one goroutine at a time.
type loadPump struct {
	set      *dmm.Set
	warmup   dsv.Instant
	second   func(n int, t *loadTotals) // called for each second that is over, in order
	record   func(user.Record)          // called for each request that ended, where records are taken
	inFlight func() int64
	evidence *loadEvidence

	mu       sync.Mutex // guards what follows
	all      loadTotals
	measured loadTotals // since the warm-up
	now      loadTotals // of the second that is not over
	seconds  int        // that are over
	deltas   []dsv.Delta
}

func newLoadPump(set *dmm.Set, c user.Config) *loadPump {
	return &loadPump{set: set, warmup: c.Warmup, evidence: newLoadEvidence(c), all: newLoadTotals(), measured: newLoadTotals(), now: newLoadTotals()}
}

// advance collects what came until a while before an instant, so that windows are whole, and reports whether the run has
// begun.
func (p *loadPump) advance(at dsv.Instant) bool {
	if at = at.Add(-syncEvery / 2); at <= 0 {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.set.Advance(at)
	p.take()
	return true
}

// finish collects the rest.
func (p *loadPump) finish(at dsv.Instant) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.set.Close(at)
	p.take()
	if len(p.now.counts) > 0 && p.second != nil {
		p.second(p.seconds, &p.now)
	}
}

// take adds up what waits; mu is held.
func (p *loadPump) take() {
	p.deltas = p.set.Take(p.deltas[:0])
	for i := range p.deltas {
		d := &p.deltas[i]
		leaf := string(d.Name[len(loadName)+1:])
		for d.T1 > dsv.Instant(p.seconds+1)*1e9 {
			if p.second != nil {
				p.second(p.seconds, &p.now)
			}
			p.seconds++
			p.now = newLoadTotals()
		}
		if leaf == "records" {
			p.records(d.Value.Bytes)
			continue
		}
		if leaf == "latency" {
			p.evidence.latency.Add(*d)
		}
		p.all.add(leaf, d)
		p.now.add(leaf, d)
		if d.T1 > p.warmup {
			p.measured.add(leaf, d)
		}
	}
	clear(p.deltas)
}

func (p *loadPump) records(chunk []byte) {
	for b := range dmm.Records(chunk) {
		if len(b) < user.RecordSize {
			continue
		}
		r := user.DecodeRecord(b)
		p.evidence.record(r)
		if p.record != nil {
			p.record(r)
		}
	}
}

// issued is how many requests were issued since the warm-up, as far as it was collected.
func (p *loadPump) issued() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.measured.counts["issued"]
}
