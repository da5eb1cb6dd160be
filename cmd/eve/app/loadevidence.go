package app

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/user"
)

// The bounds of what `eve load` keeps to judge its figures: windows of response times, and requests whose arrivals are tested.
const (
	maxLoadWindows = 4000
	maxLoadRecords = 50_000
	maxLoadRate    = 2000 // of such requests per second
)

// loadShare is the share of the requests of an open group whose arrivals are kept, chosen by key; 0 of a closed one.
func loadShare(c *user.Config) float64 {
	if !c.Open() {
		return 0
	}
	planned, seconds := c.Offered()(c.End), c.End.Seconds()
	return math.Min(1, math.Min(maxLoadRecords, maxLoadRate*seconds)/math.Max(planned, 1))
}

// loadEvidence is what is kept of a run to judge its figures.
type loadEvidence struct {
	share   float64 // of requests, by key
	latency *dmm.Window
	kept    []user.Record
}

func newLoadEvidence(c user.Config) *loadEvidence {
	e := &loadEvidence{share: loadShare(&c), latency: dmm.NewWindow(dsv.Declaration{Name: loadName + ".latency", Kind: dsv.Histogram, Merge: dsv.Hists}, 0)}
	windows := (time.Duration(c.End)/maxLoadWindows + syncEvery - 1) / syncEvery
	e.latency.Coarsen(max(windows, 1) * syncEvery)
	return e
}

// record keeps a request if it is of the sample.
func (e *loadEvidence) record(r user.Record) {
	if e.share > 0 && service.Recorded(r.Key, e.share) {
		e.kept = append(e.kept, r)
	}
}

// judge adds to a result what makes its figures believable.
func (g *loadGroup) judge(x *result, p *loadPump, generator *runs.Generator, end dsv.Instant) {
	books := runs.Books{
		Issued: x.Issued, Sent: int64(p.all.hist("send_lag").Count()), Ended: x.Requests, Errors: x.Errors,
		Samples: int64(p.all.hist("latency").Count()), Left: int64(p.all.unfinished),
	}
	x.Accounting = books.Accounting()
	c := runs.Client{
		Requests: p.measured.counts["requests"], Errors: map[string]int64{runs.AllErrors: p.measured.counts["errors"]},
		TargetRate: runs.Number(math.NaN()), AchievedRate: x.AchievedRate, Response: x.Response, SendLag: x.SendLag,
		GeneratorLimited: x.Limited, GeneratorReasons: x.Reasons, Generator: generator, Accounting: x.Accounting,
	}
	if x.TargetRate != nil {
		c.TargetRate = *x.TargetRate
	}
	e := runs.Evidence{Group: new(g.cfg), From: min(g.cfg.Warmup, end), To: end, Latency: p.evidence.latency.Deltas(0, end), Records: p.evidence.kept}
	e.Group.RecordShare = p.evidence.share
	slices.SortFunc(e.Records, func(a, b user.Record) int { return cmp.Or(cmp.Compare(a.Due, b.Due), cmp.Compare(a.Key, b.Key)) })
	if len(g.steps) > 0 {
		e.Changes = "the number of users changes by plan"
	}
	e.Judge(&c)
	x.Meaning, x.Gates, x.Intervals, x.Transient, x.Steady, x.Law = c.Meaning, c.Gates, c.Intervals, c.Warmup, c.Steady, c.Law
}
