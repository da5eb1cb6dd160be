// Package dsvtest is the contract of every [dsv.Space]: what the Store keeps, its proxies keep, whatever lies between.
//
//	func TestSpace(t *testing.T) {
//		dsvtest.Run(t, func(t *testing.T) dsv.Space { return dsv.NewStore(nil) })
//	}
package dsvtest

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
)

// patience bounds the wait for anything that a Space may do later than at once.
const patience = 20 * time.Second

// Run tests that open opens Spaces as package dsv promises them. Each call of open must return an empty Space; it
// closes it by t.Cleanup. A Space may answer reads and watches late, as long as it answers. Whether a Space keeps
// history is its own choice: History or NoHistory tests it.
func Run(t *testing.T, open func(t *testing.T) dsv.Space) {
	each(t, open, []contract{
		{"create", testCreate},
		{"missing", testMissing},
		{"kinds", testKinds},
		{"refuse values", testRefuse},
		{"share no memory", testMemory},
		{"revisions", testRevisions},
		{"test and set", testTestAndSet},
		{"test and set together", testTestAndSetTogether},
		{"merge", testMerge},
		{"merge histograms", testMergeHists},
		{"repeats", testRepeats},
		{"sync errors", testSyncErrors},
		{"sync together", testSyncTogether},
		{"watch latest", testWatchLatest},
		{"watch deletions", testWatchDeletions},
		{"watch all", testWatchAll},
		{"watch present values", testWatchPresent},
		{"watch resumes", testWatchResumes},
		{"watch too slow", testWatchSlow},
		{"watch patterns", testWatchPatterns},
		{"watch ends", testWatchEnds},
		{"delete", testDelete},
		{"info", testInfo},
	})
}

// A contract is one promise with its test.
type contract struct {
	name string
	test func(t *testing.T, k *kit)
}

// each runs each test on a Space of its own.
func each(t *testing.T, open func(t *testing.T) dsv.Space, cs []contract) {
	for _, c := range cs {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
			defer cancel()
			c.test(t, &kit{t: t, ctx: ctx, Space: open(t)})
		})
	}
}

// kit is a Space with the failures of a test.
type kit struct {
	dsv.Space
	t   *testing.T
	ctx context.Context
}

// must fails the test on an error.
func (k *kit) must(err error) {
	k.t.Helper()
	if err != nil {
		k.t.Fatal(err)
	}
}

// is fails the test unless err wraps want.
func (k *kit) is(err, want error) {
	k.t.Helper()
	if !errors.Is(err, want) {
		k.t.Fatalf("error is %v, want %v", err, want)
	}
}

// declare creates a variable.
func (k *kit) declare(n dsv.Name, kind dsv.Kind, m dsv.Merge) {
	k.t.Helper()
	k.must(k.Create(k.ctx, dsv.Declaration{Name: n, Kind: kind, Merge: m, Help: "for a test"}))
}

// write writes a whole value.
func (k *kit) write(n dsv.Name, v dsv.Value) dsv.Revision {
	k.t.Helper()
	r, err := k.Write(k.ctx, n, v)
	k.must(err)
	return r
}

// eventually reads the variable until ok holds for what it reads.
func (k *kit) eventually(n dsv.Name, what string, ok func(dsv.Reading, error) bool) dsv.Reading {
	k.t.Helper()
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	late := time.After(patience)
	for {
		r, err := k.Read(k.ctx, n)
		if ok(r, err) {
			return r
		}
		select {
		case <-again.C:
		case <-late:
			k.t.Fatalf("read %s is %v of weight %v at revision %d (error %v), want %s", n, r.Value, r.Weight, r.Revision, err, what)
		}
	}
}

// reads waits until the variable holds v.
func (k *kit) reads(n dsv.Name, v dsv.Value) dsv.Reading {
	k.t.Helper()
	return k.eventually(n, v.String(), func(r dsv.Reading, err error) bool { return err == nil && near(r.Value, v) })
}

// near compares values, floats to 1e-12 of their size.
func near(a, b dsv.Value) bool {
	if a.Kind == dsv.Float && b.Kind == dsv.Float {
		return math.Abs(a.Float-b.Float) <= 1e-12*math.Abs(b.Float)
	}
	return a.Equal(b)
}

// watch opens a watch that ends with the test.
func (k *kit) watch(r dsv.WatchRequest) dsv.Watch {
	k.t.Helper()
	w, err := k.Watch(k.ctx, r)
	k.must(err)
	k.t.Cleanup(func() { _ = w.Close() })
	return w
}

// next returns the watch's next update.
func (k *kit) next(w dsv.Watch) dsv.Update {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(k.ctx, patience)
	defer cancel()
	u, err := w.Next(ctx)
	k.must(err)
	return u
}

// delta is the seq-th delta of writer w.
func delta(n dsv.Name, w dsv.WriterID, seq uint64, v dsv.Value, weight float64) dsv.Delta {
	at := dsv.Instant(seq) * dsv.Instant(time.Millisecond)
	return dsv.Delta{Name: n, Writer: w, Seq: seq, T0: at - 1e6, T1: at, Value: v, Weight: weight}
}
