package app

import (
	"fmt"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/load"
	"github.com/eve-emulation/eve/fase/report"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/user"
)

// result is what `eve load` measured.
type result struct {
	URL          string            `json:"url"`
	Version      string            `json:"version"`
	Seed         uint64            `json:"seed"`
	Seconds      runs.Number       `json:"duration_seconds"`
	TargetRate   *runs.Number      `json:"target_rate_per_second"` // null: closed
	AchievedRate runs.Number       `json:"achieved_rate_per_second"`
	Issued       int64             `json:"issued"`   // = ok + errors + in_flight
	Requests     int64             `json:"requests"` // finished, whatever the outcome
	OK           int64             `json:"ok"`
	Errors       map[string]int64  `json:"errors"`
	InFlight     int64             `json:"in_flight"`
	Response     runs.Distribution `json:"response_seconds"`
	SendLag      runs.Lag          `json:"send_lag_seconds"`
	Late         int64             `json:"late"`
	Connections  uint64            `json:"connections"`
	BytesIn      uint64            `json:"bytes_in"`
	CPUSeconds   runs.Number       `json:"generator_cpu_seconds"`
	Limited      bool              `json:"generator_limited"`
	Reasons      []string          `json:"generator_limited_reasons,omitempty"`
	Arrivals     string            `json:"arrivals_sha256"`
	Messages     []string          `json:"messages,omitempty"`
	Interrupted  bool              `json:"interrupted"`
}

func (g *loadGroup) result(s load.Stats, group *user.Group, end dsv.Instant) result {
	lag := g.set.Var(loadName + ".send_lag").Read().Hist
	r := result{
		URL: g.url, Version: version(), Seed: g.cfg.Seed, Seconds: runs.Number(end.Seconds()),
		Issued: g.count("issued"), Requests: g.count("requests"), OK: g.count("requests") - g.count("errors"), Errors: map[string]int64{"all": g.count("errors")},
		InFlight: int64(group.InFlight()), Response: runs.Distribute(g.set.Var(loadName + ".latency").Read().Hist),
		SendLag: runs.Lag{P50: runs.Number(lag.Quantile(0.5)), P99: runs.Number(lag.Quantile(0.99)), Max: runs.Number(lag.Max())},
		Late:    g.count("late"), Connections: s.Opened, BytesIn: s.BytesIn, CPUSeconds: runs.Number(s.ThreadCPU.Seconds()),
		Arrivals: g.cfg.PlanHash(),
	}
	for _, c := range service.Causes() {
		if n := g.count("errors_" + c.String()); n > 0 {
			r.Errors[c.String()] = n
		}
	}
	for _, m := range s.Messages {
		r.Messages = append(r.Messages, fmt.Sprintf("%s (%d times)", m.Text, m.Count))
	}
	r.AchievedRate = runs.Number(float64(r.Issued) / end.Seconds())
	if len(g.cfg.Rate) > 0 {
		target := runs.Number(g.cfg.Rate[0].Rate)
		r.TargetRate = &target
	}
	r.Reasons = runs.Generated{
		Open: len(g.cfg.Rate) > 0, Poisson: g.cfg.Law == user.Poisson, Planned: g.planned(end), Issued: r.Issued,
		SendLag: r.SendLag, Response: r.Response,
	}.LimitReasons()
	r.Limited = len(r.Reasons) > 0
	return r
}

func (a *App) tellResult(r result) error {
	d := r.Response
	fmt.Fprintf(a.out, "%s for %.3g s: %d requests, %.1f/s", report.Clean(r.URL), float64(r.Seconds), r.Requests, float64(r.AchievedRate))
	if r.TargetRate != nil {
		fmt.Fprintf(a.out, " of %.1f/s asked for", float64(*r.TargetRate))
	}
	fmt.Fprintf(a.out, "\n\nresponse time, from when it was due (n = %d)\n", d.Count)
	if d.Count > 0 {
		fmt.Fprintf(a.out, "  mean %s   p50 %s   p90 %s   p95 %s   p99 %s   p99.9 %s   max %s\n", short(float64(d.Mean)), short(float64(d.P50)),
			short(float64(d.P90)), short(float64(d.P95)), short(float64(d.P99)), short(float64(d.P999)), short(float64(d.Max)))
	}
	fmt.Fprintf(a.out, "\nissued     %d = %d ok + %d errors + %d in flight\n", r.Issued, r.OK, r.Errors["all"], r.InFlight)
	if r.Errors["all"] > 0 {
		fmt.Fprint(a.out, "errors    ")
		for _, c := range service.Causes() {
			if n := r.Errors[c.String()]; n > 0 {
				fmt.Fprintf(a.out, " %s %d  ", c, n)
			}
		}
		fmt.Fprintln(a.out)
	}
	fmt.Fprintf(a.out, "send lag   p50 %s   p99 %s   max %s   later than 1 ms: %d\ngenerator  %.2f s of CPU, %d connections\n",
		short(float64(r.SendLag.P50)), short(float64(r.SendLag.P99)), short(float64(r.SendLag.Max)), r.Late,
		float64(r.CPUSeconds), r.Connections)
	for _, m := range r.Messages {
		fmt.Fprintln(a.out, "note:", report.Clean(m))
	}
	for _, m := range r.Reasons {
		fmt.Fprintln(a.out, "generator limited:", m)
	}
	return nil
}
