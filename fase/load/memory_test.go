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
// the test's server included. More rounds must not take more.
func TestMemoryOfUsers(t *testing.T) {
	if testing.Short() {
		t.Skip("thousands of connections")
	}
	address := reactor(t)
	const few, many = 500, 3500
	thinking(t, address, many, 1) // what the server keeps for itself
	a, b := thinking(t, address, few, 4), thinking(t, address, many, 4)
	each := float64(b-a) / (many - few)
	t.Logf("%.0f bytes a user", each)
	if each > 1024 {
		t.Errorf("memory of a user who thinks: got %.0f bytes, want at most 1024", each)
	}
	if more := thinking(t, address, many, 10); more > b+b/4 {
		t.Errorf("memory after ten rounds: got %d bytes, want about the %d of four", more, b)
	}
}
