package campaign

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/stat"
)

// A Figure is one number that replications have: its mean over them, with Student's interval.
type Figure struct {
	// Name is where it stands in summary.json, such as clients.crowd.response_seconds.p95.
	Name      string        `json:"name,omitempty"`
	Value     runs.Number   `json:"value"`
	Low       runs.Number   `json:"low"` // null, as High is, where fewer than two replications have it
	High      runs.Number   `json:"high"`
	Deviation runs.Number   `json:"deviation"` // between replications: the standard deviation
	N         int           `json:"n"`         // replications that have it
	Values    []runs.Number `json:"values,omitempty"`
}

// Half is half of the interval's width; NaN without one.
func (f Figure) Half() float64 { return float64(f.High-f.Low) / 2 }

// figureOf sums up what replications have; NaN where one has none.
func figureOf(name string, xs []float64, confidence float64) Figure {
	f := Figure{Name: name, Value: runs.Number(nan), Low: runs.Number(nan), High: runs.Number(nan), Deviation: runs.Number(nan)}
	var known []float64
	for _, x := range xs {
		f.Values = append(f.Values, runs.Number(x))
		if !math.IsNaN(x) && !math.IsInf(x, 0) {
			known = append(known, x)
		}
	}
	f.N = len(known)
	switch e, err := stat.Mean(known, confidence); {
	case err == nil:
		f.Value, f.Low, f.High = runs.Number(e.Value), runs.Number(e.Low), runs.Number(e.High)
		f.Deviation = runs.Number(deviation(known, e.Value))
	case len(known) == 1:
		f.Value = runs.Number(known[0])
	}
	return f
}

func deviation(xs []float64, mean float64) float64 {
	sum := 0.0
	for _, x := range xs {
		sum += (x - mean) * (x - mean)
	}
	return math.Sqrt(sum / float64(len(xs)-1))
}

// parts are those of a summary that hold results, in the order of the table.
var parts = [...]string{"clients", "services", "servers", "caches", "stations", "processes", "adaptation", "variables"}

// evidence is what says how far the figures of one run may be believed: replications say that by themselves.
var evidence = [...]string{"intervals", "response_mean_interval", "warmup", "steady", "arrivals_law", "gates", "generator", "accounting"}

// Flatten returns every result of a summary by where it stands in summary.json, and the share of requests that failed as
// clients.GROUP.error_share, and how many decisions there were as decisions. Lists are left out.
func Flatten(s *runs.Summary) (map[string]float64, error) {
	b, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("flatten summary: %w", err)
	}
	var tree map[string]any
	if err := json.Unmarshal(b, &tree); err != nil {
		return nil, fmt.Errorf("flatten summary: %w", err)
	}
	out := map[string]float64{}
	for _, part := range parts {
		flatten(part, tree[part], out)
	}
	for name, c := range s.Clients {
		out["clients."+name+".error_share"] = float64(c.Errors[runs.AllErrors]) / float64(c.Requests)
	}
	n := 0
	for _, d := range s.Decisions {
		if d.Phase == "decided" {
			n++
		}
	}
	out["decisions"] = float64(n)
	return out, nil
}

func flatten(path string, v any, out map[string]float64) {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			if !slices.Contains(evidence[:], k) {
				flatten(path+"."+k, x, out)
			}
		}
	case float64:
		out[path] = v
	}
}

// figures sums up what summaries have, in the order of parts and then of names.
func figures(flat []map[string]float64, confidence float64) []Figure {
	names := map[string]bool{}
	for _, m := range flat {
		for n := range m {
			names[n] = true
		}
	}
	var out []Figure
	for n := range names {
		xs := make([]float64, len(flat))
		for i, m := range flat {
			x, ok := m[n]
			if !ok && !counted(n) {
				x = nan
			}
			xs[i] = x
		}
		out = append(out, figureOf(n, xs, confidence))
	}
	rank := func(f Figure) int {
		part, _, _ := strings.Cut(f.Name, ".")
		if i := slices.Index(parts[:], part); i >= 0 {
			return i
		}
		return len(parts)
	}
	slices.SortFunc(out, func(a, b Figure) int {
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		return runs.CompareNames(a.Name, b.Name)
	})
	return out
}

// counted says that a figure which a summary does not name is 0 there: a cause of which there was no error.
func counted(name string) bool { return strings.Contains(name, ".errors.") }
