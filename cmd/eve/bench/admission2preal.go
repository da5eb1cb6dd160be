package bench

import (
	"context"
	"math"
	"slices"

	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/stat"
)

// confirm runs two-phase for a while on real sockets, and compares each group with the same in virtual time, request by
// request, for the order of service is the same; and with what first come would have been to the same requests: with heavy
// tails, groups of different requests differ far more than policies do, for hours.
func (x *phases) confirm(ctx context.Context, r *Report) error {
	set := []string{"duration=" + pick(x.cfg, "25s", "4s"), "warmup=" + pick(x.cfg, "5s", "1s")}
	x.cfg.say("2P: two-phase on real sockets for %s", set[0][len("duration="):])
	var real, sim, first map[string]answers
	read := func(to *map[string]answers) func(trial) error {
		return func(t trial) (err error) {
			*to, err = t.answers()
			return err
		}
	}
	if err := (&shedders{cfg: x.cfg}).both(ctx, "two-phase", set, read(&real), read(&sim)); err != nil {
		return err
	}
	if err := inVirtualTime(ctx, "two-phase", append(set, "servers.server_3.admit.policy=fcfs", "servers.server_4.admit.policy=fcfs"), read(&first)); err != nil {
		return err
	}
	t := &Table{
		Card: "2P", Title: "scenario two-phase on real sockets, beside virtual time with the same seed", Head: "mean",
		Also: []string{"virtual time", "ratio", "median difference of a request", "the same, first come"},
		Note: "the last column is virtual time too",
	}
	for _, svc := range phaseServices() {
		t.Rows = append(t.Rows, Row{Name: svc, Ours: NewFigure(Seconds, real[svc].mean), Also: []Figure{
			NewFigure(Seconds, sim[svc].mean), NewFigure(One, real[svc].mean/sim[svc].mean),
			NewFigure(Seconds, real[svc].off(sim[svc])), NewFigure(Seconds, first[svc].mean),
		}})
	}
	r.Tables = append(r.Tables, t)
	for _, svc := range []string{"shortest", "shortest_delayed"} {
		r.Shapes = append(r.Shapes, AtLeast("2P", "mean of first come, virtual time, over "+svc+", real, same requests",
			NewFigure(One, first[svc].mean/real[svc].mean), 2))
	}
	return nil
}

// phaseServices are those of the scenario two-phase.
func phaseServices() []string { return []string{"at_once", "delayed", "shortest", "shortest_delayed"} }

// answers are the response times of a service's requests, in s.
type answers struct {
	mean float64
	took map[uint64]float64 // by key
}

// answers reads those of each service of two-phase, after the warm-up.
func (t trial) answers() (map[string]answers, error) {
	from, _ := t.bounds()
	found := map[string]answers{}
	for _, svc := range phaseServices() {
		a := answers{took: map[uint64]float64{}}
		if err := runs.Visits(t.h, svc, func(v runs.Visit) error {
			if v.Arrived >= from {
				a.took[v.Key] = v.Done.Sub(v.Arrived).Seconds()
				a.mean += a.took[v.Key]
			}
			return nil
		}); err != nil {
			return nil, err
		}
		a.mean /= float64(len(a.took))
		found[svc] = a
	}
	return found, nil
}

// off is the median difference of a request in two runs, in s.
func (a answers) off(b answers) float64 {
	var off []float64
	for key, took := range a.took {
		if want, ok := b.took[key]; ok {
			off = append(off, math.Abs(took-want))
		}
	}
	slices.Sort(off)
	return stat.Quantile(off, 0.5)
}
