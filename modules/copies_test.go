package modules_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/dsv/dsvtest"
	"github.com/eve-emulation/eve/evekernel"
	"github.com/eve-emulation/eve/evekernel/wire"
	"github.com/eve-emulation/eve/modules"
)

// frequent is a Proxy whose reads are of a copy, as soon as there can be one.
type frequent struct{ *modules.Proxy }

func (f frequent) Read(ctx context.Context, n dsv.Name) (dsv.Reading, error) {
	for range 100 {
		if r, err := f.Proxy.Read(ctx, n); err != nil {
			return r, err
		}
		i, err := f.Info(ctx, n)
		if err != nil || i.Age > 0 {
			break
		}
	}
	return f.Proxy.Read(ctx, n)
}

func TestCopiesAreASpace(t *testing.T) {
	for _, c := range codings() {
		t.Run(c.String(), func(t *testing.T) {
			dsvtest.Run(t, func(t *testing.T) dsv.Space {
				k, _ := open(t, evekernel.Config{})
				return frequent{connect(t, linkTo(k, c))}
			})
		})
	}
}

// copied reads x until it is read from a copy.
func copied(t *testing.T, p *modules.Proxy, n dsv.Name) {
	t.Helper()
	for late := time.Now().Add(patience); time.Now().Before(late); {
		if _, err := p.Read(t.Context(), n); err != nil {
			t.Fatal(err)
		}
		i, err := p.Info(t.Context(), n)
		if err != nil {
			t.Fatal(err)
		}
		if i.Age > 0 {
			return
		}
	}
	t.Fatalf("no copy of %s", n)
}

func newInt(t *testing.T, k *evekernel.Kernel, n dsv.Name) {
	t.Helper()
	if err := k.Space().Create(t.Context(), dsv.Declaration{Name: n, Kind: dsv.Int, Merge: dsv.Sum}); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Space().Write(t.Context(), n, dsv.IntValue(0)); err != nil {
		t.Fatal(err)
	}
}

// TestCopy checks that what is read often is read here, follows what others write, is never older than what this process
// wrote, and goes with the connection.
func TestCopy(t *testing.T) {
	k, _ := open(t, evekernel.Config{})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	newInt(t, k, "x")
	r := newRelay(t, k.Addr().String())
	link := linkTo(k, wire.CBOR)
	link.Dial = r.dial
	p := connect(t, link)
	copied(t, p, "x")
	if got := testing.AllocsPerRun(100, func() {
		if _, err := p.Read(ctx, "x"); err != nil {
			t.Fatal(err)
		}
	}); got != 0 {
		t.Errorf("a read of a copy allocates %v times", got)
	}
	if _, err := k.Space().Write(ctx, "x", dsv.IntValue(7)); err != nil {
		t.Fatal(err)
	}
	if got, err := p.ReadFresh(ctx, "x"); err != nil || got.Value.Int != 7 {
		t.Fatalf("the kernel has %v (error %v), want 7", got.Value, err)
	}
	for got := int64(0); got != 7; {
		r, err := p.Read(ctx, "x")
		if err != nil {
			t.Fatalf("the copy does not follow: %d, error %v", got, err)
		}
		got = r.Value.Int
	}
	for _, c := range []struct {
		name string
		do   func(i int64) error
	}{
		{"write", func(i int64) error { _, err := p.Write(ctx, "x", dsv.IntValue(i)); return err }},
		{"test and set", func(i int64) error {
			have, err := p.ReadFresh(ctx, "x")
			if err == nil {
				_, err = p.TestAndSet(ctx, "x", have.Revision, dsv.IntValue(i))
			}
			return err
		}},
		{"sync", func(i int64) error {
			have, err := p.ReadFresh(ctx, "x")
			if err != nil {
				return err
			}
			d := dsv.Delta{Name: "x", Writer: 9, Seq: uint64(i), Value: dsv.IntValue(i - have.Value.Int), Weight: 1}
			return p.Sync(ctx, []dsv.Delta{d})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for i := range int64(100) {
				if err := c.do(i + 1); err != nil {
					t.Fatal(err)
				}
				for range 2 {
					if r, err := p.Read(ctx, "x"); err != nil || r.Value.Int != i+1 {
						t.Fatalf("after %s of %d: %v (error %v)", c.name, i+1, r.Value, err)
					}
				}
			}
		})
	}
	copied(t, p, "x")
	r.stop()
	if _, err := k.Space().Write(ctx, "x", dsv.IntValue(-1)); err != nil {
		t.Fatal(err)
	}
	r.resume(k.Addr().String())
	if _, err := p.ReadFresh(ctx, "x"); err != nil { // the new connection
		t.Fatal(err)
	}
	if got, err := p.Read(ctx, "x"); err != nil || got.Value.Int != -1 {
		t.Errorf("after another connection: %v (error %v), want -1", got.Value, err)
	}
	copied(t, p, "x")
	if err := k.Space().Delete(ctx, "x"); err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := p.Read(ctx, "x"); errors.Is(err, dsv.ErrNotFound) {
			break
		} else if err != nil {
			t.Fatalf("read what was deleted: %v", err)
		}
	}
}

