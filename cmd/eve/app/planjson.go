package app

import (
	"github.com/eve-emulation/eve/fase/find"
	"github.com/eve-emulation/eve/fase/plan"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/solve"
)

// jsonPlan is an answer as --json writes it.
type jsonPlan struct {
	Scenario    string             `json:"scenario"`
	Load        string             `json:"load"`
	Objectives  []string           `json:"objectives"`
	Tiers       []jsonTier         `json:"tiers"`
	Shown       bool               `json:"shown_by_simulation"`
	Exact       bool               `json:"search_complete"`
	Cost        *runs.Number       `json:"cost"`
	Error       runs.Number        `json:"demand_error"`
	Bottleneck  *jsonBottleneck    `json:"bottleneck"`
	Second      *jsonBottleneck    `json:"second_bottleneck"`
	Solve       *jsonPoint         `json:"solve"`
	Simulate    *jsonPoint         `json:"simulate"`
	Emulate     *jsonPoint         `json:"emulate"`
	Twin        *jsonPoint         `json:"simulate_same_arrivals"`
	LessTier    string             `json:"one_less_of,omitempty"`
	Less        []jsonPoint        `json:"one_less"`
	Knee        *jsonKnee          `json:"knee"`
	Scaling     *jsonScaling       `json:"scalability"`
	Unreachable string             `json:"unreachable,omitempty"`
	Assumptions []solve.Assumption `json:"assumptions"`
	Left        []string           `json:"left_out"`
	Interrupted bool               `json:"interrupted"`
	Points      []jsonPoint        `json:"points"`
	Growth      []jsonGrowth       `json:"counts_over_load"`
}

type jsonTier struct {
	Name  string `json:"name"`
	Path  string `json:"path"`
	Now   int    `json:"now"`
	Least *int   `json:"least"` // null: none was found
	Low   *int   `json:"low"`
	High  *int   `json:"high"`
	Spare *int   `json:"one_down"`
}

type jsonBottleneck struct {
	Resource string      `json:"resource"`
	Tier     string      `json:"tier,omitempty"`
	Software bool        `json:"software"`
	Factor   runs.Number `json:"full_at_times_the_load"`
	Rate     runs.Number `json:"full_at_per_second"`
}

type jsonPoint struct {
	How      plan.How     `json:"how"`
	Counts   []int        `json:"counts"`
	Load     runs.Number  `json:"load_per_second"`
	Verdict  find.Verdict `json:"verdict"`
	Holds    bool         `json:"holds"`
	Values   []jsonRange  `json:"values"`
	Seconds  runs.Number  `json:"seconds"`
	Requests int64        `json:"requests"`
	Unstable string       `json:"unstable,omitempty"`
	Used     []jsonUse    `json:"utilisation"`
}

type jsonUse struct {
	Name        string      `json:"name"`
	Utilisation runs.Number `json:"utilisation"`
}

type jsonKnee struct {
	Path      string       `json:"varied"`
	Asked     runs.Number  `json:"asked"`
	Load      *runs.Number `json:"load"` // null: none was shown to hold
	Confirmed bool         `json:"confirmed"`
	Crossing  jsonRange    `json:"crossing"`
	Analytic  runs.Number  `json:"by_the_model"`
	Headroom  *runs.Number `json:"headroom"`
}

type jsonScaling struct {
	Tier         string           `json:"tier"`
	Points       [][2]runs.Number `json:"points"`
	Lambda       *jsonRange       `json:"lambda"`
	Sigma        *jsonRange       `json:"sigma"`
	Kappa        *jsonRange       `json:"kappa"`
	Identifiable bool             `json:"identifiable"`
	Reason       string           `json:"reason,omitempty"`
}

type jsonGrowth struct {
	Load   runs.Number `json:"load_per_second"`
	Counts []int       `json:"counts"` // null: none hold
}

