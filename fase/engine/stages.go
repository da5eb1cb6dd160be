package engine

import (
	"fmt"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/admit"
	"github.com/eve-emulation/eve/fase/engine/stage"
)

// StageStats is what a stage of an engine has done and how it stands.
type StageStats = stage.Stats

// A Staged is an Engine that has stages: seda, and actors, whose schedulers are one.
type Staged interface {
	Engine
	// Stages returns how the stages stand, in their order, which is always the same. Any goroutine may call it.
	Stages() []StageStats
}

// StagesConfig sets the controllers of the stages of seda. The zero value is them as published.
type StagesConfig struct {
	Threads  stage.ThreadsConfig  // Most is Config.Threads, unless it is set
	Handle   int                  // the most threads of the handle stage; as Threads has it if 0
	Batching stage.BatchingConfig // of every stage
	Control  admit.ControlConfig  // of the response time of the handle stage; none if zero
}

// check returns an error for what cannot be.
func (c *StagesConfig) check() error {
	if c.Handle < 0 {
		return fmt.Errorf("%d threads of the handle stage; they must be above 0", c.Handle)
	}
	if c.Control.Kind != admit.NoControl && c.Control.Target <= 0 {
		return fmt.Errorf("control of the handle stage: target %v; it must be above 0", c.Control.Target)
	}
	return nil
}

// admission is the controller of a stage as it asks it.
type admission struct {
	threshold *admit.Threshold
	rate      *admit.Rate
	bucket    *admit.Bucket
}

// newAdmission returns the admission that cfg asks for; nil for none.
func newAdmission(cfg admit.ControlConfig) stage.Admission {
	switch cfg.Kind {
	case admit.ThresholdControl:
		return &admission{threshold: admit.NewThreshold(cfg.Target, int(cfg.Initial))}
	case admit.RateControl:
		r := admit.NewRate(cfg.Target, cfg.Preset, cfg.Initial)
		depth := cfg.Depth
		if depth == 0 {
			depth = r.Depth()
		}
		return &admission{rate: r, bucket: admit.NewBucket(admit.BucketConfig{Rate: r.Rate(), Depth: depth})}
	default:
		return nil
	}
}

func (a *admission) Admit(now int64, waiting int) bool {
	if a.threshold != nil {
		return waiting < a.threshold.Threshold()
	}
	a.rate.Advance(dsv.Instant(now))
	a.bucket.SetRate(dsv.Instant(now), a.rate.Rate())
	return a.bucket.Take(dsv.Instant(now))
}

func (a *admission) Served(now int64, took time.Duration) {
	if a.threshold != nil {
		a.threshold.Observe(took)
		return
	}
	a.rate.Observe(dsv.Instant(now), took)
}
