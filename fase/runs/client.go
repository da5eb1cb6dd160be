package runs

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/stat"
	"github.com/eve-emulation/eve/fase/user"
)

// The bounds of an honest generator: beyond one of them the results tell of the generator and not of the servers.
const (
	// MinAchieved is the least share of the planned arrivals that must be issued.
	MinAchieved = 0.99
	// MaxLagShare is the largest share of a response-time quantile, the median or the p99, that the same quantile of the
	// send lag may have, once it exceeds MaxSendLag.
	MaxLagShare = 0.1
)

// client computes the results of one group.
func (t *totals) client(g *user.Config) Client {
	v := func(what string) dsv.Name { return dsv.Name(g.Name + "." + what) }
	lag := t.hist(v("send_lag"))
	issued := t.count(v("issued"))
	c := Client{
		Model: "closed", Requests: t.count(v("requests")), Errors: t.errors(g.Name, t.count),
		TargetRate: Number(math.NaN()), AchievedRate: t.perSecond(float64(issued)),
		Response: Distribute(t.hist(v("latency"))),
		SendLag:  Lag{P50: Number(lag.Quantile(0.5)), P99: Number(lag.Quantile(0.99)), Max: Number(lag.Max())},
		Late:     t.count(v("late")), Dropped: t.count(v("dropped")),
		ArrivalsSHA256: g.PlanHash(),
		Accounting:     t.accounting(g.Name),
	}
	c.Throughput = t.perSecond(float64(c.Requests - c.Errors[AllErrors]))
	if len(g.Rate) > 0 {
		c.Model = "open"
		c.TargetRate = t.perSecond(t.measured(v("target")).Number())
	}
	records := t.records(g.Name)
	c.ArrivalsOffPlan = int64(g.OffPlan(records, t.wasSet(g, user.RateSetting)))
	c.ResponseInterval = t.interval(records, c.Response.Count)
	c.GeneratorReasons = t.limits(g, &c, issued)
	c.GeneratorLimited = len(c.GeneratorReasons) > 0
	c.Generator = t.generator(g)
	return c
}

// GeneratorName is the variable that holds what it cost to emulate a part of a group, 0 being the first: Text, a JSON
// Generator, written at its end.
func GeneratorName(group string, part int) dsv.Name {
	if part == 0 {
		return dsv.Name(group + ".generator")
	}
	return dsv.Name(fmt.Sprintf("%s.generator_%d", group, part+1))
}

// generator adds up what the parts of a group cost; nil when none has told.
func (t *totals) generator(g *user.Config) *Generator {
	var all *Generator
	for part := range max(g.Parts, 1) {
		w := t.window(GeneratorName(g.Name, part))
		if w == nil || w.Len() == 0 {
			continue
		}
		var one Generator
		if json.Unmarshal([]byte(w.Sum(-1, dsv.Never).Value.Text), &one) != nil {
			continue
		}
		if all == nil {
			all = &Generator{}
		}
		all.add(one)
	}
	return all
}

func (g *Generator) add(o Generator) {
	g.CPU += o.CPU
	g.Utilisation = max(g.Utilisation, o.Utilisation)
	g.ProcessCPU += o.ProcessCPU
	g.JitterP50, g.JitterP99 = max(g.JitterP50, o.JitterP50), max(g.JitterP99, o.JitterP99)
	g.JitterMax = max(g.JitterMax, o.JitterMax)
	g.Connections += o.Connections
	g.Idle += o.Idle
	g.IdleLost += o.IdleLost
	g.Retried += o.Retried
	g.BytesIn += o.BytesIn
	g.BytesOut += o.BytesOut
	g.Messages = append(g.Messages, o.Messages...)
}

// AllErrors is the key of the sum in Client.Errors.
const AllErrors = "all"

// errors lists the causes of which there was one, and their sum.
func (t *totals) errors(group string, count func(dsv.Name) int64) map[string]int64 {
	m := map[string]int64{AllErrors: count(dsv.Name(group + ".errors"))}
	for _, cause := range causes() {
		if n := count(dsv.Name(group + ".errors_" + cause)); n != 0 {
			m[cause] = n
		}
	}
	return m
}

