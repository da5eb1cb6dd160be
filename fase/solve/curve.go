package solve

import "math"

// A CurvePoint is an answer at one load.
type CurvePoint struct {
	Factor float64 // times the load of the model
	Load   float64 // requests per second of all groups together; of closed groups alone, users of all together
	Answer *Answer // without Bottleneck, Second and Bounds
}

// Curve answers at n loads at the present mix: of open groups from next to nothing to next to what is full, of closed ones up to twice the knee,
// or the present users where those are more.
func (m *Model) Curve(n int) []CurvePoint {
	end := 2.0
	if !m.closed() {
		if f := m.boundary(nil); !math.IsInf(f, 1) {
			end = 0.99 * f
		}
	} else {
		if l, k := m.limit(nil); k >= 0 {
			end = max(2*l.Factor, 1)
		}
		if rate := m.offered(); rate > 0 {
			end = min(end, 0.99*m.openBoundary())
		}
	}
	var out []CurvePoint
	for i := range n {
		f := end * float64(i+1) / float64(n)
		a, err := m.Scaled(f).Point()
		if err != nil {
			continue
		}
		p := CurvePoint{Factor: f, Answer: a, Load: f * m.offered()}
		if p.Load == 0 {
			for _, g := range a.Groups {
				p.Load += float64(g.Users)
			}
		}
		if len(out) == 0 || p.Load > out[len(out)-1].Load { // users are whole
			out = append(out, p)
		}
	}
	return out
}

// openBoundary is the factor at which the open groups alone fill a resource.
func (m *Model) openBoundary() float64 {
	alone := *m
	alone.net.groups = append([]population(nil), m.net.groups...)
	for i := range alone.net.groups {
		if g := &alone.net.groups[i]; g.users > 0 {
			g.users, g.rate = 0, 0
		}
	}
	return alone.boundary(nil)
}

// A Sector is a share of the first of two groups in all requests, and what is full first at that mix.
type Sector struct {
	Share    float64 // of the first group, 0 to 1
	Resource string
	Rate     float64 // requests per second of both groups together, at most
	// Lines are those rates by tier, in the order of Tiers.
	Lines []float64
}

// Sectors tells what is the bottleneck at every mix of two groups (Balbo and Serazzi, "Asymptotic Analysis of Multiclass Closed Queueing Networks:
// Multiple Bottlenecks", Performance Evaluation 30(3), 1997), by the demands of hardware, and of what is held as the answer has it. tiers are those that
// are the bottleneck at some mix, and of a resource of which both ask something. An answer of other than two groups has none.
func (a *Answer) Sectors(n int) (tiers []string, sectors []Sector) {
	if len(a.Groups) != 2 {
		return nil, nil
	}
	var first []Resource
	seen := map[string]bool{}
	for _, r := range a.Resources {
		if !seen[r.Tier] && r.Servers > 0 && r.Demand[0]+r.Demand[1] > 0 {
			seen[r.Tier] = true
			first = append(first, r)
		}
	}
	bottleneck := map[string]bool{}
	rate := func(r *Resource, share float64) float64 {
		return float64(r.Servers) / (share*r.Demand[0] + (1-share)*r.Demand[1])
	}
	for i := range n {
		s := Sector{Share: float64(i) / float64(n-1), Rate: math.Inf(1)}
		for k := range first {
			if x := rate(&first[k], s.Share); x < s.Rate {
				s.Rate, s.Resource = x, first[k].Tier
			}
		}
		if s.Resource != "" {
			bottleneck[s.Resource] = true
			sectors = append(sectors, s)
		}
	}
	for k := range first {
		if bottleneck[first[k].Tier] {
			tiers = append(tiers, first[k].Tier)
			for i := range sectors {
				sectors[i].Lines = append(sectors[i].Lines, rate(&first[k], sectors[i].Share))
			}
		}
	}
	return tiers, sectors
}
