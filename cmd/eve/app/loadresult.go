package app

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/eve-emulation/eve/fase/find"
	"github.com/eve-emulation/eve/fase/load"
	"github.com/eve-emulation/eve/fase/report"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/stat"
)

// result is what `eve load` measured: since the warm-up, but the accounting is of the whole run.
type result struct {
	URL          string             `json:"url"`
	Version      string             `json:"version"`
	Seed         uint64             `json:"seed"`
	Seconds      runs.Number        `json:"duration_seconds"` // warm-up included
	Warmup       runs.Number        `json:"warmup_seconds"`
	TargetRate   *runs.Number       `json:"target_rate_per_second"` // null: closed
	AchievedRate runs.Number        `json:"achieved_rate_per_second"`
	Issued       int64              `json:"issued"`   // = ok + errors + in_flight, of the whole run
	Requests     int64              `json:"requests"` // finished, whatever the outcome
	OK           int64              `json:"ok"`
	Errors       map[string]int64   `json:"errors"`
	InFlight     int64              `json:"in_flight"`
	Response     runs.Distribution  `json:"response_seconds"`
	FirstByte    *runs.Distribution `json:"first_byte_seconds"` // null: none came
	Connect      *runs.Distribution `json:"connect_seconds"`
	SendLag      runs.Lag           `json:"send_lag_seconds"`
	Late         int64              `json:"late"`
	Connections  uint64             `json:"connections"`
	Retried      uint64             `json:"retried"`
	BytesIn      uint64             `json:"bytes_in"`
	BytesOut     uint64             `json:"bytes_out"`
	CPUSeconds   runs.Number        `json:"generator_cpu_seconds"`
	Utilisation  runs.Number        `json:"generator_utilisation"` // of a processor, by the busiest thread
	Jitter       runs.Lag           `json:"generator_jitter_seconds"`
	Limited      bool               `json:"generator_limited"`
	Reasons      []string           `json:"generator_limited_reasons,omitempty"`
	Until        *jsonGoal          `json:"until,omitempty"`
	Arrivals     string             `json:"arrivals_sha256"`
	Messages     []string           `json:"messages,omitempty"`
	Interrupted  bool               `json:"interrupted"`
	Accounting   runs.Accounting    `json:"accounting"`

	// What makes the figures believable, as in summary.json.
	Meaning   string                   `json:"meaning"`
	Gates     []runs.Gate              `json:"gates"`
	Intervals map[string]runs.Estimate `json:"intervals"`
	Transient *runs.Warmup             `json:"warmup"`
	Steady    *runs.Steadiness         `json:"steady"`
	Law       *runs.ArrivalLaw         `json:"arrivals_law,omitempty"`

	short bool // it issued fewer than were planned
}

// jsonGoal is what became of --until.
type jsonGoal struct {
	Goal       string       `json:"goal"`
	Reached    bool         `json:"reached"`
	Value      runs.Number  `json:"value"`
	Low        runs.Number  `json:"low"`
	High       runs.Number  `json:"high"`
	Confidence runs.Number  `json:"confidence"`
	Verdict    find.Verdict `json:"verdict,omitempty"` // without a limit: none

	limit    find.Limit
	estimate stat.Estimate
}

func goalOf(g find.Goal, m *find.Meter, reached bool) *jsonGoal {
	e := m.Estimate()
	j := &jsonGoal{
		Goal: g.String(), Reached: reached, Value: runs.Number(e.Value), Low: runs.Number(e.Low), High: runs.Number(e.High),
		Confidence: runs.Number(e.Confidence), limit: g.Limit, estimate: e,
	}
	if g.Limit.Bound > 0 {
		j.Verdict = m.Verdict()
	}
	return j
}

