package fit

import (
	"math"
	"math/rand/v2"

	"github.com/eve-emulation/eve/fase/stat"
)

// intervals resamples the batches of each resource and puts an interval around each demand.
func (b *batches) intervals(o Options) {
	t := stat.Student(b.f.freedom, o.Confidence)
	n := float64(len(b.work))
	enlarge := math.Sqrt(n / b.f.freedom)
	for k := range b.f.Resources {
		r := &b.f.Resources[k]
		r.draws = b.resample(k, o)
		for i := range r.Demands {
			r.Demands[i].surround(r.draws, i, t*enlarge)
		}
		if r.Background != nil {
			r.Background.surround(r.draws, len(r.Demands), t*enlarge)
		}
	}
}

// surround makes the interval of the unknown i: widened to hold the value where that is 0.
func (d *Demand) surround(draws [][]float64, i int, times float64) {
	mean, squares := 0.0, 0.0
	for _, x := range draws {
		mean += x[i] / float64(len(draws))
	}
	for _, x := range draws {
		squares += (x[i] - mean) * (x[i] - mean)
	}
	half := times * math.Sqrt(squares/float64(len(draws)-1))
	d.Low, d.High = max(0, d.Value-half), max(d.Value, mean)+half
}

// resample solves the regression of a resource for resampled batches: within each run, blocks as long as the correlation lasts.
func (b *batches) resample(k int, o Options) [][]float64 {
	draw := rand.New(rand.NewPCG(o.Seed, uint64(k)+1))
	length := max(1, int(math.Round(stat.IACT(b.left[k]))))
	var spans [][2]int // rows of each run
	for i, run := range b.run {
		if i == 0 || run != b.run[i-1] {
			spans = append(spans, [2]int{i, i})
		}
		spans[len(spans)-1][1] = i + 1
	}
	g, x := stat.NewGram(b.unknowns()), b.x(k)
	times := make([]float64, len(b.work))
	out := make([][]float64, o.Resamples)
	for s := range out {
		clear(times)
		for _, span := range spans {
			n := span[1] - span[0]
			for left := n; left > 0; {
				from := draw.IntN(n)
				for i := range min(length, left) { // a block that runs over the end goes on at the front
					times[span[0]+(from+i)%n]++
				}
				left -= min(length, left)
			}
		}
		g.Reset()
		for i, w := range times {
			if w > 0 && b.weights[k][i] > 0 {
				g.Add(x[i], b.u[k][i], w*b.weights[k][i])
			}
		}
		out[s] = g.NonNegative()
	}
	return out
}
