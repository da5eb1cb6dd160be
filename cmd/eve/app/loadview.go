package app

import (
	"fmt"
	"math"
	"strings"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/find"
	"github.com/eve-emulation/eve/fase/report"
)

// A loadView is what the terminal shows of a load while it runs: rates of about the last two seconds, the rest since the
// warm-up.
type loadView struct {
	g     *loadGroup
	r     *loadRun
	meter *find.Meter
	next  dsv.Instant
	past  []loadMark
}

// A loadMark is what was counted by an instant.
type loadMark struct {
	at                    dsv.Instant
	issued, ended, errors int64
	target                float64
}

// Twice a second the block is drawn, of figures so many drawings apart.
const (
	viewEvery = dsv.Instant(500e6)
	viewMarks = 4
)

// due reports whether the block is to be drawn again.
func (v *loadView) due(at dsv.Instant) bool {
	if at < v.next {
		return false
	}
	v.next = at + viewEvery
	return true
}

// lines is the block.
func (v *loadView) lines(at dsv.Instant, columns int) []string {
	p := v.r.pump
	inFlight := p.inFlight() // not under the pump's lock
	p.mu.Lock()
	defer p.mu.Unlock()
	now := loadMark{at, p.all.counts["issued"], p.all.counts["requests"], p.all.counts["errors"], p.all.target}
	v.past = append(v.past, now)
	if len(v.past) > viewMarks+1 {
		v.past = v.past[1:]
	}
	was := v.past[0]
	span := math.Max((now.at - was.at).Seconds(), 1e-3)
	end := v.g.cfg.End
	clock := fmt.Sprintf("%.0f of %.4g s", min(at, end).Seconds(), end.Seconds())
	if at < v.g.cfg.Warmup {
		clock += ", warming up"
	}
	lines := []string{gauge(min(at, end).Seconds()/end.Seconds(), columns-len(clock)-1) + " " + clock}
	rates := []string{fmt.Sprintf("sent %s/s", report.Count(float64(now.issued-was.issued)/span))}
	if v.g.cfg.Open() {
		rates = []string{fmt.Sprintf("asked %s/s", report.Count((now.target-was.target)/span)), rates[0]}
	}
	rates = append(rates, fmt.Sprintf("answered %s/s", report.Count(float64(now.ended-was.ended)/span)), fmt.Sprintf("in flight %d", inFlight))
	lines = append(lines, wrap("load    ", rates, columns)...)
	m := &p.measured
	if h := m.hist("latency"); h.Count() > 0 {
		lines = append(lines, wrap("response", []string{
			"p50 " + short(h.Quantile(0.5)), "p90 " + short(h.Quantile(0.9)), "p99 " + short(h.Quantile(0.99)),
			"p99.9 " + short(h.Quantile(0.999)), "max " + short(h.Max()),
		}, columns)...)
	}
	errs := []string{fmt.Sprintf("%d of %d", m.counts["errors"], m.counts["requests"])}
	if d := now.errors - was.errors; d > 0 {
		errs = append(errs, fmt.Sprintf("now %s/s", report.Count(float64(d)/span)))
	}
	errs = append(errs, causesOf(m)...)
	lines = append(lines, wrap("errors  ", errs, columns)...)
	if h := m.hist("send_lag"); h.Count() > 0 {
		lines = append(lines, wrap("lag     ", []string{
			"p50 " + short(h.Quantile(0.5)), "p99 " + short(h.Quantile(0.99)), fmt.Sprintf("later than 1 ms: %d", m.counts["late"]),
		}, columns)...)
	}
	if v.meter != nil {
		lines = append(lines, wrap("until   ", []string{v.g.goal.String(), "now " + estimateText(v.g.goal.Limit, v.meter.Estimate())}, columns)...)
	}
	return lines
}

// gauge draws a share, at most 40 columns wide.
func gauge(share float64, width int) string {
	width = min(width, 40)
	if width < 4 {
		return ""
	}
	full := min(max(int(share*float64(width)+0.5), 0), width)
	return strings.Repeat("█", full) + strings.Repeat("░", width-full)
}
