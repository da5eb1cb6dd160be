package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel/egs"
	"github.com/eve-emulation/eve/internal/mono"
)

// The channels of the event benches. Who is asked answers on one of the last two, by where the event came from.
const (
	channelOne   dsv.Name = "bench.one"   // to the sink of rank 0
	channelEight dsv.Name = "bench.eight" // to all
	channelBack  dsv.Name = "bench.back"
	channelHome  dsv.Name = "bench.home"

	insider = "inside" // the member inside the kernel's process
)

// eventChannel declares a channel whose events carry a level, for filters, and which of them is answered: each whose
// number is a multiple of that; 0 for none.
func eventChannel(n dsv.Name) egs.Channel {
	return egs.Channel{Name: n, Attrs: []egs.Attr{{Name: "level", Kind: dsv.Float}, {Name: "answer", Kind: dsv.Int}}}
}

// A joining tells a sink where to join.
type joining struct {
	door
	NATS string `json:"nats,omitempty"` // URL; instead
	Rank int    `json:"rank"`
}

// A receipt is one event as a sink got it: when it was sent, and when its handler had it, in ns of CLOCK_MONOTONIC.
type receipt struct {
	Sent int64 `json:"s"`
	Got  int64 `json:"g"`
}

// receipts is what a sink has got since it was asked last.
type receipts struct {
	Count int64     `json:"count"`
	List  []receipt `json:"list"` // of the first ones
	Lost  uint64    `json:"lost"`
	Fault string    `json:"fault,omitempty"` // why an answer could not be sent
}

// keptReceipts bounds what a sink remembers in detail.
const keptReceipts = 4096

// sinkHost is one sink in a process of its own.
type sinkHost struct {
	eve  *client
	subs []egs.Subscription
	back egs.Source
	home egs.Source
	nats *nats.Conn

	mu  sync.Mutex // guards what follows
	got receipts
}

func sinkPart(ctx context.Context) (duty, func() error, error) {
	h := &sinkHost{}
	return duty{
		"join":    take(func(j joining) (any, error) { return struct{}{}, h.join(ctx, j) }),
		"collect": take(func(struct{}) (any, error) { return h.collect(), nil }),
	}, h.close, nil
}

func (h *sinkHost) join(ctx context.Context, j joining) error {
	if j.NATS != "" {
		return h.joinNATS(j)
	}
	var err error
	if h.eve, err = j.dial(ctx); err != nil {
		return err
	}
	if h.back, err = h.eve.Attach(ctx, channelBack); err != nil {
		return err
	}
	if h.home, err = h.eve.Attach(ctx, channelHome); err != nil {
		return err
	}
	answer := func(from string) error {
		to := h.back
		if from == insider {
			to = h.home
		}
		n, err := to.Submit(ctx, egs.Event{})
		if err == nil && n != 1 {
			err = fmt.Errorf("an answer was handed to %d sinks", n)
		}
		return err
	}
	for _, n := range j.channels() {
		s, err := h.eve.Subscribe(ctx, egs.SubscribeRequest{
			Channel: n, Facts: map[string]dsv.Value{"rank": dsv.FloatValue(float64(j.Rank))},
			Handler: func(e egs.Event) {
				h.take(int64(e.At), e.Values[1].Int, e.Lost, func() error { return answer(e.From) })
			},
		})
		if err != nil {
			return err
		}
		h.subs = append(h.subs, s)
	}
	return nil
}

// channels are what the sink of that rank follows.
func (j joining) channels() []dsv.Name {
	if j.Rank == 0 {
		return []dsv.Name{channelEight, channelOne}
	}
	return []dsv.Name{channelEight}
}

func (h *sinkHost) joinNATS(j joining) error {
	var err error
	if h.nats, err = nats.Connect(j.NATS); err != nil {
		return err
	}
	answer := func() error { return h.nats.Publish(string(channelBack), nil) }
	for _, n := range j.channels() {
		if _, err := h.nats.Subscribe(string(n), func(m *nats.Msg) {
			h.take(int64(binary.BigEndian.Uint64(m.Data)), int64(binary.BigEndian.Uint64(m.Data[8:])), 0, answer)
		}); err != nil {
			return err
		}
	}
	return h.nats.Flush()
}

// take is the handler.
func (h *sinkHost) take(sent, every int64, lost uint64, answer func() error) {
	now := mono.Now()
	h.mu.Lock()
	h.got.Count++
	h.got.Lost += lost
	n := h.got.Count
	if len(h.got.List) < keptReceipts {
		h.got.List = append(h.got.List, receipt{sent, now})
	}
	h.mu.Unlock()
	if every > 0 && n%every == 0 {
		if err := answer(); err != nil { // who asked waits in vain, and asks why
			h.mu.Lock()
			h.got.Fault = err.Error()
			h.mu.Unlock()
		}
	}
}

func (h *sinkHost) collect() receipts {
	h.mu.Lock()
	defer h.mu.Unlock()
	got := h.got
	h.got = receipts{}
	return got
}

func (h *sinkHost) close() error {
	var errs []error
	for _, s := range h.subs {
		errs = append(errs, s.Close())
	}
	for _, b := range []egs.Source{h.back, h.home} {
		if b != nil {
			errs = append(errs, b.Close())
		}
	}
	if h.eve != nil {
		h.eve.close()
	}
	if h.nats != nil {
		h.nats.Close()
	}
	return errors.Join(errs...)
}
