package app

import (
	"fmt"
	"io"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/eve-emulation/eve/fase/find"
	"github.com/eve-emulation/eve/fase/report"
)

// A probeTable tells the probes of a search, a line each, as they end. It is 79 columns wide at most.
type probeTable struct {
	out   io.Writer
	limit find.Limit
	unit  string
}

func (t probeTable) head() {
	share := "above " + short(t.limit.Bound)
	switch t.limit.Metric {
	case find.Mean:
		share = "mean"
	case find.Errors:
		share = "errors"
	}
	fmt.Fprintf(t.out, "%2s %-8s %9s %8s %8s  %-25s %s\n", "", "", "load", "for", t.limit.Name(), share, "verdict")
}

func (t probeTable) row(x find.Trial) {
	value, share := "-", "-"
	if len(x.Evidence) > 0 {
		e := x.Evidence[0]
		value = figure(t.limit, e.Value)
		if t.limit.Metric == find.Mean {
			share = fmt.Sprintf("%s to %s", short(e.Low), short(e.High))
		} else {
			share = fmt.Sprintf("%.3f %% (%.2f to %.2f)", 100*e.Share, 100*max(e.Low, 0), 100*e.High)
		}
	}
	verdict := string(x.Verdict)
	if x.Limited != "" {
		verdict = "limited"
	}
	fmt.Fprintf(t.out, "%2d %-8s %9s %8s %8s  %-25s %s\n", x.N, x.Purpose, loadText(x.Load, t.unit), spell(x.Took), value, share, verdict)
	for _, e := range x.Evidence[min(1, len(x.Evidence)):] {
		fmt.Fprintf(t.out, "%3s  and %s: %s, %s\n", "", report.Clean(e.Limit.String()), figure(e.Limit, e.Value), e.Verdict)
	}
	if x.Limited != "" {
		fmt.Fprintln(t.out, folded("    ", report.Clean(x.Limited)))
	}
}

// figure is a value of a limit's metric in words.
func figure(l find.Limit, x float64) string {
	switch {
	case math.IsInf(x, 1):
		return "failed"
	case math.IsNaN(x):
		return "-"
	case l.Metric == find.Errors:
		return percentOf(x)
	}
	return short(x)
}

func percentOf(x float64) string {
	if math.IsInf(x, 0) || math.IsNaN(x) {
		return "?"
	}
	return fmt.Sprintf("%.3g %%", 100*x)
}

// loadText is a load in five digits at most.
func loadText(x float64, unit string) string {
	digits := 1
	if x >= 1000 || x == math.Trunc(x) {
		digits = 0
	}
	return fmt.Sprintf("%.*f%s", digits, x, unit)
}

// spell is a duration to a tenth of a second, or to a second from a minute on.
func spell(d time.Duration) string {
	if d >= time.Minute {
		return d.Round(time.Second).String()
	}
	return d.Round(100 * time.Millisecond).String()
}

// tellAnswer says in words what was found.
func tellAnswer(out io.Writer, a find.Answer, cfg find.Config, trials []find.Trial, unit string, interrupted bool) error {
	var conditions []string
	for _, l := range cfg.Limits {
		conditions = append(conditions, l.String())
	}
	condition := report.Clean(strings.Join(conditions, " and "))
	var b strings.Builder
	switch {
	case a.Load > 0 && a.Confirmed:
		fmt.Fprintf(&b, "%s holds up to %s: confirmed by a run of %s\n", condition, loadText(a.Load, unit), spell(trials[len(trials)-1].Took))
	case a.Load > 0:
		fmt.Fprintf(&b, "%s holds at %s; the search did not come to its end\n", condition, loadText(a.Load, unit))
	case a.Why != "":
		fmt.Fprintf(&b, "%s: %s%s\n", condition, a.Why, unit)
	default:
		fmt.Fprintf(&b, "%s: no load was shown to hold\n", condition)
	}
	if c := a.Crossing; !math.IsNaN(c.Value) {
		fmt.Fprintf(&b, "the limit is crossed at about %s (95%% interval %s to %s, by a line through %d probes)\n",
			loadText(c.Value, unit), loadText(c.Low, unit), loadText(c.High, unit), c.N)
	}
	if a.Bounded && a.Load > 0 {
		fmt.Fprintln(&b, "a higher load was not tried: --most")
	}
	if a.Limited != "" {
		fmt.Fprintln(&b, folded("", "generator limited: a higher load could not be offered: "+report.Clean(a.Limited)))
	}
	if interrupted {
		fmt.Fprintln(&b, "interrupted")
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// folded breaks a text at words, so that no line is wider than 79 columns; every line begins with indent.
func folded(indent, text string) string {
	var b strings.Builder
	width := 0
	for i, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case i > 0 && width+1+n > 79:
			b.WriteString("\n" + indent + word)
			width = len(indent) + n
		case i > 0:
			b.WriteString(" " + word)
			width += 1 + n
		default:
			b.WriteString(indent + word)
			width = len(indent) + n
		}
	}
	return b.String()
}
