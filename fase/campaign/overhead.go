package campaign

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/eve-emulation/eve/dmm/expr"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/service"
)

// An Overhead is what a real server was found to take for each call of a service beside its demands.
type Overhead struct {
	service.Overhead
	Service   string
	Calls     uint64        // that were measured
	Measured  time.Duration // median latency at the callers
	Simulated time.Duration // the same in virtual time, without overhead
}

// Calibrate measures the overhead of each service in a run of a plan: it simulates the plan, whose seed gives the same
// arrivals and demands, without overhead, and compares distributions. With shift(x) the median, over the quantiles from
// 5 % to 95 %, of measured less simulated,
//
//	delay = shift(S.latency) − shift(S.residence)
//	cpu   = shift(S.service)
//
// each at least 0. The residence is inside the latency, and holds all that S waits for, the overhead of its own calls included:
// so delay is of the call alone, and a queue that overhead makes longer counts in none. S.service is what its resources
// took: under `run: hold` there is no shift, and under `run: burn` what burning takes too much. The median leaves out the
// rare long waits of a host that others use too. Services with fewer than 20 calls are left out.
// interrupted is that the run ended early.
func Calibrate(ctx context.Context, plan *scenario.Plan, h runs.History, interrupted bool) ([]Overhead, error) {
	r, err := Simulate(ctx, Bare(plan), Options{NoSummary: true, Keep: func(n dsv.Name) bool { return calibrating(plan, n) }})
	if err != nil {
		return nil, fmt.Errorf("calibrate overhead: %w", err)
	}
	measured, simulated := runs.Reader(plan, h, interrupted), r.reader()
	var out []Overhead
	for _, s := range plan.Services {
		hist := func(from expr.Reader, leaf string) *dsv.Hist {
			t, err := from.Total(dsv.Name(s.Name+"."+leaf), 0)
			if err != nil {
				return nil
			}
			return t.Value.Hist
		}
		latency, virtual := hist(measured, "latency"), hist(simulated, "latency")
		const fewest = 20
		if latency.Count() < fewest || virtual.Count() < fewest {
			continue
		}
		x := Overhead{Service: s.Name, Calls: latency.Count(), Measured: seconds(latency.Quantile(0.5)), Simulated: seconds(virtual.Quantile(0.5))}
		inside := shift(hist(measured, "residence"), hist(simulated, "residence"))
		x.Delay = seconds(max(0, shift(latency, virtual)-inside))
		x.CPU = seconds(max(0, shift(hist(measured, "service"), hist(simulated, "service"))))
		out = append(out, x)
	}
	return out, nil
}

func calibrating(plan *scenario.Plan, n dsv.Name) bool {
	return slices.ContainsFunc(plan.Services, func(s service.Config) bool {
		return n == dsv.Name(s.Name+".latency") || n == dsv.Name(s.Name+".residence") || n == dsv.Name(s.Name+".service")
	})
}

// seconds is a time of full microseconds: what is measured is no more exact.
func seconds(x float64) time.Duration {
	if math.IsNaN(x) {
		return 0
	}
	return time.Duration(math.Round(x*1e6)) * time.Microsecond
}

// shift is the median over quantiles of how much later a is than b; 0 where one is empty.
func shift(a, b *dsv.Hist) float64 {
	if a.Count() == 0 || b.Count() == 0 {
		return 0
	}
	var ds []float64
	for q := 5; q <= 95; q += 5 {
		ds = append(ds, a.Quantile(float64(q)/100)-b.Quantile(float64(q)/100))
	}
	slices.Sort(ds)
	return ds[len(ds)/2]
}

// Bare returns the plan without the overhead of its services. The plan is not changed.
func Bare(plan *scenario.Plan) *scenario.Plan {
	p := *plan
	p.Services = slices.Clone(p.Services)
	for i := range p.Services {
		p.Services[i].Overhead = service.Overhead{}
	}
	p.Servers = slices.Clone(p.Servers)
	for i := range p.Servers {
		p.Servers[i].Services = p.Services
	}
	p.Clients = slices.Clone(p.Clients)
	for i := range p.Clients {
		p.Clients[i].Services = p.Services
	}
	p.Adapt.Services = p.Services
	return &p
}
