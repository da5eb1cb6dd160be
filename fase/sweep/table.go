package sweep

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/stat"
)

// Confidence is that of the intervals over seeds.
const Confidence = 0.95

// A Prediction is what theory says of a point.
type Prediction struct {
	// Values are those of metrics, by name; what theory does not tell is not there.
	Values map[string]float64
	// Unstable names the resource whose queue grows as long as the run lasts, in words; empty where none does.
	Unstable string
}

// A Table is what a sweep came to.
type Table struct {
	Definition
	Rows        []Row `json:"rows"` // by point
	Results     int   `json:"results"`
	Failed      int   `json:"failed"`
	Runs        int   `json:"runs"` // of all points with all seeds
	Interrupted bool  `json:"interrupted"`
	// Curves are what theory says between the points, along the axis of [Along]; there may be none.
	Curves []Curve `json:"theory_between,omitempty"`
}

// A Curve is what theory says along an axis.
type Curve struct {
	At []int     `json:"at"` // the index of the value of each axis; that of the axis that it is along is 0
	Xs []float64 `json:"xs"` // places on it
	// Values are those of each metric, by name; NaN, null in JSON, where theory tells nothing.
	Values map[string][]runs.Number `json:"values"`
}

// A Row is one point.
type Row struct {
	Point   int      `json:"point"`
	At      []int    `json:"at"` // the index of the value of each axis
	Set     []string `json:"set"`
	Seeds   int      `json:"seeds"` // that have results
	Cells   []Cell   `json:"cells"` // by metric
	Busiest string   `json:"busiest,omitempty"`
	// Unstable names the resource that theory says is overloaded.
	Unstable string   `json:"unstable,omitempty"`
	Notes    []string `json:"notes,omitempty"` // what went wrong, and what to know before believing it
}

// A Cell is a figure of a point: the mean over seeds with Student's interval; of one seed, the interval that the run itself tells, by batches.
type Cell struct {
	Reading
	N      int         `json:"n"`      // seeds
	Theory runs.Number `json:"theory"` // NaN, null in JSON: it tells nothing
}

// Tabulate puts the results of a sweep into a table. theory, where not nil, has what theory says of each point.
func Tabulate(d *Definition, result func(point int, seed uint64) (Result, bool), theory []Prediction) (*Table, error) {
	g, err := NewGrid(d.Axes...)
	if err != nil {
		return nil, err
	}
	t := &Table{Definition: *d, Runs: g.Points() * len(d.Seeds)}
	for p := range g.Points() {
		row := Row{Point: p, At: g.At(p), Set: g.Set(p)}
		var came []Result
		for _, seed := range d.Seeds {
			r, ok := result(p, seed)
			switch {
			case !ok:
			case r.Error != "":
				t.Failed++
				row.note("seed %d: %s", seed, r.Error)
			default:
				came = append(came, r)
			}
		}
		t.Results += len(came)
		said := Prediction{}
		if p < len(theory) {
			said = theory[p]
		}
		row.fill(d.Metrics, came, said)
		t.Rows = append(t.Rows, row)
	}
	return t, nil
}

func (r *Row) note(format string, args ...any) {
	n := fmt.Sprintf(format, args...)
	if !slices.Contains(r.Notes, n) {
		r.Notes = append(r.Notes, n)
	}
}

// fill computes the cells of a row of its results.
func (r *Row) fill(metrics []Metric, came []Result, said Prediction) {
	r.Seeds, r.Unstable = len(came), said.Unstable
	for _, m := range metrics {
		c := Cell{Reading: unknown(), Theory: runs.Number(math.NaN())}
		if x, ok := said.Values[m.Name]; ok {
			c.Theory = runs.Number(x)
		}
		var xs []float64
		for _, x := range came {
			v, ok := x.Values[m.Name]
			if !ok || math.IsNaN(float64(v.Value)) {
				continue
			}
			xs, c.Reading = append(xs, float64(v.Value)), v
		}
		c.N = len(xs)
		if e, err := stat.Mean(xs, Confidence); err == nil {
			c.Reading = Reading{runs.Number(e.Value), runs.Number(e.Low), runs.Number(e.High)}
		}
		r.Cells = append(r.Cells, c)
	}
	busy := map[string]int{}
	limited := 0
	for _, x := range came {
		if x.Busiest != "" {
			busy[x.Busiest]++
		}
		if x.Limited {
			limited++
		}
	}
	r.Busiest = oftenest(busy)
	if limited > 0 {
		r.note("limited by the generator, with %d of %d seeds: it tells of the clients", limited, len(came))
	}
}

