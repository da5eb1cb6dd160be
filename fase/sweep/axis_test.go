package sweep_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/eve-emulation/eve/fase/sweep"
)

// texts are the values of an axis as they are set.
func texts(a sweep.Axis) []string {
	var out []string
	for _, v := range a.Values {
		out = append(out, v.Label())
	}
	return out
}

func TestParseAxis(t *testing.T) {
	for _, c := range []struct {
		text, path, want, unit string
		numbers                []float64 // nil: they are none
	}{
		{"servers.web.count=1..4", "servers.web.count", "1 2 3 4", "", []float64{1, 2, 3, 4}},
		{"a=4..1", "a", "4 3 2 1", "", []float64{4, 3, 2, 1}},
		{"clients.jobs.rate=[20..95 step 15]/s", "clients.jobs.rate", "20/s 35/s 50/s 65/s 80/s 95/s", "/s", []float64{20, 35, 50, 65, 80, 95}},
		{"rate=20/s..95/s step 15/s", "rate", "20/s 35/s 50/s 65/s 80/s 95/s", "/s", []float64{20, 35, 50, 65, 80, 95}},
		{"rate=20..90/s step 15", "rate", "20/s 35/s 50/s 65/s 80/s", "/s", []float64{20, 35, 50, 65, 80}},
		{"p=0.1..0.5 step 0.1", "p", "0.1 0.2 0.3 0.4 0.5", "", []float64{0.1, 0.2, 0.3, 0.4, 0.5}},
		{"p=-1..1", "p", "-1 0 1", "", []float64{-1, 0, 1}},
		{"p=1%..2% step 0.25%", "p", "1% 1.25% 1.5% 1.75% 2%", "%", []float64{1, 1.25, 1.5, 1.75, 2}},
		{"n=10..10000 times 10", "n", "10 100 1000 10000", "", []float64{10, 100, 1000, 10000}},
		{"n=8..1 times 2", "n", "8 4 2 1", "", []float64{8, 4, 2, 1}},
		{"d=[100us, 1ms, 1s]", "d", "100us 1ms 1s", "s", []float64{1e-4, 1e-3, 1}},
		{"rate=[100,200,400]", "rate", "100 200 400", "", []float64{100, 200, 400}},
		{"size=[1..3, 8]KiB", "size", "1KiB 2KiB 3KiB 8KiB", "KiB", []float64{1, 2, 3, 8}},
		{"on=[[a, b], [c]]", "on", "[a, b] [c]", "", nil},
		{`e=[pool, "seda, plain", {kind: pool, threads: 4}]`, "e", `pool "seda, plain" {kind: pool, threads: 4}`, "", nil},
		{"x=[../a.csv, ../b.csv]", "x", "../a.csv ../b.csv", "", nil},
		{"x=[1, 2s]", "x", "1 2s", "", nil}, // of two dimensions: not on one axis
		{"a.b = [none, 3s]", "a.b", "none 3s", "", nil},
	} {
		a, err := sweep.ParseAxis(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if got := strings.Join(texts(a), " "); got != c.want || a.Name() != c.path || a.Unit != c.unit {
			t.Errorf("%s: got %s = %s in %q, want %s = %s in %q", c.text, a.Name(), got, a.Unit, c.path, c.want, c.unit)
		}
		var numbers []float64
		for _, v := range a.Values {
			if v.Number != nil {
				numbers = append(numbers, *v.Number)
			}
		}
		if !slices.Equal(numbers, c.numbers) || a.Numeric() != (c.numbers != nil) {
			t.Errorf("%s: got numbers %v, want %v", c.text, numbers, c.numbers)
		}
	}
}

func TestAxisMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"servers.web.count":            "want PATH=FROM..TO",
		"=1..3":                        "want PATH=FROM..TO",
		"a=":                           "want PATH=FROM..TO",
		"a=7":                          "one value is set by --set",
		"a=full":                       "one value",
		"a=[1,,2]":                     "a value is missing",
		"a=[1,2":                       "not closed",
		"a=[1,1]":                      "stands twice",
		"a=1..5 step 0":                "never comes",
		"a=1..5 by 2":                  "FROM..TO step S",
		"a=1..x":                       "is no number",
		"a=1/s..5 /s":                  "FROM..TO step S",
		"a=[1..5]/ s":                  "unexpected",
		"a=10ms..1s step 10ms":         "want one unit",
		"a=1..9 step -1":               "never comes",
		"a=0..9 times 2":               "never comes",
		"a=1..9 times 1":               "never comes",
		"a=1..9 times 2/s":             "no unit",
		"a=1furlong..3furlong":         "furlong",
		"a=[1, full]/s":                "no plain number",
		"a=[1ms, 2ms]/s":               "no plain number",
		"a=1..1000000":                 "too many",
		"a=[1..60000, 70000..150000]s": "too many",
	} {
		if _, err := sweep.ParseAxis(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}

func FuzzParseAxis(f *testing.F) {
	for _, s := range []string{"a=1..8", "a=[20..95 step 15]/s", "b=[[x], {y: 'z]'}, \"q,\"]", "n=1..9 times 1e9", "a=1..1e300"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := sweep.ParseAxis(text)
		if err != nil {
			return
		}
		if n := len(a.Values); n == 0 || n > sweep.MaxPoints {
			t.Errorf("%q: %d values", text, n)
		}
		for _, v := range a.Values {
			if v.Label() == "" {
				t.Errorf("%q: an empty value", text)
			}
		}
	})
}

