package report_test

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/eve-emulation/eve/fase/report"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/sweep"
)

// swept is the table of a sweep over some axes, of which each value is a function of the place; one point is not known, and one overloaded.
func swept(t *testing.T, seeds int, axes ...string) *sweep.Table {
	t.Helper()
	d := &sweep.Definition{Sweep: sweep.DefinitionVersion, Eve: "test", Name: "shop <&>", Kind: runs.Virtual, Metrics: []sweep.Metric{
		{Name: "jobs throughput", Unit: "1/s", Group: "jobs", Figure: sweep.Throughput},
		{Name: "jobs errors", Unit: "1", Group: "jobs", Figure: sweep.Errors},
		{Name: "jobs mean", Unit: "s", Group: "jobs", Figure: sweep.Mean},
		{Name: "busiest", Unit: "1", Figure: sweep.Busiest},
		{Name: "expect", Unit: "1", Figure: sweep.Expect},
	}}
	for i := range seeds {
		d.Seeds = append(d.Seeds, uint64(i+1))
	}
	for _, text := range axes {
		a, err := sweep.ParseAxis(text)
		if err != nil {
			t.Fatal(err)
		}
		d.Axes = append(d.Axes, a)
	}
	g, err := sweep.NewGrid(d.Axes...)
	if err != nil {
		t.Fatal(err)
	}
	theory := make([]sweep.Prediction, g.Points())
	for p := range theory {
		theory[p].Values = map[string]float64{"jobs mean": 0.02 * float64(p+1)}
	}
	last := g.Points() - 1
	theory[last] = sweep.Prediction{Unstable: "db.cpu is offered 120.0 % of its capacity"}
	x, err := sweep.Tabulate(d, func(p int, seed uint64) (sweep.Result, bool) {
		y := 0.021*float64(p+1) + 0.001*float64(seed)
		r := sweep.Result{Point: p, Seed: seed, Busiest: "db.cpu", Values: map[string]sweep.Reading{
			"jobs throughput": sweep.Exactly(10 * y), "jobs errors": sweep.Exactly(0), "jobs mean": sweep.Exactly(y), "busiest": sweep.Exactly(min(y, 1)),
			"expect": sweep.Exactly(math.Mod(float64(p)+float64(seed), 2)),
		}}
		if p == 1 {
			r = sweep.Result{Point: p, Seed: seed, Error: "it\x1b[2J failed"}
		}
		return r, true
	}, theory)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestSweepText(t *testing.T) {
	var b bytes.Buffer
	if err := report.SweepText(&b, swept(t, 2, "clients.jobs.rate=[10..40 step 10]/s"), "a note"); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	for _, want := range []string{
		"simulated at 4 points with seeds 1, 2; means over seeds", "jobs  jobs.rate", "done/s", "theory", "remark",
		"22.5 ± 6.4 ms", "1 of 2", "db.cpu", "overload of db.cpu", "failed", "6 of 8 runs are there", "note: a note",
		"clients.jobs.rate=20/s: seed 1: it?[2J failed",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "\x1b") {
		t.Error("the table steers the terminal")
	}
}

func TestSweepPictures(t *testing.T) {
	for _, c := range []struct {
		axes []string
		want string
	}{
		{[]string{"a=[10..40 step 10]/s"}, "sweep"},
		{[]string{"a=[on, off, some]"}, "sweep"},
		{[]string{"a=1..10000 times 10"}, "sweep"},
		{[]string{"a=1..4", "b=[x, y]"}, "sweep heat"},
		{[]string{"a=1..3", "b=[1..30]ms", "c=[7]"}, "sweep heat"},
		{[]string{"a=1..3", "b=1..2", "c=[x, y, z]"}, "sweep-throughput_of_jobs_1_s sweep-mean_response_time_of_jobs sweep-utilisation_of_the_busiest_resource heat-throughput_of_jobs_1_s heat-mean_response_time_of_jobs heat-utilisation_of_the_busiest_resource"},
		{[]string{"a=[5]"}, ""},
	} {
		x := swept(t, 2, c.axes...)
		var names []string
		for _, p := range report.SweepPictures(x) {
			names = append(names, p.Name)
			svg, err := p.SVG()
			if err != nil || len(svg) < 2000 || bytes.Contains(svg, []byte("NaN")) {
				t.Errorf("%v: %s: %d bytes, %v", c.axes, p.Name, len(svg), err)
			}
		}
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("%v: got %s, want %s", c.axes, got, c.want)
		}
	}
	one := report.SweepPictures(swept(t, 1, "clients.jobs.rate=[10..40 step 10]/s"))[0]
	svg, err := one.SVG()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"clients.jobs.rate (1/s)", "theory", "simulated", "overloaded, as theory says", "Mean response time of jobs"} {
		if !strings.Contains(string(svg), want) {
			t.Errorf("the picture lacks %q", want)
		}
	}
	if strings.Contains(string(svg), "Errors of jobs") {
		t.Error("errors are drawn where there are none")
	}
}

func TestSweepFiles(t *testing.T) {
	files, err := report.SweepFiles(swept(t, 2, "a=1..3", "b=[x, y]"), []byte("name: <shop>"), "a note")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range files {
		names = append(names, f.Name)
	}
	if want := []string{"sweep.svg", "sweep.png", "heat.svg", "heat.png", "report.html"}; !slices.Equal(names, want) {
		t.Fatalf("got %v, want %v", names, want)
	}
	page := string(files[4].Content)
	for _, want := range []string{"shop &lt;&amp;&gt;", "a note", "<svg", "<th", "name: &lt;shop&gt;", "<code>b</code>: x · y"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(page, "<script") || strings.Contains(page, "shop <&>") || strings.Contains(page, "\x1b") {
		t.Error("the page has what it must not have")
	}
}
