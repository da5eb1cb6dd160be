package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/find"
	"github.com/eve-emulation/eve/fase/load"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/user"
	"github.com/eve-emulation/eve/internal/mono"
)

// loadGroup is one group of clients, ready to run without a kernel.
type loadGroup struct {
	url       string
	targets   []loadTarget
	addresses []string // by server
	sites     []load.Site
	services  []string // that an RDR is posted to, by server; empty: the server itself
	rdr       string   // to be posted; empty: the targets
	cfg       user.Config
	steps     []populationStep
	flags     *loadFlags
	goal      *find.Goal
	// connections may be open to a server.
	connections int
}

// reachTimeout bounds the time until a server answers.
const reachTimeout = 10 * time.Second

// reach returns an error when nothing listens: then there is nothing to measure.
func (g *loadGroup) reach(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	for i, address := range g.addresses {
		address = strings.TrimPrefix(address, "https://")
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err != nil {
			if oe, ok := errors.AsType[*net.OpError](err); ok {
				err = oe.Err // the address is told already
			}
			return fmt.Errorf("nothing answers at %s (%s): %w", g.urlOf(i), address, err)
		}
		if err := c.Close(); err != nil {
			return err
		}
	}
	return nil
}

// urlOf is a URL on a server.
func (g *loadGroup) urlOf(node int) string {
	for _, t := range g.targets {
		if t.node == node {
			return t.url
		}
	}
	return g.url
}

// A loadRun is one run of a group: its threads, and what they measure.
type loadRun struct {
	g      *loadGroup
	set    *dmm.Set
	pump   *loadPump
	groups []*user.Group
	loops  []*load.Loop
	t0     int64
	stats  []load.Stats
}

// newRun prepares a run. What it measures is handed to pump, which is nil until then.
func (g *loadGroup) newRun(records bool) (*loadRun, error) {
	share := loadShare(&g.cfg)
	set, err := dmm.NewSet(1, 1, loadSpecs(records || share > 0))
	if err != nil {
		return nil, err
	}
	r := &loadRun{g: g, set: set, t0: mono.Now() + int64(20*time.Millisecond)}
	r.pump = newLoadPump(set, g.cfg)
	f := g.flags
	spin := f.spin
	if f.precision == "spin" && spin == 0 {
		spin = spinShare
	}
	for part := range f.threads {
		c := g.cfg
		if !records {
			c.RecordShare = share // the arrivals of a sample are enough to test their law
		}
		if f.threads > 1 {
			c.Part, c.Parts = part, f.threads
		}
		group := user.NewGroup(c, set.Var)
		for svc, name := range c.Topology.Services {
			group.Changed(user.Before, svc, service.Mapping{Epoch: 1, Replicas: []service.Replica{{Server: name, State: service.Serving}}})
		}
		for _, s := range g.steps {
			group.Set(user.Before, s.at, user.UsersSetting, s.users)
		}
		limit := g.connections / f.threads
		if part < g.connections%f.threads {
			limit++
		}
		l, err := load.New(load.Config{
			T0: r.t0, Groups: []load.Group{group}, Address: func(node int) string { return g.addresses[node] }, Sites: g.sites,
			Services: g.services, End: c.End, Grace: time.Second, Spin: spin, Connections: limit, Requests: f.perConnection,
			ConnectTimeout: f.connect, Light: runtime.GOMAXPROCS(0) > f.threads,
		})
		if err != nil {
			return nil, err
		}
		r.groups, r.loops = append(r.groups, group), append(r.loops, l)
	}
	r.pump.inFlight = r.inFlight
	return r, nil
}

// now is the instant of the run.
func (r *loadRun) now() dsv.Instant { return dsv.Instant(mono.Now() - r.t0) }

// inFlight is how many calls are under way.
func (r *loadRun) inFlight() int64 {
	n := int64(0)
	for _, l := range r.loops {
		n += int64(l.Stats().InFlight)
	}
	return n
}

// run runs to the end, or until ctx ends, or until look says so, which is asked every 100 ms.
func (r *loadRun) run(ctx context.Context, look func(at dsv.Instant) bool) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	over := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		t := time.NewTicker(syncEvery)
		defer t.Stop()
		for {
			select {
			case <-over:
				return
			case <-t.C:
			}
			if r.pump.advance(r.now()) && look != nil && look(r.now()) {
				stop()
			}
		}
	})
	work := new(errgroup.Group)
	r.stats = make([]load.Stats, len(r.loops))
	for i, l := range r.loops {
		work.Go(func() (err error) {
			r.stats[i], err = l.Run(ctx)
			return err
		})
	}
	err := work.Wait()
	close(over)
	wg.Wait()
	end := min(r.now(), r.g.cfg.End)
	for _, g := range r.groups {
		g.Settle(end)
	}
	r.pump.finish(end)
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	return err
}

