package runs

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/user"
)

// The bounds of an honest generator: beyond one of them the results tell of the generator and not of the servers.
const (
	// MinAchieved is the least share of the planned arrivals that must be issued.
	MinAchieved = 0.99
	// MaxLagShare is the largest share of a response-time quantile, the median or the p99, that the same quantile of the
	// send lag may have, once it exceeds MaxSendLag.
	MaxLagShare = 0.1
	// MaxUtilisation is the largest share of a processor that the thread of a loop may use that does not poll: beyond it,
	// requests wait for the loop, and what is measured is its own queue.
	MaxUtilisation = 0.95
)

// client computes the results of one group.
func (t *totals) client(plan *scenario.Plan, g *user.Config) Client {
	v := func(what string) dsv.Name { return dsv.Name(g.Name + "." + what) }
	lag := t.hist(v("send_lag"))
	issued := t.count(v("issued"))
	c := Client{
		Model: "closed", Requests: t.count(v("requests")), Errors: t.errors(g.Name, t.count),
		TargetRate: Number(math.NaN()), AchievedRate: t.perSecond(float64(issued)),
		Response:  Distribute(t.hist(v("latency"))),
		SendLag:   Lag{P50: Number(lag.Quantile(0.5)), P99: Number(lag.Quantile(0.99)), Max: Number(lag.Max())},
		FirstByte: t.distribution(v("first_byte")), Connect: t.distribution(v("connect")),
		Late: t.count(v("late")), Dropped: t.count(v("dropped")), Abandoned: t.count(v("errors_" + service.Abandoned.String())),
		ArrivalsSHA256: g.PlanHash(),
		Accounting:     t.accounting(g.Name),
	}
	c.Sessions = t.sessions(g)
	c.Throughput = t.perSecond(float64(c.Requests - c.Errors[AllErrors]))
	if g.Open() {
		c.Model = "open"
		c.TargetRate = t.perSecond(t.measured(v("target")).Number())
	}
	records := t.records(g.Name)
	c.ArrivalsOffPlan = int64(g.OffPlan(records, t.wasSet(g, user.RateSetting)))
	c.Generator = t.generator(g)
	c.GeneratorReasons = t.limits(g, &c, issued)
	c.GeneratorLimited = len(c.GeneratorReasons) > 0
	t.judge(plan, g, &c, records)
	return c
}

// distribution describes a histogram of the window; nil when nothing was written.
func (t *totals) distribution(n dsv.Name) *Distribution {
	h := t.hist(n)
	if h.Count() == 0 {
		return nil
	}
	return new(Distribute(h))
}

// judge adds what makes the figures of a group believable.
func (t *totals) judge(plan *scenario.Plan, g *user.Config, c *Client, records []user.Record) {
	e := Evidence{Group: g, From: t.from, To: t.to, Records: records, Changes: t.changes(plan, g), Virtual: t.virtual, Lost: t.lost || len(t.broken) > 0}
	if w := t.window(dsv.Name(g.Name + ".latency")); w != nil {
		e.Latency = w.Deltas(0, t.to)
	}
	if g.Open() && t.wasSet(g, user.RateSetting) {
		e.Offered = func() func(at dsv.Instant) float64 { return t.offered(dsv.Name(g.Name + ".target")) }
	}
	e.Judge(c)
}

