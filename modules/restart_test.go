package modules_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/dsv/dsvbolt"
	"github.com/eve-emulation/eve/evekernel"
	"github.com/eve-emulation/eve/evekernel/egs"
	"github.com/eve-emulation/eve/evekernel/wire"
	"github.com/eve-emulation/eve/modules"
)

// asMortal runs a kernel on a file until it is killed.
func asMortal() int {
	err := func() error {
		path := os.Getenv("EVE_TEST_DB")
		db, err := dsvbolt.Open(path, false)
		if errors.Is(err, os.ErrNotExist) {
			db, err = dsvbolt.Create(path)
		}
		if err != nil {
			return err
		}
		k, err := evekernel.New(evekernel.Config{
			Recorder: db, Restore: db, Token: os.Getenv("EVE_TEST_TOKEN"),
			Log: func(l evekernel.Line) { fmt.Println(l.Module, l.Text) },
		})
		if err == nil {
			err = k.Listen()
		}
		if err == nil {
			err = k.Hub().Expect(egs.StartBarrier, "early")
		}
		if err != nil {
			return err
		}
		fmt.Println(k.URL())
		return k.Run(context.Background())
	}()
	fmt.Println(err)
	return 1
}

// A mortal is a kernel in a process of its own, on a file, that is killed and started again.
type mortal struct {
	t    *testing.T
	path string
	cmd  *exec.Cmd
	url  string
	read sync.WaitGroup

	mu  sync.Mutex
	log []string
}

const mortalToken = "the token of a kernel that is killed"

func newMortal(t *testing.T) *mortal {
	t.Helper()
	return newMortalAt(t, filepath.Join(t.TempDir(), "run.db"))
}

func newMortalAt(t *testing.T, path string) *mortal {
	t.Helper()
	m := &mortal{t: t, path: path}
	t.Cleanup(m.kill)
	m.start()
	return m
}

func (m *mortal) start() {
	m.t.Helper()
	exe, err := os.Executable()
	if err != nil {
		m.t.Fatal(err)
	}
	m.cmd = exec.Command(exe)
	m.cmd.Env = append(os.Environ(), "EVE_TEST_ROLE=mortal", "EVE_TEST_DB="+m.path, "EVE_TEST_TOKEN="+mortalToken)
	m.cmd.Stderr = os.Stderr
	out, err := m.cmd.StdoutPipe()
	if err != nil {
		m.t.Fatal(err)
	}
	if err := m.cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() || !strings.HasPrefix(lines.Text(), "ws://") || m.url != "" && m.url != lines.Text() {
		m.t.Fatalf("the kernel, which was at %q, says %q", m.url, lines.Text())
	}
	m.url = lines.Text()
	m.read.Go(func() {
		for lines.Scan() {
			m.mu.Lock()
			m.log = append(m.log, lines.Text())
			m.mu.Unlock()
		}
	})
}

// kill ends the kernel by kill -9.
func (m *mortal) kill() {
	if m.cmd == nil {
		return
	}
	_ = m.cmd.Process.Kill()
	m.read.Wait()
	_ = m.cmd.Wait()
	m.cmd = nil
}

func (m *mortal) link(name string) modules.Link {
	return modules.Link{Name: name, URL: m.url, Token: mortalToken}
}

// revisions checks that no revision stands for two changes.
type revisions struct {
	mu   sync.Mutex
	seen map[dsv.Revision]string
}

func (r *revisions) take(t *testing.T, rev dsv.Revision, change string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if had, ok := r.seen[rev]; ok && had != change {
		t.Errorf("revision %d is %s and %s", rev, had, change)
	}
	r.seen[rev] = change
}

// A survivor writes without end, whatever becomes of the kernel, and counts what was acknowledged.
type survivor struct {
	p       *modules.Proxy
	revs    *revisions
	name    dsv.Name
	durable bool
	acked   atomic.Int64
	checks  atomic.Int64 // raised when the kernel was killed: what it has is looked at
}

// write writes whole values.
func (s *survivor) write(ctx context.Context, t *testing.T) {
	var last dsv.Revision
	for checked := int64(0); ctx.Err() == nil; {
		if n := s.checks.Load(); s.durable && n != checked {
			s.holds(t)
			checked = n
		}
		next := s.acked.Load() + 1
		rev, err := s.p.Write(context.WithoutCancel(ctx), s.name, dsv.IntValue(next))
		if err != nil || rev <= last {
			t.Errorf("write %d to %s: revision %d after %d (error %v)", next, s.name, rev, last, err)
			return
		}
		s.revs.take(t, rev, fmt.Sprintf("%s=%d", s.name, next))
		last = rev
		s.acked.Store(next)
	}
}