// TestCopiesConcurrently checks that readers of a copy which is written here and elsewhere never see it go back.
func TestCopiesConcurrently(t *testing.T) {
	k, _ := open(t, evekernel.Config{})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	newInt(t, k, "x")
	p := connect(t, linkTo(k, wire.CBOR))
	copied(t, p, "x")
	const writes = 500
	var wg sync.WaitGroup
	for w := range 2 {
		space := []dsv.Space{p, k.Space()}[w]
		wg.Go(func() {
			for seq := range uint64(writes) {
				d := dsv.Delta{Name: "x", Writer: dsv.WriterID(20 + w), Seq: seq + 1, Value: dsv.IntValue(1), Weight: 1}
				if err := space.Sync(ctx, []dsv.Delta{d}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 2 {
		wg.Go(func() {
			for last := int64(0); last < 2*writes && ctx.Err() == nil; {
				r, err := p.Read(ctx, "x")
				if err != nil || r.Value.Int < last {
					t.Errorf("%d after %d (error %v)", r.Value.Int, last, err)
					return
				}
				last = r.Value.Int
			}
		})
	}
	wg.Wait()
}

// TestManyCalls checks that many callers of one Proxy each get their own answer, and that a lone one costs one message.
func TestManyCalls(t *testing.T) {
	for _, c := range []wire.Coding{wire.CBOR, wire.JSON} {
		t.Run(c.String(), func(t *testing.T) {
			k, _ := open(t, evekernel.Config{})
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			p := connect(t, linkTo(k, c))
			var wg sync.WaitGroup
			for i := range 32 {
				n := dsv.Name(fmt.Sprintf("v%d", i))
				if err := p.Create(ctx, dsv.Declaration{Name: n, Kind: dsv.Int, Merge: dsv.Sum}); err != nil {
					t.Fatal(err)
				}
				wg.Go(func() {
					for j := range int64(50) {
						d := dsv.Delta{Name: n, Writer: 3, Seq: uint64(j + 1), Value: dsv.IntValue(int64(i)), Weight: 1}
						if err := p.Sync(ctx, []dsv.Delta{d}); err != nil {
							t.Error(err)
						}
						if r, err := p.ReadFresh(ctx, n); err != nil || r.Value.Int != (j+1)*int64(i) {
							t.Errorf("%s is %v (error %v), want %d", n, r.Value, err, (j+1)*int64(i))
							return
						}
					}
				})
			}
			wg.Wait()
		})
	}
}

// TestSyncErrors checks that the errors of one batch are told to its caller, and to no other whose batch was acknowledged
// with it.
func TestSyncErrors(t *testing.T) {
	k, _ := open(t, evekernel.Config{})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	p := connect(t, linkTo(k, wire.CBOR))
	if err := p.Create(ctx, dsv.Declaration{Name: "x", Kind: dsv.Int, Merge: dsv.Sum}); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			for seq := range uint64(50) {
				good := dsv.Delta{Name: "x", Writer: dsv.WriterID(w + 1), Seq: seq + 1, Value: dsv.IntValue(1), Weight: 1}
				bad := good
				bad.Name = "absent"
				ds, want := []dsv.Delta{good}, error(nil)
				if w%2 == 1 {
					ds, want = []dsv.Delta{bad, good}, dsv.ErrNotFound
				}
				if err := p.Sync(ctx, ds); !errors.Is(err, want) || (err == nil) != (want == nil) {
					t.Errorf("sync: %v, want %v", err, want)
				}
			}
		})
	}
	wg.Wait()
	if r, err := p.ReadFresh(ctx, "x"); err != nil || r.Value.Int != 16*50 {
		t.Errorf("x is %v (error %v), want %d", r.Value, err, 16*50)
	}
}