// offered is the integral of the rate as it was measured, linear within windows of synchronisation.
func (t *totals) offered(target dsv.Name) func(at dsv.Instant) float64 {
	var ds []dsv.Delta
	if w := t.window(target); w != nil {
		ds = w.Deltas(0, dsv.Never)
	}
	i, before := 0, 0.0
	return func(at dsv.Instant) float64 {
		for i < len(ds) && ds[i].T1 <= at {
			x, _ := ds[i].Value.Number()
			before, i = before+x, i+1
		}
		if i == len(ds) || at <= ds[i].T0 {
			return before
		}
		x, _ := ds[i].Value.Number()
		return before + x*float64(at-ds[i].T0)/float64(ds[i].T1-ds[i].T0)
	}
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
	g.Spin = max(g.Spin, o.Spin)
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

// accounting finds out where each request of the whole run is.
func (t *totals) accounting(group string) Accounting {
	v := func(what string) dsv.Name { return dsv.Name(group + "." + what) }
	b := Books{
		Issued: t.countAll(v("issued")), Sent: int64(t.whole(v("send_lag")).Value.Hist.Count()), Ended: t.countAll(v("requests")),
		Errors: t.errors(group, t.countAll), Samples: int64(t.whole(v("latency")).Value.Hist.Count()), Left: -1,
	}
	if w := t.whole(v("unfinished")); !w.Empty() { // of a group that did not end in order it is not known
		b.Left = int64(w.Number())
	}
	return b.Accounting()
}

// Books are what was counted of a group's requests, each apart from the others.
type Books struct {
	Issued, Sent, Ended int64
	Errors              map[string]int64 // by cause, and AllErrors
	Samples             int64            // response times
	Left                int64            // under way at the end; negative: not known
}

// Accounting finds out where each request is, and whether the books agree: issued = ok + errors + in flight, the causes add up
// to the errors, and each request that ended has its response time.
func (b Books) Accounting() Accounting {
	a := Accounting{
		Issued: b.Issued, Sent: b.Sent, Errors: b.Errors[AllErrors], Abandoned: b.Errors[service.Abandoned.String()],
		OK: b.Ended - b.Errors[AllErrors], InFlight: b.Issued - b.Ended,
	}
	byCause := -a.Errors
	for _, n := range b.Errors {
		byCause += n
	}
	left := b.Left
	if left < 0 {
		left = a.InFlight
	}
	switch {
	case a.InFlight < 0 || left != a.InFlight:
		a.Broken = fmt.Sprintf("%d were issued, where %d ended and %d were under way at the end", b.Issued, b.Ended, left)
	case a.OK < 0 || byCause != a.Errors:
		a.Broken = fmt.Sprintf("of %d that ended %d were errors, where the causes add up to %d", b.Ended, a.Errors, byCause)
	case b.Samples != b.Ended:
		a.Broken = fmt.Sprintf("%d ended, where there are %d response times", b.Ended, b.Samples)
	case a.Sent > b.Issued:
		a.Broken = fmt.Sprintf("%d were sent, where %d were issued", a.Sent, b.Issued)
	}
	a.Balanced = a.Broken == ""
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

// limits says why the generator was the limit, if it was.
func (t *totals) limits(g *user.Config, c *Client, issued int64) []string {
	if g.Sessions != nil {
		issued = t.count(g.Begun())
	}
	return Generated{
		Planned: t.measured(dsv.Name(g.Name + ".target")).Number(), Open: g.Open(), Poisson: g.Varies(),
		Issued: issued, Dropped: c.Dropped, SendLag: c.SendLag, Response: c.Response, Generator: c.Generator,
	}.LimitReasons()
}

// Generated is what a generator was to do and did.
type Generated struct {
	Open, Poisson   bool
	Planned         float64 // requests; open only
	Issued, Dropped int64
	SendLag         Lag
	Response        Distribution
	Generator       *Generator // nil: not known
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
				q.name, seconds(float64(q.lag)), seconds(MaxSendLag), percent(MaxLagShare), q.name, seconds(float64(q.response)))+
				g.host(float64(q.lag)))
			break
		}
	}
	if u := g.Generator; u != nil && u.Spin == 0 && float64(u.Utilisation) > MaxUtilisation {
		rs = append(rs, fmt.Sprintf("its loop used %s of a processor, which is more than %s", percent(float64(u.Utilisation)), percent(MaxUtilisation)))
	}
	return rs
}

// hostShare is which share of a lag the jitter of sleeps has from which on the host is named beside it.
const hostShare = 0.5

// host says that the host made the generator late, where the ends of its sleeps alone were about as late as it was: the host is busy
// with other work, or its hypervisor is.
func (g Generated) host(lag float64) string {
	if g.Generator == nil || float64(g.Generator.JitterP99) < hostShare*lag {
		return ""
	}
	return fmt.Sprintf("; the host was not quiet: sleeps ended up to %s late (p99)", seconds(float64(g.Generator.JitterP99)))
}