// count sends deltas, each of them one more.
func (s *survivor) count(ctx context.Context, t *testing.T) {
	w, err := s.p.Welcome(ctx)
	if err != nil {
		t.Error(err)
		return
	}
	for checked := int64(0); ctx.Err() == nil; {
		if n := s.checks.Load(); s.durable && n != checked {
			s.holds(t)
			checked = n
		}
		seq := uint64(s.acked.Load() + 1)
		d := dsv.Delta{
			Name: s.name, Writer: dsv.WriterID(w.Writer), Epoch: uint32(w.Epoch), Seq: seq,
			T0: dsv.Instant(seq) - 1, T1: dsv.Instant(seq), Value: dsv.IntValue(1), Weight: 1,
		}
		if err := s.p.Sync(context.WithoutCancel(ctx), []dsv.Delta{d}); err != nil {
			t.Errorf("delta %d of %s: %v", seq, s.name, err)
			return
		}
		s.acked.Store(int64(seq))
	}
}

// holds checks that everything acknowledged is there.
func (s *survivor) holds(t *testing.T) {
	r, err := s.p.ReadFresh(context.Background(), s.name)
	if acked := s.acked.Load(); err != nil && acked > 0 || r.Value.Int < acked {
		t.Errorf("%s is %d (error %v), %d was acknowledged", s.name, r.Value.Int, err, acked)
	}
}

// follow watches all changes; where it is told of a gap it begins again.
func follow(ctx context.Context, t *testing.T, p *modules.Proxy, revs *revisions, gaps *atomic.Int64) {
	for ctx.Err() == nil {
		w, err := p.Watch(ctx, dsv.WatchRequest{Pattern: "kept.*", Mode: dsv.All})
		if err != nil {
			if ctx.Err() == nil {
				t.Errorf("watch: %v", err)
			}
			return
		}
		for last := dsv.Revision(0); ; {
			u, err := w.Next(ctx)
			if err != nil || u.Gap != 0 {
				if u.Gap != 0 {
					gaps.Add(1)
				} else if ctx.Err() == nil {
					t.Errorf("watch: %v", err)
				}
				break
			}
			if u.Revision <= last {
				t.Errorf("watch: revision %d after %d", u.Revision, last)
			}
			last = u.Revision
			revs.take(t, u.Revision, fmt.Sprintf("%s=%d", u.Name, u.Reading.Value.Int))
		}
		_ = w.Close()
	}
}

// TestKillRounds kills a kernel 200 times by kill -9, at moments that nobody chose, and starts it again on its file:
// what was durable and acknowledged is there, nothing is counted twice, no revision stands for two changes, and all who
// were connected go on.
func TestKillRounds(t *testing.T) {
	rounds := 200
	if testing.Short() {
		rounds = 20
	}
	m := newMortal(t)
	revs := &revisions{seen: map[dsv.Revision]string{}}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var work sync.WaitGroup
	survivors := map[dsv.Name]*survivor{}
	for name, d := range map[dsv.Name]dsv.Declaration{
		"kept.count": {Merge: dsv.Sum, Durable: true}, "kept.value": {Durable: true},
		"loose.count": {Merge: dsv.Sum}, "loose.value": {},
	} {
		d.Name, d.Kind = name, dsv.Int
		s := &survivor{p: connect(t, m.link(strings.ReplaceAll(string(name), ".", "_"))), revs: revs, name: name, durable: d.Durable}
		survivors[name] = s
		if err := s.p.Create(ctx, d); err != nil {
			t.Fatal(err)
		}
		if d.Merge == dsv.Sum {
			work.Go(func() { s.count(ctx, t) })
		} else {
			work.Go(func() { s.write(ctx, t) })
		}
	}
	var gaps atomic.Int64
	watcher := connect(t, m.link("watcher"))
	work.Go(func() { follow(ctx, t, watcher, revs, &gaps) })
	kept := survivors["kept.count"]
	moments := rand.New(rand.NewPCG(3, 9))
	began := time.Now()
	for round := range rounds {
		if round%4 != 0 { // else it may die before anybody is back
			for was, late := kept.acked.Load(), time.Now().Add(patience); kept.acked.Load() == was; time.Sleep(time.Millisecond) {
				if time.Now().After(late) {
					t.Fatalf("round %d: nothing goes on; the kernel said:\n%s", round, strings.Join(m.log, "\n"))
				}
			}
		}
		time.Sleep(time.Duration(moments.Int64N(int64(40 * time.Millisecond))))
		m.kill()
		m.start()
		for _, s := range survivors {
			s.checks.Add(1)
		}
	}
	cancel()
	work.Wait()
	for name, s := range survivors {
		r, err := s.p.ReadFresh(t.Context(), name)
		got, acked := r.Value.Int, s.acked.Load()
		if err != nil || acked == 0 || s.durable && got != acked || got > acked {
			t.Errorf("%s is %d (error %v), %d was acknowledged", name, got, err, acked)
		}
		t.Logf("%s: %d acknowledged, %d there", name, acked, got)
	}
	if gaps.Load() == 0 {
		t.Error("the watch of all changes was told of no gap")
	}
	t.Logf("%d rounds in %v, %d gaps, %d revisions", rounds, time.Since(began).Round(time.Millisecond), gaps.Load(), len(revs.seen))
}

