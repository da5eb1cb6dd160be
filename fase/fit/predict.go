package fit

import (
	"fmt"
	"math"
	"slices"

	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/stat"
)

// A Prediction is what a resource does in a second at given throughputs, by a fit; and, of a recording, what was measured.
type Prediction struct {
	Resource string   `json:"resource"`
	Unit     string   `json:"unit"`
	Value    float64  `json:"value"` // per second: of processors, how many are busy
	Low      float64  `json:"low"`
	High     float64  `json:"high"`
	Measured *float64 `json:"measured,omitempty"`
	// MeasuredLow and MeasuredHigh are the interval of what was measured, by batches.
	MeasuredLow  runs.Number `json:"measured_low,omitempty"`
	MeasuredHigh runs.Number `json:"measured_high,omitempty"`
	// Off is by how much the prediction is off, as a share of what was measured.
	Off runs.Number `json:"off,omitempty"`
}

// Predict returns what every resource does at throughputs by class, in requests per second; a class that is not named has none. The
// error names a class that was not fitted. Intervals are those of the demands alone.
func (f *Fit) Predict(throughput map[string]float64) ([]Prediction, error) {
	x := make([]float64, len(f.Classes)+1)
	x[len(f.Classes)] = 1
	for name, rate := range throughput {
		i, ok := f.classes[name]
		if !ok {
			return nil, fmt.Errorf("predict: no request %s was fitted", name)
		}
		x[i] = rate
	}
	var out []Prediction
	for i := range f.Resources {
		r := &f.Resources[i]
		total := Demand{}
		for c := range r.Demands {
			total.Value += x[c] * r.Demands[c].Value
		}
		if r.Background != nil {
			total.Value += r.Background.Value
		}
		sums := make([][]float64, len(r.draws))
		for k, d := range r.draws {
			sums[k] = []float64{dot(x[:len(d)], d)}
		}
		total.surround(sums, 0, stat.Student(f.freedom, f.Confidence)*math.Sqrt(float64(f.Batches)/f.freedom))
		out = append(out, Prediction{Resource: r.Name, Unit: r.Unit, Value: total.Value, Low: total.Low, High: total.High})
	}
	return out, nil
}

// Check predicts a recording from its throughputs, and sets what it measured beside that. A resource that the fit does not have is left
// out, one that the recording did not use was measured as 0.
func (f *Fit) Check(r *Recording) ([]Prediction, error) {
	seconds := float64(r.cells()) * r.cell.Seconds()
	rates := map[string]float64{}
	for i, c := range r.Classes {
		sum := 0.0
		for _, n := range r.requests[i] {
			sum += n
		}
		rates[c.Name] = sum / seconds
	}
	ps, err := f.Predict(rates)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.Name, err)
	}
	for i := range ps {
		p := &ps[i]
		measured := 0.0
		p.Measured = &measured
		j := slices.IndexFunc(r.Resources, func(x Resource) bool { return x.Name == p.Resource })
		if j < 0 {
			continue
		}
		var cells []float64
		for _, u := range r.use[j] {
			if !math.IsNaN(u) {
				cells = append(cells, u/r.cell.Seconds())
			}
		}
		e := stat.Steady(cells, f.Confidence)
		measured = e.Value
		p.MeasuredLow, p.MeasuredHigh = runs.Number(e.Low), runs.Number(e.High)
		p.Off = runs.Number(p.Value/measured - 1)
	}
	return ps, nil
}
