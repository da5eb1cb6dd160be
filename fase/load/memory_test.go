package load_test

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/load"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/step"
	"github.com/eve-emulation/eve/fase/user"
)

// heap is what lives on Go's heap and stacks, in bytes.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// thinking returns how much memory there is more once so many users have asked rounds times, each over a connection of its own, and
// think. It is the server's too.
func thinking(t *testing.T, address string, users, rounds int) int64 {
	t.Helper()
	before, during := heap(), int64(0)
	end := dsv.At(time.Hour)
	g := population(t, user.Config{Users: users, End: end, Think: &user.Think{Mean: 300 * time.Millisecond, Exponential: true}})
	l := open(t, start(load.Config{Groups: []load.Group{g}, Address: to(address), Services: []string{"app"}, End: end, Own: true}))
	ctx, cancel := context.WithCancel(t.Context())
	var watch sync.WaitGroup
	watch.Go(func() {
		defer cancel()
		l.Post(func(dsv.Instant) {})
		for ctx.Err() == nil && l.Stats().Answered < uint64(rounds*users) {
			<-time.After(20 * time.Millisecond)
		}
		during = heap()
	})
	s, _ := l.Run(ctx)
	watch.Wait()
	if s.Answered < uint64(rounds*users) || s.Failed() > 0 {
		t.Fatalf("got %d answers and errors %v, want %d answers", s.Answered, s.Errors, rounds*users)
	}
	runtime.KeepAlive(g)
	return during - before
}

// TestMemoryOfUsers measures what a user takes who thinks, with its connection, as the growth from few to many: the process's memory,
// the test's server included. Calls that were under way at once leave memory behind that is used again, so that a machine which
// stood still shows more: the least of three rounds counts.
func TestMemoryOfUsers(t *testing.T) {
	if testing.Short() {
		t.Skip("thousands of connections")
	}
	address := reactor(t)
	const few, many, most = 500, 3500, 1024
	thinking(t, address, many, 1) // what the server keeps for itself
	each := 0.0
	for range 3 {
		each = float64(thinking(t, address, many, 4)-thinking(t, address, few, 4)) / (many - few)
		if each <= most {
			return
		}
	}
	t.Errorf("memory of a user who thinks: got %.0f bytes, want at most %d", each, most)
}

// A counted is a population in which something is done at every so-manieth answer, on the loop's thread.
type counted struct {
	*user.Group
	answers, every int
	do             func()
}

func (c *counted) Answer(at dsv.Instant, ref step.Ref, a service.Answer) {
	if c.answers++; c.answers%c.every == 0 {
		c.do()
	}
	c.Group.Answer(at, ref, a)
}

// TestMemoryHoldsItsLevel lets users ask who do not think, so that as many calls are under way from the beginning as ever can be. What
// requests leave behind would be more with every few thousand of them; what grows to a peak once does not grow each time.
func TestMemoryHoldsItsLevel(t *testing.T) {
	if testing.Short() {
		t.Skip("tens of thousands of requests")
	}
	const users, each, times = 200, 5000, 5
	const most = 8 * each // bytes: less than any one thing that a request could leave behind
	for _, test := range []struct {
		name string
		cfg  load.Config
	}{
		{"kept connections", load.Config{}},
		{"on epoll", load.Config{Readiness: true}},
		{"connections of few requests", load.Config{Requests: 7}},
		{"users with connections of their own", load.Config{Own: true, Requests: 7}},
		{"in line", load.Config{Connections: 20}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var levels []int64
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			end := dsv.At(time.Hour)
			c := &counted{Group: population(t, user.Config{Users: users, End: end}), every: each, do: func() {
				if levels = append(levels, heap()); len(levels) > times {
					cancel()
				}
			}}
			cfg := test.cfg
			cfg.Groups, cfg.Address, cfg.Services, cfg.End = []load.Group{c}, to(reactor(t)), []string{"app"}, end
			s, _ := open(t, start(cfg)).Run(ctx)
			if s.Failed() > 0 || len(levels) <= times {
				t.Fatalf("got %d answers, errors %v (%v); want %d answers", s.Answered, s.Errors, s.Messages, each*(times+1))
			}
			least := levels[1] - levels[0]
			for i := range times {
				least = min(least, levels[i+1]-levels[i])
			}
			if least > most {
				t.Errorf("memory after every %d requests: got %d, at least %d bytes more each time, want at most %d", each, levels, least, most)
			}
		})
	}
}
