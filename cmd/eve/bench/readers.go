package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/eve-emulation/eve/fase/files"
	"github.com/eve-emulation/eve/fase/stat"
	"github.com/eve-emulation/eve/rdr"
)

// A readersSpec is a closed population of readers. Each asks for a file, reads all of it, thinks, and asks again.
type readersSpec struct {
	Address string
	Readers int
	Think   time.Duration // mean of an exponential pause
	PerConn int           // requests of a connection before it is opened anew; 0: any number
	Path    string        // of what is asked for; empty: the server draws a file
	// Directories, where above 0, are those of the set from which each reader draws a path.
	Directories int
	Warm, For   time.Duration // what is measured, and before
}

// haul is what readers got while they were measured.
type haul struct {
	Seconds          float64
	Answers          int
	All              int // answers, those before and after what is measured included
	Bytes            float64
	Failed           int     // requests without an answer of 200
	Why              string  // of one of them
	Mean, P90, P99   float64 // s, from the connect, where one was due, to the last byte
	Longest          float64 // s, waits that the end cut off included
	Fairness         float64 // Jain's index of the answers that each reader got
	Waiting, Readers int     // requests that the end cut off
}

// reader is one of them.
type reader struct {
	spec    readersSpec
	request []byte
	set     *files.Set // nil: every request is the same
	key     rdr.Key
	asked   uint64
	rng     *rand.Rand
	from    time.Time // measured from then on
	end     time.Time // and until then

	answers, all    int
	failed, waiting int
	bytes           float64
	took            []float64
	longest         float64
	why             error

	c    net.Conn
	r    *bufio.Reader
	used int
}

// readersPart is readers, who come and go with each order.
func readersPart(ctx context.Context) (duty, func() error, error) {
	read := func(s readersSpec) (any, error) { return s.read(ctx) }
	return duty{"read": take(read)}, func() error { return nil }, nil
}

// request is what each asks.
func (s readersSpec) request() []byte {
	if s.Path == "" {
		return fileRequest(nil, strings.TrimSuffix(onePlace, "/"))
	}
	return fileRequest(nil, s.Path)
}

// fileRequest appends the request of a path.
func fileRequest(dst []byte, path string) []byte {
	return append(append(append(dst, "GET "...), path...), " HTTP/1.1\r\nHost: eve\r\n\r\n"...)
}

// on has the readers of a part at it. On a machine that others keep busy a short while may pass without a single answer,
// which tells nothing: it is then tried again.
func (s readersSpec) on(readers *part) (h haul, err error) {
	all := 0
	for range 3 {
		if err = readers.call("read", s, &h); err != nil {
			return h, err
		}
		all += h.All
		if h.All = all; h.Answers > 0 {
			return h, nil
		}
	}
	return h, fmt.Errorf("no answer in three times %v", s.For)
}

// read has all readers at it for as long as the spec says.
func (s readersSpec) read(ctx context.Context) (haul, error) {
	start := time.Now().Add(s.Warm)
	ctx, cancel := context.WithDeadline(ctx, start.Add(s.For))
	defer cancel()
	var set *files.Set
	if s.Directories > 0 {
		var err error
		if set, err = (shelfSpec{Directories: s.Directories}).set(); err != nil {
			return haul{}, err
		}
	}
	rs := make([]*reader, s.Readers)
	var wg sync.WaitGroup
	for i := range rs {
		r := &reader{spec: s, request: s.request(), set: set, key: rdr.Root(1, 0, uint64(i), 0), rng: rand.New(rand.NewPCG(1, uint64(i))), from: start, end: start.Add(s.For)}
		rs[i] = r
		wg.Go(func() { r.run(ctx) })
	}
	wg.Wait()
	h := sum(rs)
	h.Seconds = s.For.Seconds()
	if h.Answers == 0 && h.Failed > 0 {
		return h, fmt.Errorf("no reader got an answer: %s", h.Why)
	}
	return h, nil
}

func sum(rs []*reader) haul {
	h := haul{Readers: len(rs)}
	var took []float64
	shares, squares := 0.0, 0.0
	for _, r := range rs {
		h.Answers += r.answers
		h.All += r.all
		h.Failed += r.failed
		if r.why != nil {
			h.Why = r.why.Error()
		}
		h.Waiting += r.waiting
		h.Bytes += r.bytes
		h.Longest = max(h.Longest, r.longest)
		took = append(took, r.took...)
		shares += float64(r.answers)
		squares += float64(r.answers) * float64(r.answers)
	}
	slices.Sort(took)
	if len(took) == 0 {
		return h
	}
	for _, x := range took {
		h.Mean += x / float64(len(took))
	}
	h.P90, h.P99 = stat.Quantile(took, 0.9), stat.Quantile(took, 0.99)
	h.Fairness = shares * shares / (float64(len(rs)) * squares)
	return h
}

func (r *reader) run(ctx context.Context) {
	defer r.hangUp()
	for r.think(ctx) {
		begin := time.Now()
		n, err := r.ask(ctx)
		now := time.Now()
		if err == nil {
			r.all++
		}
		if now.Before(r.from) {
			continue
		}
		r.longest = max(r.longest, now.Sub(begin).Seconds())
		switch {
		case !now.Before(r.end):
			r.waiting++
		case err == nil:
			r.answers++
			r.bytes += float64(n)
			r.took = append(r.took, now.Sub(begin).Seconds())
		default:
			r.failed++
			r.why = err
		}
	}
}

// think pauses; false once it is over.
func (r *reader) think(ctx context.Context) bool {
	// The context's own timer may be late on a machine that has much to do, and what it ends is not.
	if ctx.Err() != nil || !time.Now().Before(r.end) {
		return false
	}
	if r.spec.Think <= 0 {
		return true
	}
	t := time.NewTimer(time.Duration(r.rng.ExpFloat64() * float64(r.spec.Think)))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// ask gets one file, over a new connection where the old one has done its share or broke.
func (r *reader) ask(ctx context.Context) (n int64, err error) {
	if r.c == nil {
		if err := r.dial(ctx); err != nil {
			return 0, err
		}
	}
	defer func() {
		if r.used++; err != nil || r.used == r.spec.PerConn {
			r.hangUp()
		}
	}()
	if r.set != nil {
		r.asked++
		r.request = fileRequest(r.request[:0], onePlace+r.set.Path(r.set.Draw(r.key.Mix(r.asked))))
	}
	if _, err := r.c.Write(r.request); err != nil {
		return 0, err
	}
	res, err := http.ReadResponse(r.r, nil)
	if err != nil {
		return 0, err
	}
	n, err = io.Copy(io.Discard, res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("answered %s", res.Status)
	}
	return n, err
}

func (r *reader) dial(ctx context.Context) error {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", r.spec.Address)
	if err != nil {
		return err
	}
	end, _ := ctx.Deadline()
	if err := c.SetDeadline(end); err != nil {
		return errors.Join(err, c.Close())
	}
	r.c, r.used = c, 0
	if r.r == nil {
		r.r = bufio.NewReaderSize(c, 32<<10)
	}
	r.r.Reset(c)
	return nil
}

func (r *reader) hangUp() {
	if r.c != nil {
		_ = r.c.Close()
		r.c = nil
	}
}