func TestReadList(t *testing.T) {
	a, err := sweep.ReadList("l.csv", strings.NewReader("\ufeffclients.c.rate, services.s.on\n# cheap first\n10/s, [one]\n20/s,\n\"{0s: 1/s, 2s: 3/s}\", \"[one, two]\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	g, err := sweep.NewGrid(a)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i := range g.Points() {
		got = append(got, strings.Join(g.Set(i), " & "))
	}
	want := []string{"clients.c.rate=10/s & services.s.on=[one]", "clients.c.rate=20/s", "clients.c.rate={0s: 1/s, 2s: 3/s} & services.s.on=[one, two]"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for text, want := range map[string]string{
		"":             "l.csv: it is empty",
		"a,b\n":        "no row",
		"a,\n1,2\n":    "l.csv:1: column 2 is no path",
		"a=1,b\n1,2\n": "column 1 is no path",
		"a,b\n1\n":     "line 2",
		"a\n1\n1\n":    "stands twice",
		"a\n\"1\n":     "line",
	} {
		if _, err := sweep.ReadList("l.csv", strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

func axis(t *testing.T, text string) sweep.Axis {
	t.Helper()
	a, err := sweep.ParseAxis(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestGrid(t *testing.T) {
	g, err := sweep.NewGrid(axis(t, "a=1..2"), axis(t, "b=[x,y,z]"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i := range g.Points() {
		got = append(got, g.Label(i))
	}
	want := []string{"a=1, b=x", "a=1, b=y", "a=1, b=z", "a=2, b=x", "a=2, b=y", "a=2, b=z"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if _, err := sweep.NewGrid(); !errors.Is(err, sweep.ErrEmpty) {
		t.Errorf("no axis: got %v", err)
	}
	if _, err := sweep.NewGrid(axis(t, "a=1..400"), axis(t, "b=1..400")); !errors.Is(err, sweep.ErrTooMany) {
		t.Errorf("160 000 points: got %v", err)
	}
	if _, err := sweep.NewGrid(axis(t, "a=1..2"), axis(t, "a=3..4")); err == nil || !strings.Contains(err.Error(), "varied twice") {
		t.Errorf("one path twice: got %v", err)
	}
	broken := axis(t, "a=1..2") // as it may stand in a file
	broken.Values[1].Texts = nil
	if _, err := sweep.NewGrid(broken); err == nil || !strings.Contains(err.Error(), "value 2 is of 0 paths") {
		t.Errorf("a value without a text: got %v", err)
	}
}

func TestAlongAndBetween(t *testing.T) {
	axes := []sweep.Axis{axis(t, "a=[x,y,z,u,v]"), axis(t, "b=1..2"), axis(t, "c=10/s..40/s step 10/s"), axis(t, "d=[5]")}
	if got := sweep.Along(axes); got != 2 {
		t.Errorf("along: got %d, want the one with the most numbers", got)
	}
	if got := sweep.Along(axes[3:]); got != -1 {
		t.Errorf("one value: got %d", got)
	}
	texts, at := axes[2].Between(7)
	if got, want := strings.Join(texts, " "), "10/s 15/s 20/s 25/s 30/s 35/s 40/s"; got != want || !slices.Equal(at, []float64{10, 15, 20, 25, 30, 35, 40}) {
		t.Errorf("between: got %s at %v, want %s", got, at, want)
	}
	for _, a := range []sweep.Axis{axes[0], axes[1], axis(t, "d=[100us, 1ms]")} {
		if texts, _ := a.Between(5); texts != nil {
			t.Errorf("%s: there is nothing between, got %v", a.Name(), texts)
		}
	}
	g, err := sweep.NewGrid(axes...)
	if err != nil {
		t.Fatal(err)
	}
	for p := range g.Points() {
		if got := g.Index(g.At(p)); got != p {
			t.Errorf("point %d: got index %d of %v", p, got, g.At(p))
		}
	}
}
