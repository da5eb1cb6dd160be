package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/eve-emulation/eve/internal/mono"
	"github.com/eve-emulation/eve/internal/netpoll"
)

// A volley is a closed loop of raw clients without any thought: each of its connections sends one and the same request again
// as soon as it has the answer, whose length it knows beforehand. It allocates nothing for a request, so that it is not
// what is measured. It belongs to one goroutine, locked to its thread.
type volley struct {
	to      netip.AddrPort
	request []byte
	size    int // bytes of an answer

	poller  *netpoll.Poller
	conns   []shooter
	in      []byte
	said    int  // connections with a request under way
	standby int  // connections whose connect is under way
	firing  bool // what has opened sends at once

	counting  bool
	answers   int
	reopened  int
	latencies []int64 // ns
}

// A shooter is one connection of a volley.
type shooter struct {
	fd, got int
	sent    int64
	standby bool // its connect is under way
	asked   bool // its request is under way
}

// answerOf asks for one answer, which must be a success, and tells how many bytes it has.
func answerOf(ctx context.Context, address string, request []byte) (int, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return 0, err
	}
	if _, err := c.Write(request); err != nil {
		return 0, err
	}
	n := &counter{r: c}
	r := bufio.NewReader(n)
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		return 0, fmt.Errorf("the answer to %q: %w", firstLine(request), err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, fmt.Errorf("the answer to %q: %w", firstLine(request), err)
	}
	if res.StatusCode != http.StatusOK || res.Close {
		return 0, fmt.Errorf("the answer to %q: %s %.80q, close %v", firstLine(request), res.Status, body, res.Close)
	}
	return n.n - r.Buffered(), nil
}

func firstLine(b []byte) string {
	line, _, _ := strings.Cut(string(b), "\r\n")
	return line
}

type counter struct {
	r io.Reader
	n int
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

// newVolley opens its connections, and returns when all stand.
func newVolley(ctx context.Context, address string, connections int, request []byte) (*volley, error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, err
	}
	v := &volley{to: to, request: request, in: make([]byte, 64<<10), latencies: make([]int64, 0, 1<<17)}
	if v.size, err = answerOf(ctx, address, request); err != nil {
		return nil, err
	}
	if v.poller, err = netpoll.NewPoller(512); err != nil {
		return nil, err
	}
	v.conns = make([]shooter, connections)
	for i := range v.conns {
		v.conns[i].fd = -1
	}
	if err := v.open(ctx); err != nil {
		return nil, errors.Join(err, v.close())
	}
	return v, nil
}

