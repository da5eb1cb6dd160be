package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel"
	"github.com/eve-emulation/eve/evekernel/egs"
	"github.com/eve-emulation/eve/fase/adapt"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/user"
	"github.com/eve-emulation/eve/modules"
	"github.com/eve-emulation/eve/modules/client"
	"github.com/eve-emulation/eve/rdr"
)

// site is a server that answers everything, and remembers where connections come from.
type site struct {
	http http.Server
	addr string
	done chan error

	mu   sync.Mutex
	from map[string]int
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	s.mu.Lock()
	s.from[host]++
	s.mu.Unlock()
	w.WriteHeader(http.StatusOK)
}

func newSite(t *testing.T) *site {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &site{addr: l.Addr().String(), done: make(chan error, 1), from: map[string]int{}}
	s.http.Handler = s
	go func() { s.done <- s.http.Serve(l) }()
	return s
}

func (s *site) close() {
	_ = s.http.Close()
	<-s.done
}

// bed is a run of one group's modules inside the test's process, against a site.
type bed struct {
	t      *testing.T
	kernel *evekernel.Kernel
	plan   *scenario.Plan
	site   *site
	failed chan evekernel.ModuleEvent
}

// begin starts all processes of the group crowd, which is as group says.
func begin(t *testing.T, group string) *bed {
	t.Helper()
	plan, err := scenario.Load("small.yaml", []byte(`eve: 1
name: small
duration: 2s
seed: 2
requests: |
  request page { call web { cpu 1ms } }
servers: {one: {run: hold}}
services: {web: {on: [one]}}
clients:
  crowd: `+group+"\n"), scenario.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := &bed{t: t, plan: plan, site: newSite(t), failed: make(chan evekernel.ModuleEvent, 16)}
	b.kernel, err = evekernel.New(evekernel.Config{Run: "test", OnModule: func(e evekernel.ModuleEvent) {
		if e.State == evekernel.Failed {
			b.failed <- e
		}
	}})
	b.check(err)
	b.check(b.kernel.Listen())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.kernel.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-done, b.kernel.Close()); err != nil {
			t.Errorf("kernel: %v", err)
		}
		b.site.close()
		goleak.VerifyNone(t)
	})
	space := b.kernel.Space()
	for _, d := range plan.Declarations() {
		b.check(space.Create(t.Context(), d))
	}
	b.check(scenario.Publish(t.Context(), space, plan))
	m := plan.Mappings()[0]
	m.Replicas[0].Address = b.site.addr
	_, err = space.Write(t.Context(), service.MapName("web"), dsv.TextValue(m.Encode()))
	b.check(err)
	names := plan.Clients[0].Processes()
	b.check(b.kernel.Hub().Expect(egs.StartBarrier, names...))
	for part, name := range names {
		raw, err := json.Marshal(client.ModuleConfig{Group: "crowd", Part: part})
		b.check(err)
		b.check(b.kernel.Start(t.Context(), evekernel.ModuleSpec{
			Name: name, Kind: client.Spec.Name, Config: raw, Func: func(ctx context.Context, r evekernel.Reach) error {
				return modules.Run(ctx, client.Spec.New(), modules.Link{Name: r.Name, URL: r.URL, Token: r.Token, Dial: r.Dial})
			},
		}))
	}
	return b
}

func (b *bed) check(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// each hands in the updates of a variable until it says that it has enough.
func (b *bed) each(name string, enough func(dsv.Update) bool) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 20*time.Second)
	defer cancel()
	w, err := b.kernel.Space().Watch(ctx, dsv.WatchRequest{Pattern: name, Mode: dsv.All})
	b.check(err)
	defer w.Close()
	for {
		u, err := w.Next(ctx)
		if err != nil {
			b.t.Fatalf("wait for %s: %v", name, err)
		}
		if enough(u) {
			return
		}
	}
}

// count is the present value of a counter.
func (b *bed) count(name dsv.Name) float64 {
	b.t.Helper()
	r, err := b.kernel.Space().Read(b.t.Context(), name)
	if errors.Is(err, dsv.ErrUnset) {
		return 0
	}
	b.check(err)
	x, _ := r.Value.Number()
	return x
}

// generators waits for the end and returns what each process cost; that none has failed.
func (b *bed) generators() []runs.Generator {
	b.t.Helper()
	list := make([]runs.Generator, b.plan.Clients[0].Parts)
	for part := range list {
		b.each(string(runs.GeneratorName("crowd", part)), func(u dsv.Update) bool {
			return json.Unmarshal([]byte(u.Reading.Value.Text), &list[part]) == nil
		})
	}
	b.check(b.kernel.Stop(b.t.Context(), b.plan.Clients[0].Processes()...))
	select {
	case e := <-b.failed:
		b.t.Errorf("module %s: %s", e.Name, e.Status)
	default:
	}
	return list
}

