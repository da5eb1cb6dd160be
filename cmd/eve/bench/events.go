package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel/egs"
	"github.com/eve-emulation/eve/internal/mono"
)

// answerTimeout is how long an answer may take before a bench gives up.
const answerTimeout = 3 * time.Second

// errNoAnswer reports that a sink did not answer.
var errNoAnswer = errors.New("an event was lost, or its answer")

// A bus is one system's way to send events from here to the sinks and to hear their answers. It belongs to one goroutine.
type bus interface {
	// submit sends one event to all sinks of a channel; each answers those whose number is a multiple of answer.
	submit(ctx context.Context, channel dsv.Name, size int, level float64, answer int64) error
	flush() error
	answers() <-chan struct{}
	close()
}

// forget drops the answers that came too late.
func forget(b bus) {
	for {
		select {
		case <-b.answers():
		default:
			return
		}
	}
}

// await waits for n answers.
func await(ctx context.Context, b bus, n int) error {
	late := time.NewTimer(answerTimeout)
	defer late.Stop()
	for range n {
		select {
		case <-b.answers():
		case <-late.C:
			return errNoAnswer
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// eveBus sends over Eve, from a module's process or from inside the kernel's.
type eveBus struct {
	sources map[dsv.Name]egs.Source
	back    egs.Subscription
	heard   chan struct{}
	data    []byte
	values  []dsv.Value
}

// newEveBus attaches to the channels, which are open, and hears answers on back.
func newEveBus(ctx context.Context, svc egs.Service, back dsv.Name) (*eveBus, error) {
	b := &eveBus{
		sources: map[dsv.Name]egs.Source{}, heard: make(chan struct{}, 1<<16),
		data: make([]byte, 1<<16), values: []dsv.Value{dsv.FloatValue(0), dsv.IntValue(0)},
	}
	var err error
	b.back, err = svc.Subscribe(ctx, egs.SubscribeRequest{Channel: back, Handler: func(egs.Event) { b.heard <- struct{}{} }})
	if err != nil {
		return nil, err
	}
	for _, n := range []dsv.Name{channelOne, channelEight} {
		if b.sources[n], err = svc.Attach(ctx, n); err != nil {
			b.close()
			return nil, err
		}
	}
	return b, nil
}

func (b *eveBus) submit(ctx context.Context, channel dsv.Name, size int, level float64, answer int64) error {
	b.values[0].Float, b.values[1].Int = level, answer
	_, err := b.sources[channel].Submit(ctx, egs.Event{
		Channel: channel, At: dsv.Instant(mono.Now()), Values: b.values, Data: b.data[:max(size-32, 0)], // as long as a NATS message with the same in it
	})
	return err
}

func (b *eveBus) flush() error             { return nil }
func (b *eveBus) answers() <-chan struct{} { return b.heard }

func (b *eveBus) close() {
	for _, s := range b.sources {
		_ = s.Close()
	}
	_ = b.back.Close()
}

// natsBus sends over NATS.
type natsBus struct {
	conn  *nats.Conn
	heard chan struct{}
	data  []byte
}

func newNATSBus(url string) (*natsBus, error) {
	conn, err := nats.Connect(url)
	if err != nil {
		return nil, err
	}
	b := &natsBus{conn: conn, heard: make(chan struct{}, 1<<16), data: make([]byte, 1<<16)}
	if _, err := conn.Subscribe(string(channelBack), func(*nats.Msg) { b.heard <- struct{}{} }); err != nil {
		conn.Close()
		return nil, err
	}
	return b, conn.Flush()
}

func (b *natsBus) submit(_ context.Context, channel dsv.Name, size int, _ float64, answer int64) error {
	binary.BigEndian.PutUint64(b.data, uint64(mono.Now()))
	binary.BigEndian.PutUint64(b.data[8:], uint64(answer))
	return b.conn.Publish(string(channel), b.data[:size])
}

func (b *natsBus) flush() error             { return b.conn.Flush() }
func (b *natsBus) answers() <-chan struct{} { return b.heard }
func (b *natsBus) close()                   { b.conn.Close() }

// A drill is what is done to learn the cost of events from one place.
type drill struct {
	Prefix string `json:"prefix"` // of the channels that it creates
	Count  int    `json:"count"`
	Size   int    `json:"size"`
}

// drilled is what came of it, in s.
type drilled struct {
	Create []float64 `json:"create"`
	Submit []float64 `json:"submit"` // to the one sink
	Eight  []float64 `json:"eight"`  // to eight, the whole call
	Poll   []float64 `json:"poll"`
	Empty  []float64 `json:"empty"` // a poll that finds nothing
}

// run creates channels, sends events one after the other, each once the one before was answered, and polls a
// subscription.
func (d drill) run(ctx context.Context, svc egs.Service, b *eveBus) (out drilled, err error) {
	for i := range d.Count {
		start := time.Now()
		if err := svc.Open(ctx, eventChannel(dsv.Name(fmt.Sprintf("bench.%s_%d", d.Prefix, i)))); err != nil {
			return out, err
		}
		out.Create = append(out.Create, time.Since(start).Seconds())
	}
	for range d.Count {
		took, err := b.ask(ctx, channelOne, d.Size, 1, 1)
		if err != nil {
			return out, err
		}
		out.Submit = append(out.Submit, took)
	}
	for range d.Count {
		took, err := b.ask(ctx, channelEight, d.Size, sinkCount, sinkCount)
		if err != nil {
			return out, err
		}
		out.Eight = append(out.Eight, took)
	}
	return out, d.poll(ctx, svc, &out)
}

// ask sends one event, waits for so many answers, and returns how long the sending took.
func (b *eveBus) ask(ctx context.Context, channel dsv.Name, size int, level float64, answers int) (float64, error) {
	every := int64(1)
	if answers == 0 {
		every = 0
	}
	start := time.Now()
	if err := b.submit(ctx, channel, size, level, every); err != nil {
		return 0, err
	}
	took := time.Since(start).Seconds()
	return took, await(ctx, b, answers)
}

// poll takes events that wait, and looks where none does.
func (d drill) poll(ctx context.Context, svc egs.Service, out *drilled) error {
	n := dsv.Name("bench.polled_" + d.Prefix)
	if err := svc.Open(ctx, eventChannel(n)); err != nil {
		return err
	}
	sub, err := svc.Subscribe(ctx, egs.SubscribeRequest{Channel: n})
	if err != nil {
		return err
	}
	defer func() { _ = sub.Close() }()
	src, err := svc.Attach(ctx, n)
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }()
	late, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	gone, stop := context.WithCancel(ctx) // a look that does not wait
	stop()
	for range max(d.Count/16, 2) {
		for range 16 {
			if _, err := src.Submit(ctx, egs.Event{Channel: n, Values: []dsv.Value{dsv.FloatValue(1), dsv.IntValue(0)}, Data: make([]byte, d.Size)}); err != nil {
				return err
			}
		}
		if _, err := sub.Next(late); err != nil { // they are there
			return err
		}
		time.Sleep(time.Millisecond)
		start := time.Now()
		for range 15 {
			if _, err := sub.Next(late); err != nil {
				return err
			}
		}
		out.Poll = append(out.Poll, time.Since(start).Seconds()/15)
		start = time.Now()
		for range 15 {
			if _, err := sub.Next(gone); err == nil {
				return errors.New("an event came twice")
			}
		}
		out.Empty = append(out.Empty, time.Since(start).Seconds()/15)
	}
	return nil
}
