package sweep

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/stat"
)

// A Metric is a figure that is told of each point.
type Metric struct {
	Name string `json:"name"` // "jobs p95", or an expression
	Unit string `json:"unit"` // "s", "1/s", "1" for shares, "" for counts
	// Group and Figure say where it stands in a summary; without a Figure the name is an expression.
	Group  string `json:"group,omitempty"`
	Figure Figure `json:"figure,omitempty"`
}

// A Figure is what a summary tells.
type Figure string

// The figures of a summary: those of a group of clients, and those of all.
const (
	Throughput Figure = "throughput" // requests finished without error, per second
	Mean       Figure = "mean"       // of the response time
	P50        Figure = "p50"
	P95        Figure = "p95"
	P99        Figure = "p99"
	Errors     Figure = "errors"  // share of the requests
	Busiest    Figure = "busiest" // utilisation of the busiest resource: of processors, disks, links, pools of workers and locks
	Expect     Figure = "expect"  // 1 where all expectations hold, 0 where one does not
)

// groupFigures are those of a group, in the order of tables.
func groupFigures() []Figure { return []Figure{Throughput, Errors, Mean, P50, P95, P99} }

func (f Figure) unit() string {
	switch f {
	case Throughput:
		return "1/s"
	case Errors, Busiest, Expect:
		return "1"
	}
	return "s"
}

// Defaults are the metrics of a sweep that asks for none: of each group of clients throughput, share of errors, mean, median, p95 and p99 of
// the response time; then the utilisation of the busiest resource; and whether the expectations hold, where there are some.
func Defaults(plan *scenario.Plan) []Metric {
	var ms []Metric
	for i := range plan.Clients {
		g := plan.Clients[i].Name
		for _, f := range groupFigures() {
			ms = append(ms, Metric{Name: g + " " + string(f), Unit: f.unit(), Group: g, Figure: f})
		}
	}
	if len(plan.Servers) > 0 {
		ms = append(ms, Metric{Name: string(Busiest), Unit: "1", Figure: Busiest})
	}
	if len(plan.Expect) > 0 {
		ms = append(ms, Metric{Name: string(Expect), Unit: "1", Figure: Expect})
	}
	return ms
}

// Of reads a metric of a summary, and the interval that one run tells of it, if any. NaN is unknown, and so is an expression.
func (m Metric) Of(s *runs.Summary) Reading {
	v := unknown()
	switch m.Figure {
	case Busiest:
		_, v.Value = BusiestOf(s)
		return v
	case Expect:
		v.Value = expected(s)
		return v
	}
	c, ok := s.Clients[m.Group]
	if !ok {
		return v
	}
	switch m.Figure {
	case Throughput:
		v.Value = c.Throughput
	case Errors:
		if c.Requests > 0 {
			v.Value = runs.Number(float64(c.Errors[runs.AllErrors]) / float64(c.Requests))
		}
	case Mean:
		v.Value = c.Response.Mean
	case P50:
		v.Value = c.Response.P50
	case P95:
		v.Value = c.Response.P95
	case P99:
		v.Value = c.Response.P99
	}
	if e, ok := c.Intervals[string(m.Figure)]; ok && !e.TooShort {
		v.Low, v.High = e.Low, e.High
	}
	return v
}

// BusiestOf names the resource of a summary with the greatest utilisation, as "server_1.cpu" or "app.pool"; empty without any. Memory does
// not count: it may well be full.
func BusiestOf(s *runs.Summary) (name string, utilisation runs.Number) {
	type used struct {
		name string
		x    runs.Number
	}
	var all []used
	for _, server := range s.ServerNames() {
		for _, r := range runs.Resources() {
			if x, ok := s.Servers[server][r]; ok && r != "memory" {
				all = append(all, used{server + "." + string(r), x.Utilisation})
			}
		}
	}
	for _, n := range s.StationNames() {
		all = append(all, used{n, s.Stations[n].Utilisation})
	}
	all = slices.DeleteFunc(all, func(u used) bool { return math.IsNaN(float64(u.x)) })
	if len(all) == 0 {
		return "", runs.Number(math.NaN())
	}
	most := slices.MaxFunc(all, func(a, b used) int { return cmp.Compare(a.x, b.x) })
	return strings.TrimSpace(most.name), most.x
}

// expected is 1 where all expectations hold, 0 where one does not, and NaN where it cannot be told.
func expected(s *runs.Summary) runs.Number {
	out := 1.0
	for _, e := range s.Expect {
		switch e.Verdict {
		case stat.Fail:
			return 0
		case stat.Inconclusive:
			out = math.NaN()
		}
	}
	return runs.Number(out)
}