// open opens all connections, no more at once than servers queue.
func (v *volley) open(ctx context.Context) error {
	end := mono.Now() + int64(openWithin)
	for i := range v.conns {
		if err := v.connect(i); err != nil {
			return err
		}
		for v.standby >= holdTogether || v.standby > 0 && i == len(v.conns)-1 {
			events, err := v.poller.Wait(min(end, mono.Now()+int64(100*time.Millisecond)))
			if err != nil {
				return err
			}
			for _, e := range events {
				if err := v.event(e, end); err != nil {
					return err
				}
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			if mono.Now() >= end {
				return fmt.Errorf("%d connections did not stand within %v", v.standby, openWithin)
			}
		}
	}
	return nil
}

// openWithin is how long the connections of a volley may take to open.
const openWithin = 20 * time.Second

// connect opens connection i; while the volley fires, its first request is sent once it stands.
func (v *volley) connect(i int) error {
	fd, err := netpoll.Connect(netip.Addr{}, v.to)
	if err != nil {
		return err
	}
	v.conns[i] = shooter{fd: fd, standby: true}
	v.standby++
	return v.poller.Add(fd, uint64(i), netpoll.In|netpoll.Out|netpoll.RdHup|netpoll.Edge)
}

// stands acts on the first event of a connection.
func (v *volley) stands(c *shooter, e netpoll.Events) error {
	if e&(netpoll.Out|netpoll.Err|netpoll.Hup) == 0 {
		return nil
	}
	if err := netpoll.ConnectError(c.fd); err != nil {
		return err
	}
	c.standby = false
	v.standby--
	if !v.firing {
		return nil
	}
	return v.send(c, mono.Now())
}

// send sends a request, which a socket without one under way takes whole.
func (v *volley) send(c *shooter, now int64) error {
	n, err := netpoll.Write(c.fd, v.request)
	if err == nil && n < len(v.request) {
		err = errors.New("a socket takes no whole request")
	}
	if err != nil {
		return err
	}
	c.sent, c.asked = now, true
	v.said++
	return nil
}

// run fires for a while, then waits for the answers that are due.
func (v *volley) run(end int64) error {
	v.firing = true
	for i := range v.conns {
		if c := &v.conns[i]; !c.standby {
			if err := v.send(c, mono.Now()); err != nil {
				return err
			}
		}
	}
	grace := end + int64(5*time.Second)
	for now := mono.Now(); now < end || v.said > 0; {
		until := end
		if now >= end {
			until = grace
		}
		events, err := v.poller.Wait(until)
		if err != nil {
			return err
		}
		for _, e := range events {
			if err := v.event(e, end); err != nil {
				return err
			}
		}
		if now = mono.Now(); now >= grace {
			return fmt.Errorf("%d answers did not come within %v", v.said, 5*time.Second)
		}
	}
	return nil
}

func (v *volley) event(e netpoll.Event, end int64) error {
	c := &v.conns[e.Tag]
	if c.standby {
		return v.stands(c, e.Events)
	}
	if e.Events&^netpoll.Out == 0 {
		return nil
	}
	for {
		n, err := netpoll.Read(c.fd, v.in)
		switch {
		case errors.Is(err, netpoll.ErrAgain):
			return nil
		case errors.Is(err, io.EOF) || netpoll.Reset(err):
			return v.again(int(e.Tag), err)
		case err != nil:
			return err
		}
		if c.got += n; c.got > v.size {
			return fmt.Errorf("an answer of %d bytes is due, %d came", v.size, c.got)
		}
		if c.got == v.size {
			if err := v.answered(c, end); err != nil {
				return err
			}
		}
		if n < len(v.in) && e.Events&netpoll.RdHup == 0 {
			return nil
		}
	}
}

// answered counts an answer and asks again, until the end.
func (v *volley) answered(c *shooter, end int64) error {
	c.got, c.asked = 0, false
	v.said--
	now := mono.Now()
	if v.counting {
		v.answers++
		v.latencies = append(v.latencies, now-c.sent)
	}
	if now >= end {
		return nil
	}
	return v.send(c, now)
}

// again opens a connection that the server closed between requests, as some do after so many.
func (v *volley) again(i int, cause error) error {
	c := &v.conns[i]
	if c.got > 0 {
		return fmt.Errorf("connection closed within an answer: %w", cause)
	}
	if c.asked {
		v.said-- // it was not answered; the new connection sends it
	}
	v.reopened++
	_ = netpoll.Close(c.fd)
	c.fd = -1
	return v.connect(i)
}

func (v *volley) close() error {
	for _, c := range v.conns {
		if c.fd >= 0 {
			_ = netpoll.Abort(c.fd) // no port waits for what might still be under way
		}
	}
	return v.poller.Close()
}

// A firing is the arguments of one round.
type firing struct {
	Address     string
	Request     string
	Connections int
	PID         int // of the server, whose CPU time is read
	Warm, Run   time.Duration
}

// A volleyed is what came of it.
type volleyed struct {
	Answers            int
	Seconds            float64
	ServerCPU, LoadCPU float64 // s
	P50, P99           float64 // s
	Reopened           int
}

// fire runs one round.
func fire(ctx context.Context, f firing) (r volleyed, err error) {
	v, err := newVolley(ctx, f.Address, f.Connections, []byte(f.Request))
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, v.close()) }()
	if err := v.run(mono.Now() + int64(f.Warm)); err != nil {
		return r, err
	}
	v.counting = true
	server, load, start := processCPU(f.PID), mono.ThreadCPU(), mono.Now()
	if err := v.run(start + int64(f.Run)); err != nil {
		return r, err
	}
	r = volleyed{
		Answers: v.answers, Seconds: float64(mono.Now()-start) / 1e9, Reopened: v.reopened,
		ServerCPU: processCPU(f.PID) - server, LoadCPU: float64(mono.ThreadCPU()-load) / 1e9,
	}
	if v.answers == 0 {
		return r, errors.New("no answer came")
	}
	slices.Sort(v.latencies)
	r.P50, r.P99 = nanoQuantile(v.latencies, 0.5), nanoQuantile(v.latencies, 0.99)
	return r, nil
}

// nanoQuantile is a quantile of sorted times, in s.
func nanoQuantile(sorted []int64, q float64) float64 {
	return float64(sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]) / 1e9
}

// volleyPart is the clients of the benches of servers: it fires, and holds connections that do nothing.
func volleyPart(ctx context.Context) (duty, func() error, error) {
	runtime.LockOSThread()
	_ = mono.TimerSlack(1)
	held := &holding{}
	return duty{
		"fire":    take(func(f firing) (any, error) { return fire(ctx, f) }),
		"hold":    take(func(w wanted) (any, error) { return held.open(ctx, w) }),
		"ask":     take(func(w wanted) (any, error) { return held.ask(w) }),
		"alive":   func(json.RawMessage) (any, error) { return held.alive(), nil },
		"release": func(json.RawMessage) (any, error) { return nil, held.release() },
	}, func() error {
		err := held.release()
		runtime.UnlockOSThread()
		return err
	}, nil
}
