package report

import (
	"math"
	"testing"

	"gonum.org/v1/plot/vg"

	"github.com/eve-emulation/eve/dsv"
)

// TestLabelsDoNotOverlap staggers decisions that come close together.
func TestLabelsDoNotOverlap(t *testing.T) {
	for _, n := range []int{1, 2, 5, 9, 60} {
		f := figure{to: 60}
		for i := range n {
			f.marks = append(f.marks, mark{at: 20 + 39*float64(i*i)/float64(n*n), label: "replicate the application to server_2", number: i + 1})
		}
		style := textStyle(8, ink(), false)
		const width = vg.Length(640)
		ps := f.place(width)
		if n <= 9 && len(ps) != n {
			t.Errorf("%d decisions: %d have labels", n, len(ps))
		}
		for i, a := range ps {
			if a.row >= maxLabelRows || a.left < 0 || a.left+style.Width(a.text) > width+1e-9 {
				t.Errorf("%d decisions: label %q at %v in row %d is outside", n, a.text, a.left, a.row)
			}
			for _, b := range ps[i+1:] {
				if a.row == b.row && a.left < b.left+style.Width(b.text) && b.left < a.left+style.Width(a.text) {
					t.Errorf("%d decisions: %q covers %q", n, a.text, b.text)
				}
			}
		}
	}
}

func TestSpreadKeepsSums(t *testing.T) {
	g := grid{width: 5e8, n: 4}
	for _, tt := range []struct {
		t0, t1 float64
		want   [4]float64
	}{
		{0, 0.5, [4]float64{1, 0, 0, 0}},
		{0.4, 0.5, [4]float64{1, 0, 0, 0}},
		{0.5, 0.6, [4]float64{0, 1, 0, 0}},
		{0.25, 0.75, [4]float64{0.5, 0.5, 0, 0}},
		{0, 2, [4]float64{0.25, 0.25, 0.25, 0.25}},
		{1.5, 2.5, [4]float64{0, 0, 0, 0.5}},
		{1, 1, [4]float64{0, 1, 0, 0}},
		{2, 2.5, [4]float64{}},
	} {
		var got [4]float64
		g.spread(&dsv.Delta{T0: dsv.Instant(tt.t0 * 1e9), T1: dsv.Instant(tt.t1 * 1e9)}, func(i int, share float64) { got[i] += share })
		if got != tt.want {
			t.Errorf("(%v, %v]: got %v, want %v", tt.t0, tt.t1, got, tt.want)
		}
	}
}

func TestGrid(t *testing.T) {
	for _, tt := range []struct{ seconds, width, n float64 }{{5, 0.2, 25}, {60, 0.5, 120}, {61, 0.5, 122}, {600, 5, 120}, {3600, 30, 120}} {
		g := newGrid(dsv.Instant(tt.seconds * 1e9))
		if g.width.Seconds() != tt.width || float64(g.n) != tt.n {
			t.Errorf("%v s: got %d windows of %v s, want %v of %v", tt.seconds, g.n, g.width.Seconds(), tt.n, tt.width)
		}
	}
}

func TestFormats(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{duration(0), "0 s"},
		{duration(1.234e-5), "12.3 µs"},
		{duration(0.0009999), "1 ms"},
		{duration(0.1), "100 ms"},
		{duration(0.9999), "1 s"},
		{duration(61.26), "61.3 s"},
		{duration(math.NaN()), "–"},
		{number(5013), "5\u202f013"},
		{number(-1234567), "-1\u202f234\u202f567"},
		{number(0.123456), "0.123"},
		{number(91.14), "91.1"},
		{number(1234.5), "1\u202f235"},
		{plain(0.30000000000000004), "0.3"},
		{plain(50000), "50000"},
		{percent(0.4978), "49.8 %"},
		{size(1536), "1.5 KiB"},
		{size(12), "12 B"},
		{share(0.001), "0.1 %"},
		{shorten("abcdef", 4), "abc…"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}

func TestSteps(t *testing.T) {
	for _, tt := range []struct {
		low, high float64
		n         int
		want      []float64
	}{
		{0, 60, 12, []float64{0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60}},
		{0, 1, 4, []float64{0, 0.5, 1}},
		{0, 0, 4, []float64{0}},
	} {
		got := steps(tt.low, tt.high, tt.n)
		if len(got) != len(tt.want) {
			t.Errorf("%v to %v: got %v, want %v", tt.low, tt.high, got, tt.want)
			continue
		}
		for i := range got {
			if math.Abs(got[i]-tt.want[i]) > 1e-9 {
				t.Errorf("%v to %v: got %v, want %v", tt.low, tt.high, got, tt.want)
			}
		}
	}
}