// oftenest returns what was counted most; of equals the first in the alphabet.
func oftenest(n map[string]int) string {
	best := ""
	for _, k := range slices.Sorted(maps.Keys(n)) {
		if best == "" || n[k] > n[best] {
			best = k
		}
	}
	return best
}

// Complete reports whether every point has a result with every seed.
func (t *Table) Complete() bool { return t.Results == t.Runs }

// HasTheory reports whether theory tells something of a metric.
func (t *Table) HasTheory(metric int) bool {
	return slices.ContainsFunc(t.Rows, func(r Row) bool { return !math.IsNaN(float64(r.Cells[metric].Theory)) })
}

// HasIntervals reports whether a metric has an interval somewhere.
func (t *Table) HasIntervals(metric int) bool {
	return slices.ContainsFunc(t.Rows, func(r Row) bool { return r.Cells[metric].HasInterval() })
}

// HasInterval reports whether there is one.
func (r Reading) HasInterval() bool {
	return !math.IsNaN(float64(r.Low)) && !math.IsNaN(float64(r.High)) && !math.IsInf(float64(r.High-r.Low), 0)
}

// CSV writes a row for each point: its settings by path, then each metric with the ends of its interval and what theory says, where there is
// some of it. What is not known is empty. Numbers are in base units, which stand in the head, and have nine significant digits.
func (t *Table) CSV(w io.Writer) error {
	c := csv.NewWriter(w)
	head := []string{"point"}
	for _, a := range t.Axes {
		head = append(head, a.Paths...)
	}
	head = append(head, "seeds")
	intervals, theory := make([]bool, len(t.Metrics)), make([]bool, len(t.Metrics))
	for i, m := range t.Metrics {
		name := m.Name
		if m.Unit != "" && m.Unit != "1" {
			name += " (" + m.Unit + ")"
		}
		head = append(head, name)
		if intervals[i] = t.HasIntervals(i); intervals[i] {
			head = append(head, m.Name+" low", m.Name+" high")
		}
		if theory[i] = t.HasTheory(i); theory[i] {
			head = append(head, m.Name+" theory")
		}
	}
	rows := [][]string{append(head, "busiest resource", "unstable", "notes")}
	for _, r := range t.Rows {
		rows = append(rows, t.csvRow(r, intervals, theory))
	}
	for _, row := range rows {
		if err := c.Write(row); err != nil {
			return fmt.Errorf("write table: %w", err)
		}
	}
	c.Flush()
	if err := c.Error(); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	return nil
}

func (t *Table) csvRow(r Row, intervals, theory []bool) []string {
	row := []string{strconv.Itoa(r.Point)}
	for i, k := range r.At {
		row = append(row, t.Axes[i].Values[k].Texts...)
	}
	row = append(row, strconv.Itoa(r.Seeds))
	for i, c := range r.Cells {
		row = append(row, digits(c.Value))
		if intervals[i] {
			row = append(row, digits(c.Low), digits(c.High))
		}
		if theory[i] {
			row = append(row, digits(c.Theory))
		}
	}
	return append(row, r.Busiest, r.Unstable, strings.Join(r.Notes, "; "))
}

func digits(x runs.Number) string {
	if y := float64(x); !math.IsNaN(y) && !math.IsInf(y, 0) {
		return strconv.FormatFloat(y, 'g', 9, 64)
	}
	return ""
}

// JSON writes the table with its definition.
func (t *Table) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(t); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	return nil
}
