package server

import (
	"context"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/engine"
	"github.com/eve-emulation/eve/fase/engine/stage"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/internal/mono"
)

// stages are the controllers of an engine's stages as the scenario has them.
func stages(c scenario.Stages) engine.StagesConfig {
	return engine.StagesConfig{
		Threads:  stage.ThreadsConfig{Least: c.Least, Sample: c.Sample, Threshold: c.Threshold, Idle: c.Idle},
		Batching: stage.BatchingConfig{Fixed: c.Batch},
		Control:  c.Control,
	}
}

// stagePeriod is how often the stages of an engine are measured.
const stagePeriod = 100 * time.Millisecond

// A stageMeter writes the figures of one stage.
type stageMeter struct {
	queue, threads, batch, served, refused *dmm.Var
	was                                    engine.StageStats
}

// measureStages measures the stages of the server's engine, if it has some, until ctx ends.
func (s *Server) measureStages(ctx context.Context) {
	staged, ok := s.engine.(engine.Staged)
	if !ok {
		return
	}
	at := s.cfg.Host.Topology.Servers[s.cfg.Host.Node] + ".stage."
	var meters []stageMeter
	for _, st := range staged.Stages() {
		v := func(what string) *dmm.Var { return s.cfg.Vars(dsv.Name(at + st.Name + "." + what)) }
		meters = append(meters, stageMeter{
			queue: v("queue"), threads: v("threads"), batch: v("batch"), served: v("served"), refused: v("refused"),
		})
	}
	tick := time.NewTicker(stagePeriod)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now, ok := s.instant(mono.Now())
		if !ok {
			continue
		}
		for i, st := range staged.Stages() {
			meters[i].write(now, st)
		}
	}
}

func (m *stageMeter) write(at dsv.Instant, st engine.StageStats) {
	m.queue.Write(at, float64(st.Queue))
	m.threads.Write(at, float64(st.Threads))
	m.batch.Write(at, float64(st.Batch))
	if n := st.Served - m.was.Served; n > 0 {
		m.served.Write(at, float64(n))
	}
	if n := st.Refused - m.was.Refused; n > 0 {
		m.refused.Write(at, float64(n))
	}
	m.was = st
}
