package app

import (
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/eve-emulation/eve/fase/fit"
	"github.com/eve-emulation/eve/fase/report"
)

// fitText tells a fit on a terminal.
func fitText(w io.Writer, r fitReport) error {
	var b strings.Builder
	f := r.Fit
	fmt.Fprintf(&b, "demands of %s in %s, %d batches of %s, intervals of %g %%\n\n", fitPlural(len(f.Classes), "kind of request", "kinds of requests"),
		fitPlural(len(f.Runs), "run", "runs"), f.Batches, report.Seconds(f.Seconds), 100*f.Confidence)
	rows := [][]string{{"resource", "request", "demand", "interval", "±", "known"}}
	for i := range f.Resources {
		x := &f.Resources[i]
		name := x.Name
		for c, d := range x.Demands {
			rows = append(rows, demandRow(name, f.Classes[c].Name, x.Unit, d))
			name = ""
		}
		if x.Background != nil {
			rows = append(rows, demandRow(name, "(each second)", x.Unit, *x.Background))
		}
	}
	fitColumns(&b, rows)
	rows = [][]string{{"resource", "used", "explained", "residual", "off by run"}}
	for i := range f.Resources {
		x := &f.Resources[i]
		var off []string
		for _, o := range x.Off {
			off = append(off, fitSigned(float64(o)))
		}
		rows = append(rows, []string{x.Name, usedText(x.Resource, x.Used), report.Share(float64(x.Explained)), report.Share(float64(x.Residual)), strings.Join(off, " ")})
	}
	b.WriteByte('\n')
	fitColumns(&b, rows)
	fmt.Fprintf(&b, "\ncondition number of the throughputs: %.3g\n", float64(f.Condition))
	for _, p := range r.Predicted {
		fmt.Fprintf(&b, "\npredicted: %s\n", report.Clean(p.Run))
		rows = [][]string{{"resource", "predicted", "interval", "measured", "interval", "off"}}
		for _, x := range p.Resources {
			measured := *x.Measured
			rows = append(rows, []string{
				x.Resource, fitPerSecond(x.Unit, x.Value), fitPerSecond(x.Unit, x.Low) + " … " + fitPerSecond(x.Unit, x.High),
				fitPerSecond(x.Unit, measured), fitPerSecond(x.Unit, float64(x.MeasuredLow)) + " … " + fitPerSecond(x.Unit, float64(x.MeasuredHigh)), fitSigned(float64(x.Off)),
			})
		}
		fitColumns(&b, rows)
	}
	for _, x := range f.Warnings {
		fmt.Fprintf(&b, "\n%s\n", folded("! ", report.Clean(x)))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func demandRow(resource, class, unit string, d fit.Demand) []string {
	known, half := "", ""
	if d.Known != nil {
		known = demandText(unit, *d.Known)
	}
	if d.Value > 0 {
		half = report.Share(d.Relative())
	}
	return []string{resource, class, demandText(unit, d.Value), demandText(unit, d.Low) + " … " + demandText(unit, d.High), half, known}
}

// demandText is a demand with its unit.
func demandText(unit string, x float64) string {
	if unit == "B" {
		return report.Size(x)
	}
	return report.Seconds(x)
}

// fitPerSecond is what a resource gives in a second: of processors, disks and links the share of one that is busy.
func fitPerSecond(unit string, x float64) string {
	if unit == "B" {
		return report.Size(x) + "/s"
	}
	return fmt.Sprintf("%.3g", x)
}

// usedText is what was used of a resource, and of how much.
func usedText(r fit.Resource, x float64) string {
	s := fitPerSecond(r.Unit, x)
	if r.Capacity > 1 {
		s += fmt.Sprintf(" of %g", r.Capacity)
	}
	return s
}

// fitSigned is a difference as a share.
func fitSigned(x float64) string {
	if math.Abs(x) < 1e-6 {
		x = 0 // rounding
	}
	return fmt.Sprintf("%+.2g %%", 100*x)
}

func fitPlural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// fitColumns writes rows in columns: names to the left, numbers to the right.
func fitColumns(b *strings.Builder, rows [][]string) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], len([]rune(cell)))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		line.WriteString(" ")
		for i, cell := range row {
			gap := strings.Repeat(" ", widths[i]-len([]rune(cell)))
			if i == 0 || i == 1 && rows[0][1] == "request" {
				line.WriteString(" " + cell + gap + " ")
			} else {
				line.WriteString(" " + gap + cell + " ")
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
}
