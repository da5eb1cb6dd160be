package bench

import (
	"context"
	"errors"
	"time"
)

// fanned is what was found of one system's fan-out, by round.
type fanned struct {
	rate, perCPU []float64
	sent, lost   int // deliveries
}

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
	forget(b)
	before, start := x.cpu(server), time.Now()
	sent, err := fanSend(ctx, b, pick(x.cfg, 40, 2))
	if err != nil && !errors.Is(err, errNoAnswer) {
		return err
	}
	stalled := err != nil
	took, used := time.Since(start).Seconds(), x.cpu(server)-before
	got, err := x.collect()
	if err != nil {
		return err
	}
	n := int64(0)
	for _, g := range got {
		n += g.Count
	}
	f := x.fan[system]
	f.sent += sent * sinkCount
	f.lost += sent*sinkCount - int(n)
	if stalled {
		return nil // the time that was waited in vain says nothing
	}
	f.rate = append(f.rate, float64(n)/took)
	f.perCPU = append(f.perCPU, float64(n)/used)
	return nil
}

// fanSend sends so many windows of events, of which two may be under way, and returns how many events it sent.
func fanSend(ctx context.Context, b bus, windows int) (sent int, err error) {
	for w := range windows {
		for range fanWindow {
			if err := b.submit(ctx, channelEight, 100, sinkCount, fanWindow); err != nil {
				return sent, err
			}
			sent++
		}
		if err := b.flush(); err != nil {
			return sent, err
		}
		if w == 0 {
			continue
		}
		if err := await(ctx, b, sinkCount); err != nil {
			return sent, err
		}
	}
	return sent, await(ctx, b, sinkCount)
}
