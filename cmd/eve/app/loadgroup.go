package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/load"
	"github.com/eve-emulation/eve/fase/report"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/user"
	"github.com/eve-emulation/eve/internal/mono"
)

// loadGroup is one group of clients, ready to run without a kernel.
type loadGroup struct {
	url     string
	target  load.Target
	rdr     string // to be posted; empty: GET
	service string // it is posted to; empty: the server itself
	cfg     user.Config
	spin    time.Duration
	set     *dmm.Set
}

// declare makes the variables that are measured.
func (g *loadGroup) declare() error {
	var specs []dmm.Spec
	for _, leaf := range []string{"latency", "send_lag"} {
		specs = append(specs, dmm.Spec{Name: loadName + "." + dsv.Name(leaf), Manipulator: "histogram"})
	}
	for _, leaf := range []string{"requests", "errors", "issued", "late"} {
		specs = append(specs, dmm.Spec{Name: loadName + "." + dsv.Name(leaf), Manipulator: "count"})
	}
	for _, c := range service.Causes() {
		specs = append(specs, dmm.Spec{Name: loadName + ".errors_" + dsv.Name(c.String()), Manipulator: "count"})
	}
	set, err := dmm.NewSet(1, 1, specs)
	g.set = set
	return err
}

// reachTimeout bounds the time until a server answers.
const reachTimeout = 10 * time.Second

// reach returns an error when nothing listens: then there is nothing to measure.
func (g *loadGroup) reach(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", g.target.Address)
	if err != nil {
		if oe, ok := errors.AsType[*net.OpError](err); ok {
			err = oe.Err // the address is told already
		}
		return fmt.Errorf("nothing answers at %s (%s): %w", g.url, g.target.Address, err)
	}
	return c.Close()
}

// measure runs a group to its end and tells what it measured.
func (a *App) measure(ctx context.Context, g *loadGroup, asJSON bool) error {
	group := user.NewGroup(g.cfg, g.set.Var)
	group.Changed(0, 0, service.Mapping{Epoch: 1, Replicas: []service.Replica{{Server: "target", State: service.Serving}}})
	t0 := mono.Now() + int64(20*time.Millisecond)
	l, err := load.New(load.Config{
		T0: t0, Groups: []load.Group{group}, Address: func(int) string { return g.target.Address }, Host: g.target.Host,
		Services: []string{g.service}, End: g.cfg.End, Grace: time.Second, Spin: g.spin,
	})
	if err != nil {
		return err
	}
	over := make(chan struct{})
	var wg sync.WaitGroup
	if s := newScreen(a.err); s.terminal() {
		wg.Go(func() { g.progress(s, l, t0, over) })
	}
	stats, err := l.Run(ctx)
	close(over)
	wg.Wait()
	r := g.result(stats, group, min(dsv.Instant(mono.Now()-t0), g.cfg.End))
	r.Interrupted = err != nil
	if err != nil && ctx.Err() == nil {
		return err
	}
	if note := g.explain(ctx, r); note != "" {
		r.Messages = append(r.Messages, note)
	}
	if asJSON {
		enc := json.NewEncoder(a.out)
		enc.SetIndent("", "  ")
		err = enc.Encode(r)
	} else {
		err = a.tellResult(r)
	}
	ends := runs.Ends{Interrupted: r.Interrupted, GeneratorLimited: r.Limited}
	if code := ends.Exit(); err == nil && code != runs.ExitOK {
		return &exitError{code: code}
	}
	return err
}

// explain asks once more when every answer was a refusal, to tell what the server says.
func (g *loadGroup) explain(ctx context.Context, r result) string {
	if r.OK > 0 || r.Errors[service.Status.String()] == 0 {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	method, url, body := "GET", "http://"+g.target.Address+g.target.Path, ""
	if g.rdr != "" {
		method, url, body = "POST", "http://"+g.target.Address+"/rdr/"+g.service, g.rdr
	}
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return ""
	}
	req.Host, req.Close = g.target.Host, true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return ""
	}
	defer res.Body.Close()
	says, _ := io.ReadAll(io.LimitReader(res.Body, 200)) // what came of it is enough
	line, _, _ := strings.Cut(strings.TrimSpace(string(says)), "\n")
	return strings.TrimSuffix(fmt.Sprintf("the server answers %s: %s", res.Status, line), ": ")
}

// progress shows once a second how it goes, until it is over.
func (g *loadGroup) progress(s *screen, l *load.Loop, t0 int64, over <-chan struct{}) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	defer s.clear()
	end := g.cfg.End.Seconds()
	var before int64
	for {
		select {
		case <-over:
			return
		case <-t.C:
		}
		now := min(dsv.Instant(mono.Now()-t0).Seconds(), end)
		n, h := g.count("requests"), g.set.Var(loadName+".latency").Read().Hist
		line := fmt.Sprintf("%5.0f s of %g s  %s/s", now, end, report.Count(float64(n-before)))
		if h.Count() > 0 {
			line += fmt.Sprintf("  p50 %s  p99 %s", short(h.Quantile(0.5)), short(h.Quantile(0.99)))
		}
		s.show([]string{line + fmt.Sprintf("  errors %d  in flight %d", g.count("errors"), l.Stats().InFlight)})
		before = n
	}
}

func (g *loadGroup) count(leaf string) int64 {
	v := g.set.Var(loadName + "." + dsv.Name(leaf)).Read()
	x, _ := v.Number()
	return int64(x)
}

// planned is how many requests were to be issued by an instant; 0 in a closed group.
func (g *loadGroup) planned(end dsv.Instant) float64 {
	if len(g.cfg.Rate) == 0 {
		return 0
	}
	return g.cfg.Rate[0].Rate * end.Seconds()
}
