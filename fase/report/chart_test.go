package report_test

import (
	"bytes"
	"image/png"
	"math"
	"strings"
	"testing"

	"github.com/eve-emulation/eve/fase/report"
)

// TestChart draws bars and lines, with what cannot be drawn left out, in both forms.
func TestChart(t *testing.T) {
	nan := math.NaN()
	for _, tt := range []struct {
		name  string
		panel report.ChartPanel
		want  []string
	}{
		{"bars", report.ChartPanel{
			Title: "time, s", Groups: []string{"Read", "Create a variable"}, LogY: true, FormatY: report.Seconds,
			Series: []report.ChartSeries{{Label: "local", Ys: []float64{1e-7, 0}}, {Label: "remote", Ys: []float64{1e-4, nan}}},
		}, []string{"local", "remote", "Read", "100 µs", "Create a variable"}},
		{"lines", report.ChartPanel{
			Title: "messages, 1/s", XLabel: "updates per second", LogX: true, LogY: true,
			Series: []report.ChartSeries{
				{Label: "measured", Xs: []float64{0, 10, 100, 1000}, Ys: []float64{1, 5, nan, 30}},
				{Label: "bound", Xs: []float64{10, 1000}, Ys: []float64{10, 1000}, Bound: true},
			},
		}, []string{"measured", "bound", "updates per second", "1000"}},
		{"nothing", report.ChartPanel{Title: "empty", Series: []report.ChartSeries{{Label: "nobody"}}}, []string{"empty"}},
		{"one point", report.ChartPanel{Title: "one", Series: []report.ChartSeries{{Label: "x", Xs: []float64{3}, Ys: []float64{3}}}}, []string{"one"}},
	} {
		p := report.Chart{Name: "chart", Title: "A <chart>", Panels: []report.ChartPanel{tt.panel, tt.panel}}.Picture()
		svg, err := p.SVG()
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		for _, want := range append(tt.want, "A &lt;chart&gt;") {
			if !strings.Contains(string(svg), want) {
				t.Errorf("%s: the picture has no %q", tt.name, want)
			}
		}
		if strings.Contains(string(svg), "NaN") || strings.Contains(string(svg), "nobody") {
			t.Errorf("%s: what cannot be drawn was drawn", tt.name)
		}
		pic, err := p.PNG()
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if _, err := png.Decode(bytes.NewReader(pic)); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}