// TestRestartKeepsStart checks that a kernel which succeeds another one stands by the T0 that was announced, for those who
// come back and for those who come late.
func TestRestartKeepsStart(t *testing.T) {
	m := newMortal(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	early := connect(t, m.link("early"))
	want, err := early.Join(ctx, egs.StartBarrier)
	if err != nil {
		t.Fatal(err)
	}
	m.kill()
	m.start()
	for _, p := range []*modules.Proxy{early, connect(t, m.link("late"))} {
		got, err := p.Join(ctx, egs.StartBarrier)
		if err != nil || got != want {
			t.Errorf("start is %+v (error %v), want %+v", got, err, want)
		}
		if w, err := p.Welcome(ctx); err != nil || int64(w.T0) != want.T0 {
			t.Errorf("welcome says T0 %d (error %v), want %d", w.T0, err, want.T0)
		}
	}
}

// TestRestartKeepsApart checks that a participant that comes new to a kernel which succeeds another one is not taken for
// one that has yet to come back.
func TestRestartKeepsApart(t *testing.T) {
	m := newMortal(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	hello := func(h wire.Hello) wire.Welcome {
		t.Helper()
		conn, w, err := wire.Dialer{}.Dial(ctx, m.url, mortalToken, h)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
		return w
	}
	old := hello(wire.Hello{Module: "old"})
	m.kill()
	m.start()
	young := hello(wire.Hello{Module: "young"})
	back := hello(wire.Hello{Module: "old", Resume: old.Session, Writer: old.Writer, Epoch: old.Epoch})
	if young.Writer <= old.Writer || back.Writer != old.Writer || back.Epoch != old.Epoch || back.Session == old.Session {
		t.Errorf("old was %+v, young is %+v, old is back as %+v", old, young, back)
	}
	if old.Kernel == "" || back.Kernel == old.Kernel || back.Revision < old.Revision {
		t.Errorf("old was told %+v, then %+v", old, back)
	}
}

// TestRestartRestoresGroups checks that members of a group, and sinks of a channel, are so at a kernel that succeeds another
// one, and that a watch of the latest values learns what a variable fell back to.
func TestRestartRestoresGroups(t *testing.T) {
	m := newMortal(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	p := connect(t, m.link("member"))
	if err := p.Enter(ctx, "crew"); err != nil {
		t.Fatal(err)
	}
	if err := p.Open(ctx, egs.Channel{Name: "news"}); err != nil {
		t.Fatal(err)
	}
	sub, err := p.Subscribe(ctx, egs.SubscribeRequest{Channel: "news"})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []dsv.Declaration{{Name: "base", Kind: dsv.Int, Durable: true}, {Name: "x", Kind: dsv.Int}} {
		if err := p.Create(ctx, d); err != nil {
			t.Fatal(err)
		}
	}
	w, err := p.Watch(ctx, dsv.WatchRequest{Pattern: "x"})
	if err != nil {
		t.Fatal(err)
	}
	next := func() int64 {
		t.Helper()
		u, err := w.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return u.Reading.Value.Int
	}
	put := func(n dsv.Name, x int64) {
		t.Helper()
		if _, err := p.Write(ctx, n, dsv.IntValue(x)); err != nil {
			t.Fatal(err)
		}
	}
	put("x", 1)
	put("base", 1) // takes x to the disk
	put("x", 2)
	for next() != 2 {
	}
	m.kill()
	m.start()
	if got := next(); got != 1 && got != 2 {
		t.Errorf("x is %d, want 1, or 2 if it was written in time", got)
	}
	for late := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if ms, err := p.Members(ctx, "crew"); err == nil && len(ms) == 1 && ms[0] == "member" {
			break
		} else if time.Now().After(late) {
			t.Fatalf("members are %v (error %v)", ms, err)
		}
	}
	got := make(chan error, 1)
	go func() {
		_, err := sub.Next(ctx)
		got <- err
	}()
	publisher := connect(t, m.link("publisher")) // who is new finds who was there before
	for tick := time.NewTicker(10 * time.Millisecond); ; {
		if err := publisher.Publish(ctx, egs.Event{Channel: "news"}); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-got:
			if err != nil {
				t.Error(err)
			}
			tick.Stop()
			return
		case <-tick.C:
		}
	}
}