// accounting finds out where each request of the whole run is. What is in flight at the end is counted nowhere, so it
// follows from the rest; the causes and the samples are counted apart and must agree.
func (t *totals) accounting(group string) Accounting {
	v := func(what string) dsv.Name { return dsv.Name(group + "." + what) }
	issued, finished := t.countAll(v("issued")), t.countAll(v("requests"))
	es := t.errors(group, t.countAll)
	a := Accounting{Issued: issued, Errors: es[AllErrors], OK: finished - es[AllErrors], InFlight: issued - finished}
	byCause := int64(0)
	for cause, n := range es {
		if cause != AllErrors {
			byCause += n
		}
	}
	samples := int64(t.whole(v("latency")).Value.Hist.Count())
	a.Balanced = a.InFlight >= 0 && a.OK >= 0 && byCause == a.Errors && samples == finished
	return a
}

// wasSet says whether a setting of a group was changed in the run: a rate that was makes other instants than the plan's.
func (t *totals) wasSet(g *user.Config, setting string) bool {
	w := t.window(dsv.Name(g.Name + "." + setting))
	if w == nil {
		return false
	}
	initial, ok := g.Initial(setting)
	for _, d := range w.Deltas(-1, dsv.Never) {
		if x, _ := d.Value.Number(); !ok || x != initial {
			return true
		}
	}
	return false
}

// records reads the recorded requests of a group, in the order in which they were due.
func (t *totals) records(group string) []user.Record {
	if _, ok := t.declarations[RecordsName(group)]; !ok {
		return nil
	}
	var rs []user.Record
	err := Requests(t.history, group, func(r user.Record) error {
		rs = append(rs, r)
		return nil
	})
	if err != nil {
		t.broken[RecordsName(group)] = err
	}
	slices.SortFunc(rs, func(a, b user.Record) int {
		return cmp.Or(cmp.Compare(a.Due, b.Due), cmp.Compare(a.Key, b.Key))
	})
	return rs
}

// maxSeries bounds the series of which an autocorrelation time is computed.
const maxSeries = 200_000

// interval returns the confidence interval of the mean response, when every request of the window was recorded and
// there are enough of them.
func (t *totals) interval(records []user.Record, count uint64) *Estimate {
	var xs []float64
	for _, r := range records {
		if r.Done > t.from && r.Done <= t.to {
			xs = append(xs, r.Done.Sub(r.Due).Seconds())
		}
	}
	if uint64(len(xs)) != count || len(xs) > maxSeries {
		return nil
	}
	e, err := stat.BatchMeans(xs, stat.Batches, 0.95)
	if err != nil {
		return nil
	}
	return &Estimate{
		Low: Number(e.Low), High: Number(e.High), Confidence: Number(e.Confidence), Batches: e.Batches, Samples: e.N,
		TooShort: float64(e.N/e.Batches) < 10*stat.IACT(xs),
	}
}

// limits says why the generator was the limit, if it was.
func (t *totals) limits(g *user.Config, c *Client, issued int64) []string {
	return Generated{
		Planned: t.measured(dsv.Name(g.Name + ".target")).Number(), Open: len(g.Rate) > 0, Poisson: g.Law == user.Poisson,
		Issued: issued, Dropped: c.Dropped, SendLag: c.SendLag, Response: c.Response,
	}.LimitReasons()
}

// Generated is what a generator was to do and did.
type Generated struct {
	Open, Poisson   bool
	Planned         float64 // requests; open only
	Issued, Dropped int64
	SendLag         Lag
	Response        Distribution
}

// LimitReasons says why the generator was the limit, if it was; docs/summary.md states the rule.
func (g Generated) LimitReasons() []string {
	var rs []string
	if g.Open && g.Planned > 0 {
		slack := 1.0
		if g.Poisson {
			slack = 4 * math.Sqrt(g.Planned) // arrivals vary by themselves
		}
		if float64(g.Issued) < MinAchieved*g.Planned-slack {
			rs = append(rs, fmt.Sprintf("it issued %d requests where about %.0f were planned", g.Issued, g.Planned))
		}
	}
	if g.Dropped > 0 {
		rs = append(rs, fmt.Sprintf("it dropped %d requests that were due", g.Dropped))
	}
	for _, q := range []struct {
		name          string
		lag, response Number
	}{{"median", g.SendLag.P50, g.Response.P50}, {"p99", g.SendLag.P99, g.Response.P99}} {
		if float64(q.lag) > MaxSendLag && float64(q.lag) > MaxLagShare*float64(q.response) {
			rs = append(rs, fmt.Sprintf("the %s of its send lag, %s, is more than %s and more than %s of the %s of the response time, %s",
				q.name, seconds(float64(q.lag)), seconds(MaxSendLag), percent(MaxLagShare), q.name, seconds(float64(q.response))))
			break
		}
	}
	return rs
}
