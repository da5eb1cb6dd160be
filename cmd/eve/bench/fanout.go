package bench

import (
	"context"
	"fmt"
	"time"
)

// fanned is what was found of one system's fan-out, by round.
type fanned struct{ rate, perCPU []float64 }

// fanWindow is how many events go before a sink answers, and half of how many may be under way: so none is dropped.
const fanWindow = 256

// fanOut sends 100 bytes to eight sinks as fast as they take it: over ours and over NATS, in turns.
func (x *events) fanOut(ctx context.Context) error {
	x.cfg.say("fan-out to %d sinks", sinkCount)
	x.fan = map[string]*fanned{ours: {}}
	for range pick(x.cfg, 9, 2) {
		if err := x.fanRound(ctx, ours, x.bus, x.kernel.pid()); err != nil {
			return err
		}
		if x.nats == nil {
			continue
		}
		if x.fan[fromNATS] == nil {
			x.fan[fromNATS] = &fanned{}
		}
		if err := x.fanRound(ctx, fromNATS, x.nats, x.far[0].pid()); err != nil {
			return err
		}
	}
	return nil
}

// fanRound is one round; all processes that have a part in it are counted: this one, the sinks, and the server.
func (x *events) fanRound(ctx context.Context, system string, b bus, server int) error {
	if _, err := x.collect(); err != nil { // the sinks count anew
		return err
	}
	cpu := func() float64 {
		sum := ownCPU() + processCPU(server)
		for _, s := range x.sinks {
			sum += s.cpu()
		}
		return sum
	}
	windows := pick(x.cfg, 40, 2)
	before, start := cpu(), time.Now()
	for w := range windows {
		for range fanWindow {
			if err := b.submit(ctx, channelEight, 100, sinkCount, fanWindow); err != nil {
				return err
			}
		}
		if err := b.flush(); err != nil {
			return err
		}
		if w == 0 {
			continue // two windows may be under way
		}
		if err := await(ctx, b, sinkCount); err != nil {
			return fmt.Errorf("fan-out over %s: %w", system, err)
		}
	}
	if err := await(ctx, b, sinkCount); err != nil {
		return fmt.Errorf("fan-out over %s: %w", system, err)
	}
	took, used := time.Since(start).Seconds(), cpu()-before
	got, err := x.collect()
	if err != nil {
		return err
	}
	n := int64(0)
	for _, g := range got {
		n += g.Count
	}
	f := x.fan[system]
	f.rate = append(f.rate, float64(n)/took)
	f.perCPU = append(f.perCPU, float64(n)/used)
	return nil
}
