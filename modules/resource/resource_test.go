package resource_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/dsv/dsvbolt"
	"github.com/eve-emulation/eve/evekernel"
	"github.com/eve-emulation/eve/evekernel/egs"
	"github.com/eve-emulation/eve/modules"
	"github.com/eve-emulation/eve/modules/resource"
	"github.com/eve-emulation/eve/modules/resource/resourcetest"
)

// TestMain lets the test's own program be a module of a test.
func TestMain(m *testing.M) {
	if kind := os.Getenv("EVE_KIND"); kind != "" {
		kinds, err := modules.NewRegistry(resource.ManagerSpec, resource.AskerSpec)
		if err == nil {
			err = modules.Main(context.Background(), kinds, kind, os.Getenv("EVE_MODULE"), os.Getenv)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

const patience = 60 * time.Second

// A market is a kernel with managers and askers.
type market struct {
	t *testing.T
	k *evekernel.Kernel
}

// A member is one module of a market.
type member struct {
	name   string
	spec   modules.Spec
	config string
	own    bool // in a process of its own
}

func manager(name, config string) member { return member{name, resource.ManagerSpec, config, false} }

func asker(name, config string) member { return member{name, resource.AskerSpec, config, false} }

// apart has a member run in a process of its own.
func apart(m member) member {
	m.own = true
	return m
}

// module is how a kernel starts a member.
func (m member) module(t *testing.T) evekernel.ModuleSpec {
	t.Helper()
	s := evekernel.ModuleSpec{Name: m.name, Kind: m.spec.Name, Config: []byte(m.config), ReadyTimeout: patience}
	if m.own {
		exe, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		s.Argv, s.Env = []string{exe}, []string{"PATH=" + os.Getenv("PATH"), "GOCOVERDIR=" + os.Getenv("GOCOVERDIR")}
		return s
	}
	s.Func = func(ctx context.Context, r evekernel.Reach) error {
		return modules.Run(ctx, m.spec.New(), modules.Link{Name: r.Name, URL: r.URL, Token: r.Token, Dial: r.Dial})
	}
	return s
}

func open(t *testing.T, members ...member) *market {
	t.Helper()
	db, err := dsvbolt.Create(filepath.Join(t.TempDir(), "run.db"))
	if err != nil {
		t.Fatal(err)
	}
	m := &market{t: t}
	k, err := evekernel.New(evekernel.Config{
		Recorder: db, Lead: 10 * time.Millisecond,
		Log: func(l evekernel.Line) { t.Log(l.Module, l.Text) },
	})
	if err == nil {
		err = k.Listen()
	}
	if err != nil {
		t.Fatal(err)
	}
	m.k = k
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- k.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run kernel: %v", err)
		}
		if err := k.Close(); err != nil {
			t.Errorf("close kernel: %v", err)
		}
		if err := db.Close(); err != nil {
			t.Errorf("close file: %v", err)
		}
	})
	var names []string
	for _, x := range members {
		names = append(names, x.name)
	}
	if err := k.Hub().Expect(egs.StartBarrier, names...); err != nil {
		t.Fatal(err)
	}
	for _, x := range members {
		err := k.Start(t.Context(), x.module(t))
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := k.Hub().Await(t.Context(), egs.StartBarrier); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *market) count(n dsv.Name) float64 {
	m.t.Helper()
	r, err := m.k.Space().Read(m.t.Context(), n)
	if err != nil {
		return 0 // nothing was counted
	}
	x, _ := r.Value.Number()
	return x
}

// settled waits until an asker has counted so many outcomes.
func (m *market) settled(name string, n int) {
	m.t.Helper()
	for late := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		got := m.count(dsv.Name(name+".granted")) + m.count(dsv.Name(name+".refused"))
		if got >= float64(n) {
			return
		}
		if time.Now().After(late) {
			m.t.Fatalf("%s has %v outcomes, want %d", name, got, n)
		}
	}
}

// read reads all values of a variable.
func (m *market) read(n dsv.Name, fn func(string) error) error {
	for cursor := uint64(0); ; {
		page, err := m.k.Space().History(context.Background(), dsv.HistoryRequest{Name: n, From: -1, Cursor: cursor})
		if err != nil {
			return err
		}
		for _, d := range page.Deltas {
			if err := fn(d.Value.Text); err != nil {
				return err
			}
		}
		if cursor = page.Cursor; !page.More {
			return nil
		}
	}
}