// result draws the figures of a run that has ended.
func (g *loadGroup) result(r *loadRun) result {
	end := min(r.now(), g.cfg.End)
	p := r.pump
	m := &p.measured
	lag := m.hist("send_lag")
	x := result{
		URL: g.url, Version: version(), Seed: g.cfg.Seed, Seconds: runs.Number(end.Seconds()), Warmup: runs.Number(g.cfg.Warmup.Seconds()),
		Issued: p.all.counts["issued"], Requests: p.all.counts["requests"], Errors: map[string]int64{"all": p.all.counts["errors"]},
		Response: runs.Distribute(m.hist("latency")), Late: m.counts["late"], Arrivals: g.cfg.PlanHash(),
		SendLag: runs.Lag{P50: runs.Number(lag.Quantile(0.5)), P99: runs.Number(lag.Quantile(0.99)), Max: runs.Number(lag.Max())},
	}
	x.OK = x.Requests - x.Errors["all"]
	for _, c := range service.Causes() {
		if n := p.all.counts["errors_"+c.String()]; n > 0 {
			x.Errors[c.String()] = n
		}
	}
	if h := m.hist("first_byte"); h.Count() > 0 {
		x.FirstByte = new(runs.Distribute(h))
	}
	if h := m.hist("connect"); h.Count() > 0 {
		x.Connect = new(runs.Distribute(h))
	}
	for _, group := range r.groups {
		x.InFlight += int64(group.InFlight())
	}
	x.addStats(r.stats)
	if note := g.queued(r.stats); note != "" {
		x.Messages = append(x.Messages, note)
	}
	window := math.Max((end - g.cfg.Warmup).Seconds(), 1e-9)
	x.AchievedRate = runs.Number(float64(m.counts["issued"]) / window)
	planned := 0.0
	if g.cfg.Open() {
		offered := g.cfg.Offered()
		before := offered(min(g.cfg.Warmup, end))
		planned = offered(end) - before
		x.TargetRate = new(runs.Number(planned / window))
	}
	generator := &runs.Generator{Utilisation: x.Utilisation}
	if g.flags.precision != "" || g.flags.spin > 0 {
		generator.Spin = runs.Number(max(g.flags.spin, spinShare).Seconds())
	}
	offer := runs.Generated{Open: g.cfg.Open(), Poisson: g.cfg.Varies(), Planned: planned, Issued: m.counts["issued"]}
	x.short = len(offer.LimitReasons()) > 0
	offer.SendLag, offer.Response, offer.Generator = x.SendLag, x.Response, generator
	x.Reasons = offer.LimitReasons()
	x.Limited = len(x.Reasons) > 0
	g.judge(&x, p, generator, end)
	return x
}

// addStats adds up what the threads did.
func (r *result) addStats(all []load.Stats) {
	var jitter load.Spread
	for _, s := range all {
		r.Connections += s.Opened
		r.Retried += s.Retried
		r.BytesIn += s.BytesIn
		r.BytesOut += s.BytesOut
		r.CPUSeconds += runs.Number(s.ThreadCPU.Seconds())
		r.Utilisation = max(r.Utilisation, runs.Number(s.Utilisation()))
		jitter.Merge(s.Jitter)
		for _, m := range s.Messages {
			r.Messages = append(r.Messages, fmt.Sprintf("%s (%d times)", m.Text, m.Count))
		}
	}
	r.Jitter = runs.Lag{
		P50: runs.Number(jitter.Quantile(0.5).Seconds()), P99: runs.Number(jitter.Quantile(0.99).Seconds()), Max: runs.Number(jitter.Max().Seconds()),
	}
}

func writeJSON(out io.Writer, x any) error {
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	return enc.Encode(x)
}

// causesOf lists the errors by cause.
func causesOf(t *loadTotals) []string {
	var cs []string
	for _, c := range service.Causes() {
		if n := t.counts["errors_"+c.String()]; n > 0 {
			cs = append(cs, fmt.Sprintf("%s %d", c, n))
		}
	}
	return cs
}

// estimateText is a value with its interval.
func estimateText(l find.Limit, e stat.Estimate) string {
	if math.IsNaN(e.Value) || math.IsInf(e.High, 0) {
		return "not known yet"
	}
	return fmt.Sprintf("%s = %s ± %.2g %% (%s to %s)", l.Name(), figure(l, e.Value), 100*e.Half()/e.Value, figure(l, e.Low), figure(l, e.High))
}

