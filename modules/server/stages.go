package server

import (
	"context"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/admit"
	"github.com/eve-emulation/eve/fase/engine"
	"github.com/eve-emulation/eve/fase/engine/stage"
	"github.com/eve-emulation/eve/fase/machine"
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

// inStages has requests that compute wait in the queue of the engine's stage, where its controllers see them, and not in the emulated
// machine's, if that serves them in the same order: a stage of at most as many threads as there are processors is first come, first served.
// Where the host chooses among them, the stage has a thread more, so that they come to the host while others compute.
func inStages(cfg Config) Config {
	kind, _ := engine.Shipped().Kind(cfg.Engine.Name)
	m, st := &cfg.Host.Machine, &cfg.Engine.Stages
	cores := max(m.CPU.Cores, 1)
	switch d := m.CPU.Discipline; {
	case !kind.Staged || m.Run != machine.Burn:
	case d == machine.FCFS && cfg.Host.Admit == admit.Config{}:
		st.Handle = cores
		m.CPU.Discipline = machine.OS
	case d != machine.OS:
		st.Threads.Least = max(st.Threads.Least, cores+1)
	}
	return cfg
}

// stagePeriod is how often the stages of an engine are measured.
const stagePeriod = 100 * time.Millisecond

// A stageMeter writes the figures of one stage.
type stageMeter struct {
	queue, threads, batch, served, refused *dmm.Var
	was                                    engine.StageStats
}

// Stages returns how the stages of the server's engine stand; none if it has no stages.
func (s *Server) Stages() []engine.StageStats {
	if e, ok := s.engine.(engine.Staged); ok {
		return e.Stages()
	}
	return nil
}

// measureStages measures the stages of the server's engine, if it has some, until ctx ends.
func (s *Server) measureStages(ctx context.Context) {
	if len(s.Stages()) == 0 {
		return
	}
	at := s.cfg.Host.Topology.Servers[s.cfg.Host.Node] + ".stage."
	var meters []stageMeter
	for _, st := range s.Stages() {
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
		for i, st := range s.Stages() {
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
