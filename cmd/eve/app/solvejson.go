package app

import (
	"fmt"

	"github.com/eve-emulation/eve/fase/report"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/solve"
)

// jsonSolved is an answer as --json writes it. Times are in seconds, rates per second; null is without bound.
type jsonSolved struct {
	Scenario    string             `json:"scenario"`
	At          runs.Number        `json:"at_s"`
	Method      string             `json:"method"`
	Groups      []jsonSolvedGroup  `json:"groups"`
	Services    []jsonService      `json:"services"`
	Resources   []jsonResource     `json:"resources"`
	Bottleneck  jsonLimit          `json:"bottleneck"`
	Second      jsonLimit          `json:"second_bottleneck"`
	Bounds      jsonBounds         `json:"bounds"`
	Assumptions []solve.Assumption `json:"assumptions"`
}

type jsonSolvedGroup struct {
	Name       string        `json:"name"`
	Users      int           `json:"users,omitempty"`
	Rate       runs.Number   `json:"rate"`
	Throughput runs.Number   `json:"throughput"`
	Errors     runs.Number   `json:"errors"`
	Mean       runs.Number   `json:"mean_s"`
	Deviation  runs.Number   `json:"deviation_s"`
	P50        runs.Number   `json:"p50_s"`
	P95        runs.Number   `json:"p95_s"`
	P99        runs.Number   `json:"p99_s"`
	Demand     runs.Number   `json:"demand_s"`
	Quality    solve.Quality `json:"mean_is"`
	Quantiles  solve.Quality `json:"quantiles_are"`
}

type jsonService struct {
	Name      string      `json:"name"`
	Calls     runs.Number `json:"calls"`
	Response  runs.Number `json:"response_s"`
	Residence runs.Number `json:"residence_s"`
	Rejected  runs.Number `json:"rejected"`
}

type jsonResource struct {
	Name        string                 `json:"name"`
	Kind        solve.Kind             `json:"kind"`
	Tier        string                 `json:"tier"`
	Servers     int                    `json:"servers"`
	Utilisation runs.Number            `json:"utilisation"`
	Visits      runs.Number            `json:"visits"`
	Wait        runs.Number            `json:"wait_s"`
	Service     runs.Number            `json:"service_s"`
	Queue       runs.Number            `json:"queue"`
	Demand      map[string]runs.Number `json:"demand_s"`
}

type jsonLimit struct {
	Resource string      `json:"resource"`
	Kind     solve.Kind  `json:"kind"`
	Factor   runs.Number `json:"factor"`
	Rate     runs.Number `json:"rate"`
}

type jsonBounds struct {
	Throughput runs.Number            `json:"throughput"`
	Response   map[string]runs.Number `json:"response_s"`
	Knee       map[string]runs.Number `json:"knee_users"`
}

// jsonVaried is one value of --vary.
type jsonVaried struct {
	Value  string      `json:"value"`
	Answer *jsonSolved `json:"answer"` // null: Error says why there is none
	Error  string      `json:"error,omitempty"`
}

func solveJSON(name string, a *solve.Answer) jsonSolved {
	j := jsonSolved{
		Scenario: name, At: runs.Number(a.At.Seconds()), Method: a.Method,
		Bottleneck: limitJSON(a.Bottleneck), Second: limitJSON(a.Second), Assumptions: a.Assumptions,
		Bounds: jsonBounds{Throughput: runs.Number(a.Bounds.Throughput), Response: numbers(a.Bounds.Response), Knee: numbers(a.Bounds.Knee)},
	}
	for i := range a.Groups {
		g := &a.Groups[i]
		q := func(p float64) runs.Number { x, _ := g.Quantile(p); return runs.Number(x) }
		j.Groups = append(j.Groups, jsonSolvedGroup{
			Name: g.Name, Users: g.Users, Rate: runs.Number(g.Rate), Throughput: runs.Number(g.Throughput), Errors: runs.Number(g.Errors),
			Mean: runs.Number(g.Response), Deviation: runs.Number(g.Deviation), P50: q(0.5), P95: q(0.95), P99: q(0.99),
			Demand: runs.Number(g.Demand), Quality: g.Quality, Quantiles: g.Shape.Quality,
		})
	}
	for _, s := range a.Services {
		j.Services = append(j.Services, jsonService{s.Name, runs.Number(s.Throughput), runs.Number(s.Response), runs.Number(s.Residence), runs.Number(s.Rejected)})
	}
	for _, r := range a.Resources {
		x := jsonResource{
			r.Name, r.Kind, r.Tier, r.Servers, runs.Number(r.Utilisation), runs.Number(r.Rate), runs.Number(r.Wait), runs.Number(r.Service), runs.Number(r.Queue),
			map[string]runs.Number{},
		}
		for g, d := range r.Demand {
			if d > 0 {
				x.Demand[a.Groups[g].Name] = runs.Number(d)
			}
		}
		j.Resources = append(j.Resources, x)
	}
	return j
}

func limitJSON(l solve.Limit) jsonLimit {
	return jsonLimit{l.Resource, l.Kind, runs.Number(l.Factor), runs.Number(l.Rate)}
}

func numbers(m map[string]float64) map[string]runs.Number {
	out := map[string]runs.Number{}
	for k, x := range m {
		out[k] = runs.Number(x)
	}
	return out
}

// busiest is the resource of the greatest utilisation, with it.
func (j *jsonSolved) busiest() string {
	best := -1
	for i := range j.Resources {
		if best < 0 || j.Resources[i].Utilisation > j.Resources[best].Utilisation {
			best = i
		}
	}
	if best < 0 {
		return ""
	}
	return fmt.Sprintf("%s %s", j.Resources[best].Name, report.Share(float64(j.Resources[best].Utilisation)))
}
