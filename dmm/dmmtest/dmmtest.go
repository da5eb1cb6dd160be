// Package dmmtest is the contract of every manipulated variable, whatever its manipulator and its triggers.
package dmmtest

import (
	"math"
	"sync"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
)

// Run tests, for each spec, that its deltas are what package dmm promises: in order, without gaps, ending at the
// multiples of the period, holding exactly what was written within their windows, and adding up to what was written,
// also when several participants or goroutines wrote; that a reader of the merged value misses no more than the trigger
// allows; and that what is no number is ignored and counted. The specs must take numbers.
func Run(t *testing.T, specs ...dmm.Spec) {
	for _, s := range specs {
		name := s.Manipulator
		if s.Sync != (dmm.Trigger{}) {
			name += " synchronised"
		}
		t.Run(name, func(t *testing.T) {
			if err := s.Check(); err != nil {
				t.Fatal(err)
			}
			c := &contract{spec: s}
			if s.Custom != nil {
				c.man = *s.Custom
			} else {
				var err error
				if c.man, err = dmm.Shipped().Lookup(s.Manipulator); err != nil {
					t.Fatal(err)
				}
			}
			t.Run("declaration", c.declaration)
			t.Run("windows", c.windows)
			t.Run("participants", c.participants)
			t.Run("goroutines", c.goroutines)
			t.Run("bounds", c.bounds)
			t.Run("shared", c.shared)
			t.Run("nonsense", c.nonsense)
			t.Run("no allocation", c.allocation)
			t.Run("nil", c.none)
		})
	}
}

type contract struct {
	spec dmm.Spec
	man  dmm.Manipulator
}

// sample is one write.
type sample struct {
	at dsv.Instant
	x  float64
}

// samples returns n writes at uneven instants, some of them together, some at the very ends of windows, with a silence.
func samples(n int, every time.Duration) []sample {
	step := dsv.Instant(max(every, 10*time.Millisecond))
	var ss []sample
	at := dsv.Instant(0)
	for i := range n {
		switch {
		case i == n/2:
			at += 5 * step
		case i%10 == 9:
			at = (at + step - 1) / step * step
		case i%7 != 0:
			at += step / 13
		}
		at = max(at, 1)
		ss = append(ss, sample{at, math.Round(1000*(2+math.Sin(float64(i)))) / 1000})
	}
	return ss
}