func (a *App) tellResult(r result) error {
	d := r.Response
	var b strings.Builder
	fmt.Fprintf(&b, "%s for %.3g s: %d requests, %.1f/s", report.Clean(r.URL), float64(r.Seconds), r.Requests, float64(r.AchievedRate))
	if r.TargetRate != nil {
		fmt.Fprintf(&b, " of %.1f/s asked for", float64(*r.TargetRate))
	}
	fmt.Fprintf(&b, "\n\nresponse time, from when it was due (n = %d)", d.Count)
	if r.Warmup > 0 {
		fmt.Fprintf(&b, ", without the first %.3g s", float64(r.Warmup))
	}
	fmt.Fprintln(&b)
	if d.Count > 0 {
		fmt.Fprintf(&b, "  mean %s   p50 %s   p90 %s   p95 %s\n  p99 %s   p99.9 %s   max %s\n", short(float64(d.Mean)), short(float64(d.P50)),
			short(float64(d.P90)), short(float64(d.P95)), short(float64(d.P99)), short(float64(d.P999)), short(float64(d.Max)))
	}
	if u := r.Until; u != nil {
		tellGoal(&b, u)
	}
	fmt.Fprintf(&b, "\nissued     %d = %d ok + %d errors + %d in flight\n", r.Issued, r.OK, r.Errors["all"], r.InFlight)
	if r.Errors["all"] > 0 {
		fmt.Fprint(&b, "errors    ")
		for _, c := range service.Causes() {
			if n := r.Errors[c.String()]; n > 0 {
				fmt.Fprintf(&b, " %s %d  ", c, n)
			}
		}
		fmt.Fprintln(&b)
	}
	if r.FirstByte != nil {
		fmt.Fprintf(&b, "first byte p50 %s   p99 %s   max %s\n", short(float64(r.FirstByte.P50)), short(float64(r.FirstByte.P99)), short(float64(r.FirstByte.Max)))
	}
	if r.Connect != nil {
		fmt.Fprintf(&b, "connect    p50 %s   p99 %s   max %s   (%d)\n", short(float64(r.Connect.P50)), short(float64(r.Connect.P99)), short(float64(r.Connect.Max)), r.Connect.Count)
	}
	fmt.Fprintf(&b, "send lag   p50 %s   p99 %s   max %s   later than 1 ms: %d\ngenerator  %.2f s of CPU, %s of a processor, %d connections\n",
		short(float64(r.SendLag.P50)), short(float64(r.SendLag.P99)), short(float64(r.SendLag.Max)), r.Late,
		float64(r.CPUSeconds), report.Share(float64(r.Utilisation)), r.Connections)
	fmt.Fprintf(&b, "\nwhat the figures mean\n%s", report.Words(loadName, runs.Client{Meaning: r.Meaning, Gates: r.Gates}))
	for _, m := range r.Messages {
		fmt.Fprintln(&b, "note:", report.Clean(m))
	}
	for _, m := range r.Reasons {
		fmt.Fprintln(&b, "generator limited:", m)
	}
	if r.Interrupted {
		fmt.Fprintln(&b, "interrupted: the figures are those until then")
	}
	_, err := io.WriteString(a.out, b.String())
	return err
}

// tellGoal says what became of --until.
func tellGoal(b *strings.Builder, u *jsonGoal) {
	fmt.Fprintf(b, "\nuntil %s: ", u.Goal)
	if u.Reached {
		fmt.Fprint(b, "reached, so the run ended; ")
	} else {
		fmt.Fprint(b, "not reached; ")
	}
	fmt.Fprintf(b, "%s\n", estimateText(u.limit, u.estimate))
	switch u.Verdict {
	case find.Pass:
		fmt.Fprintf(b, "%s holds\n", u.limit)
	case find.Fail:
		fmt.Fprintf(b, "%s does not hold\n", u.limit)
	case find.Inconclusive:
		fmt.Fprintf(b, "%s: cannot be told, the limit is within the interval\n", u.limit)
	}
}