// records begins to watch the group's records. The function, called when the group has ended, returns all of them.
func (b *bed) records() func() []user.Record {
	b.t.Helper()
	w, err := b.kernel.Space().Watch(b.t.Context(), dsv.WatchRequest{Pattern: "crowd.records", Mode: dsv.All})
	b.check(err)
	return func() (list []user.Record) {
		b.t.Helper()
		defer w.Close()
		for all := int(b.count("crowd.requests")); len(list) < all; {
			u, err := w.Next(b.t.Context())
			b.check(err)
			for r := range dmm.Records(u.Reading.Value.Bytes) {
				list = append(list, user.DecodeRecord(r))
			}
		}
		return list
	}
}

// TestPartsChangeTogether sets the rate of a group of two processes: all arrivals of both are where one process would have
// them, to the nanosecond. A process that heard of it too late says so.
func TestPartsChangeTogether(t *testing.T) {
	b := begin(t, "{request: page, arrive: constant, rate: 50/s, processes: 2, sources: [127.0.0.7, 127.0.0.8]}")
	cfg := b.plan.Clients[0]
	number := map[rdr.Key]uint64{}
	for n := range uint64(1000) {
		number[cfg.Key(n, 0)] = n
	}
	records := b.records()
	b.each("crowd.requests", func(u dsv.Update) bool { x, _ := u.Reading.Value.Number(); return x >= 10 })
	_, err := b.kernel.Space().Write(t.Context(), "crowd.rate", dsv.FloatValue(200))
	b.check(err)
	set, err := b.kernel.Space().Read(t.Context(), "crowd.rate")
	b.check(err)
	list := b.generators()
	told := slices.ContainsFunc(list, func(g runs.Generator) bool {
		return slices.ContainsFunc(g.Messages, func(m string) bool { return strings.Contains(m, "crowd.rate by") })
	})

	change := set.T1.Add(adapt.Notice)
	due := func(n uint64) dsv.Instant {
		at := dsv.Instant(float64(n+1) / 50 * 1e9)
		if at > change {
			at = change + dsv.Instant((float64(n+1)-50*change.Seconds())/200*1e9)
		}
		return at
	}
	after, off := [2]int{}, 0
	for _, x := range records() {
		n, ok := number[x.Key]
		if !ok {
			t.Fatalf("a request of key %016x is none of the plan", x.Key)
		}
		if x.Due > change {
			after[n%2]++
		}
		if d := x.Due - due(n); d < -2 || d > 2 {
			off++
		}
	}
	if after[0] == 0 || after[1] == 0 {
		t.Errorf("got %v requests of the two processes after the change, want some of each", after)
	}
	if (off > 0) != told {
		t.Errorf("%d requests are due at another instant than in one process; that it was late was told: %v", off, told)
	}
	b.site.mu.Lock()
	defer b.site.mu.Unlock()
	if len(b.site.from) != 2 || b.site.from["127.0.0.7"] == 0 || b.site.from["127.0.0.8"] == 0 {
		t.Errorf("requests come from %v, want both of the addresses that the scenario names", b.site.from)
	}
}

// TestServerIsLost closes the server in the run: what is asked of it from then on has failed by its cause, and the group goes on.
func TestServerIsLost(t *testing.T) {
	b := begin(t, "{request: page, arrive: constant, rate: 200/s}")
	b.each("crowd.requests", func(u dsv.Update) bool { x, _ := u.Reading.Value.Number(); return x >= 20 })
	_ = b.site.http.Close()
	b.generators()
	issued, requests, errs := b.count("crowd.issued"), b.count("crowd.requests"), b.count("crowd.errors")
	if issued != 399 || requests != issued {
		t.Errorf("got %v issued and %v ended, want all 399", issued, requests)
	}
	if refused := b.count("crowd.errors_refused"); refused == 0 || errs < refused || errs >= requests {
		t.Errorf("got %v errors of %v requests, %v of them refused; want some refused, and some answered", errs, requests, refused)
	}
}

// TestUsersArrive sets the users of a closed group: there are more requests than the one of before can make in the whole run.
func TestUsersArrive(t *testing.T) {
	b := begin(t, "{request: page, users: 1, think: 20ms}")
	b.each("crowd.requests", func(u dsv.Update) bool { x, _ := u.Reading.Value.Number(); return x >= 3 })
	_, err := b.kernel.Space().Write(t.Context(), "crowd.users", dsv.FloatValue(50))
	b.check(err)
	b.each("crowd.requests", func(u dsv.Update) bool { x, _ := u.Reading.Value.Number(); return x >= 250 })
	b.generators()
	if errs := b.count("crowd.errors"); errs != 0 {
		t.Errorf("got %v errors", errs)
	}
}