// measure runs a group to its end and tells what it measured.
func (a *App) measure(ctx context.Context, g *loadGroup, f loadFlags) error {
	r, err := g.newRun(g.goal != nil || f.csv != "" && f.csvEach == "request")
	if err != nil {
		return err
	}
	outs, err := openOutputs(f, g, r.t0)
	if err != nil {
		return wrong(fmt.Errorf("load: %w", err))
	}
	r.pump.second, r.pump.record = outs.second, outs.record
	var meter *find.Meter
	if g.goal != nil {
		meter = find.NewMeter(*g.goal, g.cfg.Warmup)
		r.pump.record = func(x user.Record) {
			outs.record(x)
			if x.Due >= g.cfg.Warmup {
				meter.Add(x.Done, x.Done.Sub(x.Due).Seconds(), x.Cause != service.OK)
			}
		}
	}
	s := newScreen(a.err)
	live := s.terminal() && !f.quiet
	v := &loadView{g: g, r: r, meter: meter}
	reached := false
	err = r.run(ctx, func(at dsv.Instant) bool {
		if live && v.due(at) {
			s.show(v.lines(at, s.columns()))
		}
		reached = reached || meter != nil && at > g.cfg.Warmup && meter.Look(min(at, g.cfg.End))
		return reached
	})
	if live {
		s.clear()
	}
	if err != nil {
		return errors.Join(err, outs.close(r))
	}
	res := g.result(r)
	res.Interrupted = ctx.Err() != nil
	if meter != nil {
		if !reached {
			meter.Settle(min(r.now(), g.cfg.End))
		}
		res.Until = goalOf(*g.goal, meter, reached)
	}
	if note := g.explain(ctx, res); note != "" {
		res.Messages = append(res.Messages, note)
	}
	if lost := errors.Join(a.finishLoad(res, f, outs), outs.close(r)); lost != nil {
		return lost // which is told, whatever else the result has to say
	}
	return res.exit()
}

// finishLoad prints the result.
func (a *App) finishLoad(res result, f loadFlags, outs *loadOutputs) error {
	switch {
	case f.json == "-":
		return writeJSON(a.out, res)
	case outs.json != nil:
		outs.note(writeJSON(outs.json, res))
	}
	return a.tellResult(res)
}

// exit is how the program ends for a result.
func (r result) exit() error {
	ends := runs.Ends{Interrupted: r.Interrupted, GeneratorLimited: r.Limited, BooksBroken: !r.Accounting.Balanced}
	if r.Requests > 0 && r.OK == 0 {
		return &exitError{runs.ExitFailed, fmt.Errorf("load %s: not one of %d requests succeeded", r.URL, r.Requests)}
	}
	ends.ExpectFailed = r.Until != nil && r.Until.Verdict == find.Fail
	if code := ends.Exit(); code != runs.ExitOK {
		return &exitError{code: code}
	}
	return nil
}

// explain asks once more when every answer was a refusal, to tell what the server says.
func (g *loadGroup) explain(ctx context.Context, r result) string {
	t := g.targets[0]
	if r.OK == 0 && r.Errors[service.TLS.String()] > 0 && !g.flags.insecure {
		return "--cacert FILE trusts certificates that this host does not know, --insecure takes any"
	}
	if r.OK > 0 || r.Errors[service.Status.String()] == 0 || strings.HasPrefix(t.at.Address, "https://") {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	method, url, body := t.method, "http://"+t.at.Address+t.at.Path, string(t.body)
	if g.rdr != "" {
		method, url, body = "POST", "http://"+t.at.Address+"/rdr/"+g.services[0], g.rdr
	}
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return ""
	}
	req.Host, req.Close = t.at.Host, true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return ""
	}
	defer res.Body.Close()
	says, _ := io.ReadAll(io.LimitReader(res.Body, 200)) // what came of it is enough
	line, _, _ := strings.Cut(strings.TrimSpace(string(says)), "\n")
	return strings.TrimSuffix(fmt.Sprintf("the server answers %s: %s", res.Status, line), ": ")
}