func planJSON(name, load string, r *plan.Result, interrupted bool) jsonPlan {
	j := jsonPlan{
		Scenario: name, Load: load, Shown: r.Shown, Exact: r.Exact, Error: runs.Number(r.Error), Unreachable: r.Unreachable,
		Assumptions: r.Assumptions, Left: r.Left, Interrupted: interrupted, Tiers: []jsonTier{}, Less: []jsonPoint{}, Points: []jsonPoint{},
		Bottleneck: bottleneckJSON(r.First), Second: bottleneckJSON(r.Second), Solve: pointJSON(r.Solve), Simulate: pointJSON(r.Answer), Emulate: pointJSON(r.Emulate), Twin: pointJSON(r.Twin),
		Growth: []jsonGrowth{},
	}
	for _, l := range r.Limits {
		j.Objectives = append(j.Objectives, l.String())
	}
	at := func(c plan.Counts, i int) *int {
		if c == nil {
			return nil
		}
		return &c[i]
	}
	for i, t := range r.Tiers {
		j.Tiers = append(j.Tiers, jsonTier{t.Name, t.Path, t.Now, at(r.Counts, i), at(r.Low, i), at(r.High, i), at(r.Spare, i)})
	}
	if r.Costed && r.Counts != nil {
		j.Cost = new(runs.Number(r.Cost))
	}
	if r.LessTier >= 0 {
		j.LessTier = r.Tiers[r.LessTier].Name
	}
	for i := range r.Less {
		j.Less = append(j.Less, *pointJSON(&r.Less[i]))
	}
	for i := range r.Points {
		j.Points = append(j.Points, *pointJSON(&r.Points[i]))
	}
	for _, g := range r.Growth {
		j.Growth = append(j.Growth, jsonGrowth{runs.Number(g.Load), g.Counts})
	}
	j.Knee, j.Scaling = kneeJSON(r.Knee), scalingJSON(r.Scaling)
	return j
}

func bottleneckJSON(b *plan.Bottleneck) *jsonBottleneck {
	if b == nil {
		return nil
	}
	return &jsonBottleneck{b.Name, b.Tier, b.Soft, runs.Number(b.Factor), runs.Number(b.Rate)}
}

func pointJSON(p *plan.Point) *jsonPoint {
	if p == nil {
		return nil
	}
	j := &jsonPoint{
		How: p.How, Counts: append([]int{}, p.Counts...), Load: runs.Number(p.Load), Verdict: p.Verdict, Holds: p.Holds, Seconds: runs.Number(p.Took.Seconds()),
		Requests: p.Requests, Unstable: p.Unstable, Values: []jsonRange{}, Used: []jsonUse{},
	}
	for _, v := range p.Values {
		j.Values = append(j.Values, jsonRange{runs.Number(v.Value), runs.Number(v.Low), runs.Number(v.High)})
	}
	for _, u := range p.Used {
		j.Used = append(j.Used, jsonUse{u.Name, runs.Number(u.Utilisation)})
	}
	return j
}

func kneeJSON(k *plan.Knee) *jsonKnee {
	if k == nil {
		return nil
	}
	c := k.Answer.Crossing
	j := &jsonKnee{
		Path: k.Path, Asked: runs.Number(k.Asked), Confirmed: k.Answer.Confirmed, Analytic: runs.Number(k.Analytic),
		Crossing: jsonRange{runs.Number(c.Value), runs.Number(c.Low), runs.Number(c.High)},
	}
	if x := k.Holds; x > 0 {
		j.Load, j.Headroom = new(runs.Number(x)), new(runs.Number(x/k.Asked-1))
	}
	return j
}

func scalingJSON(s *plan.Scaling) *jsonScaling {
	if s == nil {
		return nil
	}
	j := &jsonScaling{Tier: s.Tier, Reason: s.Why, Points: [][2]runs.Number{}}
	for _, p := range s.Points {
		j.Points = append(j.Points, [2]runs.Number{runs.Number(p.N), runs.Number(p.X)})
	}
	if f := s.Fit; f != nil {
		j.Lambda = &jsonRange{runs.Number(f.Lambda.Value), runs.Number(f.Lambda.Low), runs.Number(f.Lambda.High)}
		j.Sigma = &jsonRange{runs.Number(f.Sigma.Value), runs.Number(f.Sigma.Low), runs.Number(f.Sigma.High)}
		j.Kappa = &jsonRange{runs.Number(f.Kappa.Value), runs.Number(f.Kappa.Low), runs.Number(f.Kappa.High)}
		j.Identifiable, j.Reason = f.Identifiable, f.Reason
	}
	return j
}
