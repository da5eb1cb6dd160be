package modules_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dmm/dmmtest"
	"github.com/eve-emulation/eve/dmm/recipe"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel"
	"github.com/eve-emulation/eve/evekernel/wire"
	"github.com/eve-emulation/eve/modules"
)

// inModule is a variable that a module's process manipulates.
type inModule struct {
	k    *evekernel.Kernel
	name dsv.Name
	env  *modules.Env
	v    *dmm.Var
	stop func() error
}

func (p *inModule) Write(x float64) error {
	p.v.Write(p.env.Now(), x)
	return nil
}

func (p *inModule) Read() (dsv.Reading, error) {
	return p.k.Space().Read(context.Background(), p.name)
}
func (p *inModule) Close() error { return p.stop() }

func openInModule(t *testing.T, k *evekernel.Kernel, spec dmm.Spec) dmmtest.Place {
	t.Helper()
	p := &inModule{k: k, name: spec.Name}
	ready := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	link := modules.Link{Name: "probe", URL: k.URL(), Token: k.Token()}
	go func() {
		done <- modules.Run(ctx, modules.Func(func(ctx context.Context, env *modules.Env) error {
			if err := env.Measure(spec); err != nil {
				return err
			}
			if err := env.Ready(ctx); err != nil {
				return err
			}
			p.env, p.v = env, env.Var(spec.Name)
			close(ready)
			<-ctx.Done()
			return nil
		}), link)
	}()
	var once sync.Once
	var ended error
	p.stop = func() error {
		once.Do(func() { cancel(); ended = <-done })
		return ended
	}
	t.Cleanup(func() { _ = p.stop() })
	select {
	case <-ready:
	case err := <-done:
		done <- err
		t.Fatal(err)
	}
	return p
}

// inKernel is a variable that the kernel manipulates and a participant writes.
type inKernel struct {
	k    *evekernel.Kernel
	name dsv.Name
	p    *modules.Proxy
	stop func()
}

func (p *inKernel) Write(x float64) error {
	_, err := p.p.Write(context.Background(), p.name, dsv.FloatValue(x))
	return err
}

func (p *inKernel) Read() (dsv.Reading, error) {
	return p.k.Space().Read(context.Background(), p.name)
}

func (p *inKernel) Close() error {
	p.stop()
	return nil
}