func (c *contract) open(t *testing.T, writer dsv.WriterID) *dmm.Set {
	t.Helper()
	set, err := dmm.NewSet(writer, 1, []dmm.Spec{c.spec})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// feed writes the samples as a driver would: it advances the set to each of its instants in turn.
func (c *contract) feed(set *dmm.Set, ss []sample) []dsv.Delta {
	var ds []dsv.Delta
	v := set.Var(c.spec.Name)
	for _, s := range ss {
		for set.Next() < s.at {
			set.Advance(set.Next())
			ds = set.Take(ds)
		}
		v.Write(s.at, s.x)
		ds = set.Take(ds)
	}
	set.Close(ss[len(ss)-1].at + 1)
	return set.Take(ds)
}

func (c *contract) declaration(t *testing.T) {
	if err := c.spec.Declaration("s", "for a test", true).Check(); err != nil {
		t.Error(err)
	}
}

func (c *contract) windows(t *testing.T) {
	ss := samples(200, c.spec.Sync.Every)
	set := c.open(t, 1)
	ds := c.feed(set, ss)
	last := ss[len(ss)-1].at + 1
	until, next := dsv.Instant(0), 0
	for i, d := range ds {
		if d.Name != c.spec.Name || d.Writer != 1 || d.Epoch != 1 || d.Seq != uint64(i+1) {
			t.Fatalf("delta %d is %+v", i, d)
		}
		if d.T0 != until || d.T1 < d.T0 {
			t.Fatalf("delta %d is of (%d, %d], want from %d", i, d.T0, d.T1, until)
		}
		until = d.T1
		if every := dsv.Instant(c.spec.Sync.Every); c.timed() && d.T1 != last && d.T1%every != 0 {
			t.Errorf("delta %d ends at %d, want a multiple of %d", i, d.T1, every)
		}
		next = c.within(t, ss, next, d)
	}
	if next != len(ss) {
		t.Errorf("deltas hold %d writes, want %d", next, len(ss))
	}
	c.same(t, c.read(t, ds), set.Var(c.spec.Name).Read())
}

// timed says whether time is all that triggers.
func (c *contract) timed() bool {
	return c.spec.Sync == dmm.Trigger{Every: c.spec.Sync.Every} && c.spec.Sync.Every > 0
}

// within checks that the delta holds the writes of its window, which begin with the next; it returns the one after.
func (c *contract) within(t *testing.T, ss []sample, next int, d dsv.Delta) int {
	t.Helper()
	n := next
	for n < len(ss) && ss[n].at <= d.T1 {
		n++
	}
	if !c.timed() && c.spec.Sync != (dmm.Trigger{}) {
		n = next + int(d.Weight) // several may have come at once, at the last instant
		if c.man.PerSecond {
			n = next + int(d.Value.Float)
		}
		if n > len(ss) || n > next && ss[n-1].at > d.T1 {
			t.Fatalf("delta of (%d, %d] holds %v writes, which are later", d.T0, d.T1, d.Weight)
		}
		return n
	}
	got := d.Weight
	if c.man.PerSecond {
		got = d.Value.Float
		if want := d.T1.Sub(d.T0).Seconds(); d.Weight != want {
			t.Errorf("delta of (%d, %d] has weight %v, want its seconds, %v", d.T0, d.T1, d.Weight, want)
		}
	}
	if got != float64(n-next) {
		t.Errorf("delta of (%d, %d] holds %v writes, want %d", d.T0, d.T1, got, n-next)
	}
	return n
}

// read merges deltas in a Store.
func (c *contract) read(t *testing.T, ds ...[]dsv.Delta) dsv.Value {
	t.Helper()
	s := dsv.NewStore(nil)
	defer s.Close()
	if err := s.Create(t.Context(), c.spec.Declaration("s", "for a test", true)); err != nil {
		t.Fatal(err)
	}
	for _, d := range ds {
		if err := s.Sync(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	r, err := s.Read(t.Context(), c.spec.Name)
	if err != nil {
		t.Fatal(err)
	}
	return r.Value
}

func (c *contract) same(t *testing.T, got, want dsv.Value) {
	t.Helper()
	if got.Kind == dsv.Float && want.Kind == dsv.Float && math.Abs(got.Float-want.Float) <= 1e-9*math.Abs(want.Float) {
		return
	}
	if !got.Equal(want) {
		t.Errorf("merged to %v, want %v", got, want)
	}
}

// participants checks that it does not matter who writes what.
func (c *contract) participants(t *testing.T) {
	if c.man.OneWriter || c.man.PerSecond {
		t.Skip("has one writer")
	}
	ss := samples(300, c.spec.Sync.Every)
	var parts [3][]sample
	for i, s := range ss {
		parts[i*i%7%3] = append(parts[i*i%7%3], s)
	}
	var ds [3][]dsv.Delta
	for i, p := range parts {
		ds[i] = c.feed(c.open(t, dsv.WriterID(i)), p)
	}
	c.same(t, c.read(t, ds[:]...), c.read(t, c.feed(c.open(t, 0), ss)))
}

// goroutines checks that nothing is lost, and nothing counted twice, when many write while another synchronises.
func (c *contract) goroutines(t *testing.T) {
	const writers, each = 4, 2000
	set := c.open(t, 1)
	v := set.Var(c.spec.Name)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				v.Write(dsv.Instant(i)*100_000+dsv.Instant(w), 1)
			}
		})
	}
	done := make(chan struct{})
	var ds []dsv.Delta
	var syncer sync.WaitGroup
	syncer.Go(func() {
		at := dsv.Instant(0)
		for {
			select {
			case <-done:
				return
			case <-set.Due():
			default:
			}
			at += 1_000_000
			set.Advance(min(at, each*100_000))
			ds = set.Take(ds)
			v.Read()
		}
	})
	wg.Wait()
	close(done)
	syncer.Wait()
	set.Close(each*100_000 + 1e9)
	ds = set.Take(ds)
	total := 0.0
	for i, d := range ds {
		if d.Seq != uint64(i+1) && i > 0 && ds[i-1].T1 > d.T1 {
			t.Fatalf("delta %d has seq %d", i, d.Seq)
		}
		if c.man.PerSecond {
			total += d.Value.Float
		} else {
			total += d.Weight
		}
	}
	if total != writers*each {
		t.Errorf("deltas hold %v writes, want %d", total, writers*each)
	}
}

func (c *contract) allocation(t *testing.T) {
	if c.spec.Sync.Count > 0 || c.spec.Sync.Change > 0 || c.spec.Sync.ChangeRelative > 0 || c.spec.Sync.Above != nil || c.spec.Sync.Below != nil {
		t.Skip("writes make deltas")
	}
	v := c.open(t, 1).Var(c.spec.Name)
	at := dsv.Instant(1)
	v.Write(at, 1.5)
	if n := testing.AllocsPerRun(1000, func() { at++; v.Write(at, 1.5) }); n != 0 {
		t.Errorf("a write allocates %v times", n)
	}
}

// none checks that a variable that is not measured costs no ifs.
func (c *contract) none(t *testing.T) {
	v := c.open(t, 1).Var("not.measured")
	v.Write(1, 1)
	v.WriteWeighted(1, 1, 1)
	v.WriteValue(1, dsv.TextValue("x"))
	v.Append(1, []byte("x"))
	if got := v.Read(); got.Kind != 0 {
		t.Errorf("nothing reads as %v", got)
	}
}
