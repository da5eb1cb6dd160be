package load_test

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/load"
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
