package runstest

import (
	"cmp"
	"slices"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/adapt"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/user"
	"github.com/eve-emulation/eve/rdr"
)

// FlashCrowd writes the history of a minute in which a crowd comes and goes: one server carries two services, at 23 s
// one moves to another server, at 27 s the other gets a replica. It stops at an instant: a run that ended early when
// that is before the minute is over.
func FlashCrowd(rec dsv.Recorder, stop dsv.Instant) (*scenario.Plan, error) {
	plan := Plan(time.Minute, 5*time.Second, []string{"crowd"}, []string{"app", "static"}, []string{"cdn", "server_1", "server_2"})
	plan.Name, plan.About = "flash-crowd", "One server carries two services until a crowd arrives."
	plan.Clients[0].Rate = []user.Point{{At: 0, Rate: 40}, {At: sec(20), Rate: 40}, {At: sec(25), Rate: 160}, {At: sec(45), Rate: 160}, {At: sec(50), Rate: 40}}
	for _, text := range []string{"p95(crowd.latency) < 2s", "crowd.errors / crowd.requests < 0.01", "p99(app.residence) < 10ms", "mean(crowd.in_flight) < 1000"} {
		if err := Expect(plan, text); err != nil {
			return nil, err
		}
	}
	w, err := NewWriter(plan, rec)
	if err != nil {
		return nil, err
	}
	stop = min(stop, sec(60))
	events := crowd(w, plan.Clients[0])
	events = append(events, adaptation(w)...)
	for t := sec(0.05); t <= sec(60); t += sec(0.05) {
		events = append(events, event{t, func() error { return w.Advance(t - sec(0.01)) }})
	}
	slices.SortStableFunc(events, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	for _, e := range events {
		if e.at > stop {
			break
		}
		if err := e.do(); err != nil {
			return nil, err
		}
	}
	return plan, w.Close(stop)
}

type event struct {
	at dsv.Instant
	do func() error
}

func sec(x float64) dsv.Instant { return dsv.Instant(x * 1e9) }

func rate(t dsv.Instant) float64 {
	switch s := t.Seconds(); {
	case s < 20 || s >= 50:
		return 40
	case s < 25:
		return 40 + (s-20)*24
	case s < 45:
		return 160
	default:
		return 160 - (s-45)*24
	}
}

// crowd draws arrivals and serves them first come first served, with a patience of 4 s.
func crowd(w *Writer, cfg user.Config) []event {
	r := rng(1)
	var events []event
	var free1, free2, freeCDN dsv.Instant
	n := uint64(0)
	for t := dsv.Instant(0); t < sec(60); {
		t += sec(r.ExpFloat64() / 160)
		if r.Float64() > 0.95*rate(t)/160 || t >= sec(60) { // a little less than planned, so that each has its key
			continue
		}
		n++
		app, small := sec(r.ExpFloat64()*0.0086), sec(0.0004)
		free, name := &free1, "server_1"
		if t > sec(28.4) && free2 < free1 {
			free, name = &free2, "server_2"
		}
		staticFree, staticOn := &free1, "server_1"
		if t > sec(23.3) {
			staticFree, staticOn = &freeCDN, "cdn"
		}
		s1 := serve(w, &events, staticOn, staticFree, t, small)
		done := serve(w, &events, name, free, s1, app)
		lag, key, due := sec(r.ExpFloat64()*8e-5), cfg.Key(n, 0), t
		events = append(events, event{due, func() error { w.Var("crowd.issued").Write(due, 1); return nil }})
		events = append(events, finish(w, key, due, lag, s1, done))
	}
	for t := sec(0.1); t <= sec(60); t += sec(0.1) {
		events = append(events, event{t - 1, func() error {
			w.Var("crowd.target").Write(t-1, rate(t)*0.1)
			w.Var("crowd.in_flight").WriteWeighted(t-1, rate(t)*0.1*0.03, 0.1)
			w.Var("server_1.link.utilisation").WriteWeighted(t-1, 0.1*rate(t)/900, 0.1)
			w.Var("server_1.link.queue").WriteWeighted(t-1, 0.1*rate(t)/700, 0.1)
			return nil
		}})
	}
	return append(events, event{0, func() error { w.Var("crowd.rate").Write(0, 40); return nil }})
}

// serve lets a server work from when it is free, and tells its busy time and its jobs in the windows that it falls into.
func serve(w *Writer, events *[]event, server string, free *dsv.Instant, at, demand dsv.Instant) dsv.Instant {
	start := max(*free, at)
	*free = start + demand
	area := func(what string, from, to dsv.Instant) {
		for from < to {
			end := min(to, (from/sec(0.1)+1)*sec(0.1))
			seconds, t := end.Sub(from).Seconds(), end
			*events = append(*events, event{t, func() error {
				w.Var(dsv.Name(server+".cpu."+what)).WriteWeighted(t, seconds, 0)
				return nil
			}})
			from = end
		}
	}
	area("utilisation", start, *free)
	area("queue", at, *free)
	*events = append(*events, event{at, func() error {
		w.Var(dsv.Name(server+".cpu.requested")).Write(at, demand.Seconds())
		return nil
	}}, event{*free, func() error {
		w.Var(dsv.Name(server+".cpu.delivered")).Write(start+demand, demand.Seconds())
		return nil
	}})
	return *free
}

// finish tells the end of a request to its group and its services.
func finish(w *Writer, key rdr.Key, due, lag, s1, done dsv.Instant) event {
	cause, end := service.OK, done+sec(0.001)
	if end-due > sec(4) {
		cause, end = service.Abandoned, due+sec(4)
	}
	return event{end, func() error {
		w.Var("crowd.send_lag").Write(due+lag, lag.Seconds())
		w.Var("crowd.latency").Write(end, end.Sub(due).Seconds())
		w.Var("crowd.requests").Write(end, 1)
		if cause != service.OK {
			w.Var("crowd.errors").Write(end, 1)
			w.Var(dsv.Name("crowd.errors_"+cause.String())).Write(end, 1)
		}
		for name, t := range map[string]dsv.Instant{"static": s1 - due, "app": done - s1} {
			w.Var(dsv.Name(name+".latency")).Write(end, t.Seconds()+0.0005)
			w.Var(dsv.Name(name+".residence")).Write(end, t.Seconds())
			w.Var(dsv.Name(name+".requests")).Write(end, 1)
		}
		w.Var("crowd.records").Append(end, AppendRecord(nil, user.Record{Key: key, Due: due, Sent: due + lag, Done: end, Cause: cause}))
		return nil
	}}
}

// adaptation writes the mappings and the decisions, and the passing of time to the servers' means.
func adaptation(w *Writer) []event {
	var events []event
	for t := sec(0.1); t <= sec(60); t += sec(0.1) {
		for _, s := range []string{"cdn", "server_1", "server_2"} {
			events = append(events, event{t, func() error {
				w.Var(dsv.Name(s+".cpu.utilisation")).WriteWeighted(t, 0, 0.1)
				w.Var(dsv.Name(s+".cpu.queue")).WriteWeighted(t, 0, 0.1)
				return nil
			}})
		}
	}
	replica := func(s string, state service.State) service.Replica {
		return service.Replica{Server: s, Weight: 1, State: state}
	}
	remap := func(at float64, epoch uint32, name string, rs ...service.Replica) {
		m := service.Mapping{Epoch: epoch, At: sec(at), Replicas: rs}
		events = append(events, event{sec(at), func() error { return w.Map(name, m) }})
	}
	remap(0, 1, "app", replica("server_1", service.Serving))
	remap(0, 1, "static", replica("server_1", service.Serving))
	remap(23.3, 2, "static", replica("cdn", service.Serving), replica("server_1", service.Draining))
	remap(24.1, 3, "static", replica("cdn", service.Serving))
	remap(27.4, 2, "app", replica("server_1", service.Serving), replica("server_2", service.Copying))
	remap(28.4, 3, "app", replica("server_1", service.Serving), replica("server_2", service.Serving))
	decide := func(at float64, rule, action, phase, when string, x float64) {
		d := adapt.Decision{At: sec(at), Rule: rule, Action: action, Phase: phase}
		if when != "" {
			d.When, d.Reading = when+" > 0.1", map[string]float64{when: x}
		}
		events = append(events, event{sec(at), func() error { return w.Decide(d) }})
	}
	decide(23.2, "offload", "move static to cdn", "decided", "p95(static.latency)", 0.131)
	decide(23.3, "offload", "move static to cdn", "switched", "", 0)
	decide(24.1, "offload", "move static to cdn", "done", "", 0)
	decide(27.4, "grow", "replicate app to server_2", "decided", "server_1.cpu.utilisation", 0.97)
	decide(27.9, "grow", "replicate app to server_2", "copied", "", 0)
	decide(28.4, "grow", "replicate app to server_2", "switched", "", 0)
	decide(28.4, "grow", "replicate app to server_2", "done", "", 0)
	return events
}