// audit checks the books, and that the counts say the same.
func (m *market) audit(askers, managers, dead []string) resourcetest.Books {
	m.t.Helper()
	b, err := resourcetest.Audit(m.read, askers, managers, dead)
	if err != nil {
		m.t.Error(err)
	}
	var requests, granted, refused float64
	for _, name := range askers {
		requests += m.count(dsv.Name(name + ".requests"))
		granted += m.count(dsv.Name(name + ".granted"))
		refused += m.count(dsv.Name(name + ".refused"))
	}
	if requests != granted+refused || int(requests) != b.Requests || int(granted) != b.Outcomes["granted"] {
		m.t.Errorf("%v requests, %v granted, %v refused are counted, the records are %+v", requests, granted, refused, b)
	}
	return b
}

// TestMarket runs three managers and two askers, one of them on a manager's host, for every criterion. One manager joins
// late and one leaves in mid-run: every request is granted by exactly one of them, or refused for a reason.
func TestMarket(t *testing.T) {
	for _, choose := range []resource.Criterion{resource.First, resource.Cheapest, resource.MostFree, resource.Near} {
		t.Run(string(choose), func(t *testing.T) {
			t.Parallel()
			const requests = 90
			demand := fmt.Sprintf(`"rate": 60, "count": %d, "amount": 1, "most": 3, "hold": 25000000, "deadline": 2000000000,
				"choose": %q, "near": "south"`, requests, choose)
			m := open(t,
				manager("one", `{"capacity": 6, "cost": 3, "location": "north", "own": {`+demand+`}}`),
				manager("two", `{"capacity": 10, "cost": 1, "location": "south", "leave": 500000000}`),
				manager("three", `{"capacity": 6, "cost": 2, "join": 200000000}`),
				asker("guest", `{`+demand+`}`),
			)
			m.settled("one", requests)
			m.settled("guest", requests)
			if err := m.k.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
			got := m.audit([]string{"one", "guest"}, []string{"one", "two", "three"}, nil)
			t.Log(got, "spared", m.count("guest.spared"), "asked", m.count("guest.asked"))
			for _, n := range []dsv.Name{"one.grants", "two.grants", "three.grants", "guest.spared", "guest.granted"} {
				if m.count(n) == 0 {
					t.Errorf("%s is 0", n)
				}
			}
		})
	}
}

// TestNobody checks that a request which no manager can meet is refused at once, and costs no message.
func TestNobody(t *testing.T) {
	m := open(t,
		manager("one", `{"capacity": 2}`),
		asker("guest", `{"rate": 1000, "count": 20, "amount": 3, "deadline": 30000000000}`),
	)
	m.settled("guest", 20)
	if err := m.k.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := m.audit([]string{"guest"}, []string{"one"}, nil)
	if got.Outcomes[string(resource.Nobody)] != 20 || m.count("guest.asked") != 0 || m.count("guest.spared") != 20 {
		t.Errorf("outcomes are %v, %v messages were sent, %v spared, want 20 refused, none sent, 20 spared",
			got, m.count("guest.asked"), m.count("guest.spared"))
	}
}

// TestKilledManager kills a manager by kill -9 while offers stand and grants are in use: those whose offers it made take
// another one or are refused, and nobody is granted anything twice by those that live.
func TestKilledManager(t *testing.T) {
	const requests = 300
	demand := fmt.Sprintf(`"rate": 300, "count": %d, "amount": 1, "most": 3, "hold": 30000000, "deadline": 300000000, "choose": "cheapest"`, requests)
	m := open(t,
		manager("one", `{"capacity": 6, "cost": 3}`),
		apart(manager("two", `{"capacity": 10, "cost": 1}`)),
		apart(asker("guest", `{`+demand+`}`)),
	)
	m.settled("guest", requests/3)
	pid, err := m.k.Space().Read(t.Context(), "eve.modules.two.pid")
	if err != nil {
		t.Fatal(err)
	}
	before := m.count("guest.granted")
	if err := syscall.Kill(int(pid.Value.Int), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	m.settled("guest", requests)
	if err := m.k.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := m.audit([]string{"guest"}, []string{"one"}, []string{"two"}) // two's own ledger may say what nobody was told
	if got.Requests != requests || got.Granted["two"] == 0 || got.Granted["one"] == 0 || m.count("guest.granted") <= before {
		t.Errorf("the records are %+v, %v granted before two died, %v at the end", got, before, m.count("guest.granted"))
	}
	if i, err := m.k.Space().Info(t.Context(), "two.grants"); err != nil || len(i.Losses) != 1 || i.Losses[0].Module != "two" {
		t.Errorf("two.grants misses %+v (error %v), want what two did not synchronise", i.Losses, err)
	}
}
