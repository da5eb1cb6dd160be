package rdr_test

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"testing"

	"github.com/eve-emulation/eve/rdr"
)

func TestMixIsSplitMix64(t *testing.T) {
	// The outputs of SplitMix64 seeded with 1234567.
	want := []rdr.Key{
		6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821,
	}
	for i, w := range want {
		if got := rdr.Key(1234567).Mix(uint64(i)); got != w {
			t.Errorf("Mix(%d) = %d, want %d", i, got, w)
		}
	}
}

func TestRootDependsOnEveryPart(t *testing.T) {
	seen := map[rdr.Key]string{}
	for seed := range uint64(10) {
		for group := range uint64(10) {
			for user := range uint64(10) {
				for n := range uint64(10) {
					k := rdr.Root(seed, group, user, n)
					name := fmt.Sprint(seed, group, user, n)
					if other, twice := seen[k]; twice {
						t.Fatalf("Root(%s) = Root(%s)", name, other)
					}
					seen[k] = name
				}
			}
		}
	}
}

func TestUniformRange(t *testing.T) {
	if got := rdr.Key(0).Uniform(); got != 0 {
		t.Errorf("least uniform %v, want 0", got)
	}
	if got := rdr.Key(math.MaxUint64).Uniform(); got >= 1 || got < 0.999999 {
		t.Errorf("largest uniform %v, want just below 1", got)
	}
	if got := rdr.Key(math.MaxUint64).Exp(); got < 36 || got > 37 {
		t.Errorf("largest exponential %v, want 36.7", got)
	}
}

// TestUniformOfRelatedKeys looks at keys that differ in one small part, as those
// of consecutive requests, statements and iterations do.
func TestUniformOfRelatedKeys(t *testing.T) {
	root := rdr.Root(7, 0, 0, 0)
	families := map[string]func(i uint64) rdr.Key{
		"requests":   func(i uint64) rdr.Key { return rdr.Root(7, 0, 0, i) },
		"seeds":      func(i uint64) rdr.Key { return rdr.Root(i, 0, 0, 0) },
		"users":      func(i uint64) rdr.Key { return rdr.Root(7, 0, i, 0).Mix(0).Mix(0) },
		"iterations": func(i uint64) rdr.Key { return root.Mix(3).Mix(i) },
	}
	const n = 20_000
	for name, key := range families {
		us := make([]float64, n)
		for i := range us {
			us[i] = key(uint64(i)).Uniform()
		}
		product := 0.0
		for i := 1; i < n; i++ {
			product += (us[i] - 0.5) * (us[i-1] - 0.5)
		}
		// The lag-1 correlation of independent uniforms has deviation 1/√n.
		if got := 12 * product / n * math.Sqrt(n); math.Abs(got) > 4 {
			t.Errorf("%s: neighbours correlate with %.1f standard deviations", name, got)
		}
		ks(t, name, us, func(x float64) float64 { return x })
	}
}

// ks is the test of Kolmogorov and Smirnov at the 0.1 % level.
func ks(t *testing.T, name string, xs []float64, cdf func(float64) float64) {
	t.Helper()
	xs = slices.Clone(xs)
	sort.Float64s(xs)
	n := float64(len(xs))
	worst := 0.0
	for i, x := range xs {
		f := cdf(x)
		worst = math.Max(worst, math.Max(f-float64(i)/n, float64(i+1)/n-f))
	}
	if got := worst * math.Sqrt(n); got > 1.95 {
		t.Errorf("%s: distance %.2f/√n from the distribution, want below 1.95/√n", name, got)
	}
}

func phi(z float64) float64 { return math.Erfc(-z/math.Sqrt2) / 2 }

