package dsvbolt_test

import (
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/eve-emulation/eve/dsv"
)

// TestPagesAreExact reads on, page by page, while a variable under a resolution is recorded: each change is told once,
// though windows grow between the pages, and no page is longer than was asked for.
func TestPagesAreExact(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		db := create(t, filepath.Join(t.TempDir(), "run.db"))
		defer db.Close()
		s := dsv.NewStore(db)
		defer s.Close()
		must(t, s.Create(t.Context(), dsv.Declaration{Name: "x", Kind: dsv.Int, Merge: dsv.Sum, History: true, Resolution: 100}))
		var cursor uint64
		var told, wrote int64
		at, seq := dsv.Instant(0), uint64(0)
		page := func(r dsv.HistoryRequest) bool {
			r.Name, r.From, r.Cursor = "x", -1, cursor
			p, err := s.History(t.Context(), r)
			must(t, err)
			if len(p.Deltas) > r.Limit {
				rt.Fatalf("a page of %d deltas, %d were asked for", len(p.Deltas), r.Limit)
			}
			for _, d := range p.Deltas {
				told += d.Value.Int
			}
			cursor = p.Cursor
			return p.More
		}
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			switch rapid.IntRange(0, 9).Draw(rt, "what") {
			case 0, 1:
				page(dsv.HistoryRequest{
					Limit: rapid.IntRange(1, 3).Draw(rt, "limit"), Resolution: rapid.SampledFrom(resolutions).Draw(rt, "resolution"),
				})
			case 2:
				must(t, db.Flush())
			case 3:
				_, err := s.Write(t.Context(), "x", dsv.IntValue(1000))
				must(t, err)
				wrote += 1000
			default:
				at += dsv.Instant(rapid.IntRange(0, 60).Draw(rt, "step"))
				seq++
				must(t, s.Sync(t.Context(), []dsv.Delta{{Name: "x", Writer: 1, Seq: seq, T0: at, T1: at, Value: dsv.IntValue(1), Weight: 1}}))
				wrote++
			}
		}
		for page(dsv.HistoryRequest{Limit: 2, Resolution: rapid.SampledFrom(resolutions).Draw(rt, "last resolution")}) {
		}
		if told != wrote {
			rt.Fatalf("the pages tell %d, %d were written", told, wrote)
		}
	})
}

var resolutions = []time.Duration{0, 50, 100, 250}