func openInKernel(t *testing.T, name dsv.Name, r dmm.Recipe) dmmtest.Place {
	t.Helper()
	k, err := evekernel.New(evekernel.Config{Lead: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Listen(); err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	end := running(t, k)
	stop := func() { once.Do(end) }
	t.Cleanup(func() {
		stop()
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
	begin(t, k)
	p := connect(t, modules.Link{Name: "probe", URL: k.URL(), Token: k.Token(), Coding: wire.CBOR})
	if err := p.Manipulate(t.Context(), dsv.Declaration{Name: name}, r); err != nil {
		t.Fatal(err)
	}
	return &inKernel{k: k, name: name, p: p, stop: stop}
}

// TestPlaces runs the contract of manipulators on every one, in a module and in the kernel.
func TestPlaces(t *testing.T) {
	guest, err := os.ReadFile("../dmm/wasm/testdata/ewma.wasm")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]dmm.Recipe{
		"expr": {Expr: "0.9*shadow + 0.1*sample"},
		"wasm": {Wasm: guest},
	}
	for _, m := range dmm.Shipped() {
		if m.Kind != dsv.Bytes {
			all[m.Name] = dmm.Recipe{Name: m.Name, Param: 0.25}
		}
	}
	for name, r := range all {
		for _, sync := range []dmm.Trigger{{Every: 20 * time.Millisecond}, {Count: 7}} {
			r.Sync = sync
			t.Run(fmt.Sprintf("%s %v", name, sync), func(t *testing.T) {
				made, err := recipe.Make(t.Context(), "probe.x", r, nil)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() {
					if err := made.Close(); err != nil {
						t.Error(err)
					}
				})
				t.Run("module", func(t *testing.T) {
					k, _ := open(t, evekernel.Config{Lead: time.Millisecond})
					if err := k.Hub().Expect("start", "probe"); err != nil {
						t.Fatal(err)
					}
					dmmtest.RunPlace(t, made.Spec, func(t *testing.T) dmmtest.Place { return openInModule(t, k, made.Spec) })
				})
				t.Run("kernel", func(t *testing.T) {
					dmmtest.RunPlace(t, made.Spec, func(t *testing.T) dmmtest.Place { return openInKernel(t, "probe.x", r) })
				})
			})
		}
	}
}

// TestScenarioManipulates has the scenario's recipes take the place of what a module asks for, guests included; a guest
// that fails is named, and the variable goes on as a last.
func TestScenarioManipulates(t *testing.T) {
	read := func(file string) []byte {
		b, err := os.ReadFile("../dmm/wasm/testdata/" + file)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	k, r := open(t, evekernel.Config{Lead: time.Millisecond})
	err := recipe.Publish(t.Context(), k.Space(), map[dsv.Name]dmm.Recipe{
		"probe.hist": {Name: "histogram"},
		"probe.expr": {Expr: "shadow + sample", Init: new(100.0)},
		"probe.wasm": {Wasm: read("ewma.wasm")},
		"probe.bad":  {Wasm: read("faults.wasm")},
		"probe.own":  {Name: "half"},
		"probe.far":  {Name: "mean"},
	})
	if err != nil {
		t.Fatal(err)
	}
	err = k.Manipulate(t.Context(), evekernel.Manipulation{ // behind the module's mean
		Declaration: dsv.Declaration{Name: "probe.far"}, Recipe: withCount(dmm.Recipe{Name: "max"}, 1), FromKind: dsv.Float, FromMerge: dsv.Mean,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Hub().Expect("start", "probe"); err != nil {
		t.Fatal(err)
	}
	half := dmm.Manipulator{Name: "half", Kind: dsv.Float, Merge: dsv.Sum, New: func(dmm.Spec) dmm.Shadow { return &halves{} }}
	link := modules.Link{Name: "probe", URL: k.URL(), Token: k.Token(), Manipulators: dmm.Registry{half}}
	names := []dsv.Name{"probe.hist", "probe.expr", "probe.wasm", "probe.bad", "probe.own", "probe.plain", "probe.far"}
	err = modules.Run(t.Context(), modules.Func(func(ctx context.Context, env *modules.Env) error {
		for _, n := range names {
			if err := env.Measure(dmm.Spec{Name: n, Manipulator: "count"}); err != nil {
				return err
			}
		}
		if err := env.Ready(ctx); err != nil {
			return err
		}
		for _, x := range []float64{4, 8, 16} {
			for _, n := range names {
				env.Var(n).Write(1, x)
			}
		}
		return nil // what is left is synchronised
	}), link)
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range map[dsv.Name]float64{
		"probe.expr": 128, "probe.wasm": (4*0.9+0.8)*0.9 + 1.6, "probe.bad": 16, "probe.own": 14, "probe.plain": 3,
	} {
		got, err := k.Space().Read(t.Context(), n)
		if x, _ := got.Value.Number(); err != nil || math.Abs(x-want) > 1e-12 {
			t.Errorf("%s: got %v, %v, want %v", n, x, err, want)
		}
	}
	if got, err := k.Space().Read(t.Context(), "probe.hist"); err != nil || got.Value.Hist.Count() != 3 {
		t.Errorf("probe.hist: got %+v, %v", got, err)
	}
	until(t, k.Space(), "probe.far", func(r dsv.Reading) bool { return math.Abs(r.Value.Float-28.0/3) < 1e-12 })
	for late := time.Now().Add(patience); !strings.Contains(r.log(), "probe: variable probe.bad goes on without its manipulator: "); time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatalf("nobody names the guest that failed:\n%s", r.log())
		}
	}
}

// halves adds up halves of samples.
type halves struct{ sum, n float64 }

func (h *halves) Write(x, _ float64) { h.sum, h.n = h.sum+x/2, h.n+1 }
func (h *halves) WriteValue(v dsv.Value) {
	if x, ok := v.Number(); ok {
		h.Write(x, 1)
	}
}

func (h *halves) Take() (dsv.Value, float64) {
	s, n := h.sum, h.n
	*h = halves{}
	return dsv.FloatValue(s), n
}

// TestManipulatedReconnect counts every write once, however often the connection is lost.
func TestManipulatedReconnect(t *testing.T) {
	const writes = 2000
	k, _ := open(t, evekernel.Config{})
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	r := newRelay(t, k.Addr().String())
	link := linkTo(k, wire.CBOR)
	link.Name, link.Dial = "writer", r.dial
	p := connect(t, link)
	if err := p.Manipulate(ctx, dsv.Declaration{Name: "writer.n"}, dmm.Recipe{Name: "count", Sync: dmm.Trigger{Every: 10 * time.Millisecond, Count: 50}}); err != nil {
		t.Fatal(err)
	}
	cutting, stop := context.WithCancel(ctx)
	defer stop()
	cut := make(chan struct{})
	go func() {
		defer close(cut)
		every := time.NewTicker(20 * time.Millisecond)
		defer every.Stop()
		for cutting.Err() == nil {
			r.cut()
			select {
			case <-every.C:
			case <-cutting.Done():
			}
		}
	}()
	var wg sync.WaitGroup
	failed := make(chan error, 4)
	for range 4 {
		wg.Go(func() {
			var errs []error
			for range writes / 4 {
				_, err := p.Write(ctx, "writer.n", dsv.FloatValue(1))
				errs = append(errs, err)
			}
			failed <- errors.Join(errs...)
		})
	}
	wg.Wait()
	stop()
	<-cut
	for range 4 {
		if err := <-failed; err != nil {
			t.Fatal(err)
		}
	}
	got := until(t, k.Space(), "writer.n", func(r dsv.Reading) bool { return r.Value.Int >= writes })
	if got.Value.Int != writes || r.cuts < 3 {
		t.Errorf("got %d of %d writes after %d cuts", got.Value.Int, writes, r.cuts)
	}
}