func TestDistributions(t *testing.T) {
	const ms = 1e6
	tests := []struct {
		amount string
		mean   float64 // ns
		cdf    func(ns float64) float64
	}{
		{"exp(5ms)", 5 * ms, func(x float64) float64 { return 1 - math.Exp(-x/(5*ms)) }},
		{"uniform(2ms, 6ms)", 4 * ms, func(x float64) float64 { return (x - 2*ms) / (4 * ms) }},
		{"normal(10ms, 1ms)", 10 * ms, func(x float64) float64 { return phi((x - 10*ms) / ms) }},
		{"lognormal(5ms, 0.8)", 5 * ms * math.Exp(0.32), func(x float64) float64 { return phi(math.Log(x/(5*ms)) / 0.8) }},
		{"pareto(2ms, 3)", 3 * ms, func(x float64) float64 { return 1 - math.Pow(2*ms/x, 3) }},
		{"erlang(1, 5ms)", 5 * ms, func(x float64) float64 { return 1 - math.Exp(-x/(5*ms)) }},
		{"erlang(3, 6ms)", 6 * ms, func(x float64) float64 {
			y := x / (2 * ms)
			return 1 - math.Exp(-y)*(1+y+y*y/2)
		}},
		{"erlang(40, 8ms)", 8 * ms, nil},
		{"normal(1ms, 1ms)", ms * (phi(1) + math.Exp(-0.5)/math.Sqrt(2*math.Pi)), nil}, // cut off at 0
	}
	for _, tt := range tests {
		t.Run(tt.amount, func(t *testing.T) {
			b := block(t, "cpu "+tt.amount)
			const n = 30_000
			xs := make([]float64, 0, n)
			var task rdr.Task
			sum, squares := 0.0, 0.0
			for i := range n {
				x := 0.0
				task.Draw(b, rdr.Root(11, 0, 0, uint64(i)), "", func(d *rdr.Demand) {
					if d.Op == rdr.OpCPU {
						x = float64(d.N)
					}
				})
				xs = append(xs, x)
				sum += x
				squares += x * x
			}
			mean := sum / n
			se := math.Sqrt((squares/n - mean*mean) / n)
			if math.Abs(mean-tt.mean) > 4*se {
				t.Errorf("mean of draws %.0f ± %.0f, want %.0f", mean, se, tt.mean)
			}
			exact, err := b.Mean()
			if err != nil {
				t.Fatal(err)
			}
			if got := exact.Of("").CPU * 1e9; math.Abs(got-tt.mean) > 1e-6*tt.mean {
				t.Errorf("Mean %.3f, want %.3f", got, tt.mean)
			}
			if tt.cdf != nil {
				ks(t, tt.amount, xs, tt.cdf)
			}
		})
	}
}

// TestCounts checks that rounding a drawn count keeps its mean.
func TestCounts(t *testing.T) {
	b := block(t, "repeat exp(0.7) { wait 1ns }")
	var task rdr.Task
	const n = 30_000
	total, squares := 0.0, 0.0
	for i := range n {
		x := 0.0
		task.Draw(b, rdr.Root(5, 0, 0, uint64(i)), "", func(d *rdr.Demand) {
			if d.Op == rdr.OpWait {
				x++
			}
		})
		total += x
		squares += x * x
	}
	mean := total / n
	se := math.Sqrt((squares/n - mean*mean) / n)
	if math.Abs(mean-0.7) > 4*se {
		t.Errorf("mean count %.4f ± %.4f, want 0.7", mean, se)
	}
}

// TestChoose checks a choice against its probabilities.
func TestChoose(t *testing.T) {
	b := block(t, "choose { 0.2: { wait 1ns } 0.5: { wait 2ns } 0.3: { wait 3ns } }")
	var task rdr.Task
	const n = 30_000
	var counts [4]float64
	for i := range n {
		task.Draw(b, rdr.Root(5, 0, 0, uint64(i)), "", func(d *rdr.Demand) {
			if d.Op == rdr.OpWait {
				counts[d.N]++
			}
		})
	}
	for i, p := range []float64{0, 0.2, 0.5, 0.3} {
		if sd := math.Sqrt(n * p * (1 - p)); math.Abs(counts[i]-n*p) > 4*sd {
			t.Errorf("branch %d taken %v times, want %v ± %.0f", i, counts[i], n*p, sd)
		}
	}
}
