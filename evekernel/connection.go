package evekernel

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel/egs"
	"github.com/eve-emulation/eve/evekernel/wire"
)

// A session is one life of one participant. It outlives its connections.
type session struct {
	id     string
	name   string // the module's; empty for a guest
	writer dsv.WriterID
	epoch  uint32

	mu   sync.Mutex      // guards what follows
	conn *wire.Conn      // the present connection
	over <-chan struct{} // closed when nothing of it is done any more
	vars []dsv.Name      // by number - 1

	folded foldedSet // requests that wrote to manipulated variables
	conns  int       // connections that it had
	nums   map[dsv.Name]uint64

	measured map[dsv.Name]measured
	left     bool // it said bye

	sinks sinks // on channels; with a lock of its own
}

// maxNumbers bounds the variables that have a number in one session: those beyond it are called by their names.
const maxNumbers = 1 << 18

// number returns the number under which deltas of this session may call n; 0 when there are too many.
func (s *session) number(n dsv.Name) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.nums[n]; i != 0 || len(s.vars) >= maxNumbers {
		return i
	}
	s.vars = append(s.vars, n)
	s.nums[n] = uint64(len(s.vars))
	return s.nums[n]
}

func (s *session) resolve(ref wire.VarRef) (dsv.Name, error) {
	if ref.Name != "" {
		return ref.Name, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if ref.Num == 0 || ref.Num > uint64(len(s.vars)) {
		return "", fmt.Errorf("sync: variable number %d was not given: %w", ref.Num, dsv.ErrNotFound)
	}
	return s.vars[ref.Num-1], nil
}

// names returns the variables by their numbers - 1. They do not change.
func (s *session) names() []dsv.Name {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.vars
}

// take makes conn, or nil, the session's connection; one that it had before is dead, or will be. over is closed when
// nothing of conn is done any more, and former is of the one before; nil when there was none.
func (s *session) take(conn *wire.Conn, over <-chan struct{}) (former <-chan struct{}) {
	s.mu.Lock()
	old, former := s.conn, s.over
	if s.conn = conn; conn != nil {
		s.over = over
	}
	s.mu.Unlock()
	if old != nil {
		_ = old.Close()
	}
	return former
}

// leaves notes that the participant ended in order.
func (s *session) leaves() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left = true
}

func (s *session) connected() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conn != nil
}

// drop forgets conn; it returns false when another one has taken its place.
func (s *session) drop(conn *wire.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != conn {
		return false
	}
	s.conn = nil
	return true
}

// handler is all that the kernel serves by HTTP, behind its guard.
func (k *Kernel) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+wire.Path, k.serve)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if k.guard.Allow(w, r) {
			mux.ServeHTTP(w, r)
		}
	})
}

// serve carries one connection from its HTTP request to its end.
func (k *Kernel) serve(w http.ResponseWriter, r *http.Request) {
	if !k.begin() {
		http.Error(w, "the kernel ends", http.StatusServiceUnavailable)
		return
	}
	defer k.work.Done()
	if !k.admit() {
		http.Error(w, "too many connections", http.StatusServiceUnavailable)
		return
	}
	conn, h, err := wire.Upgrade(w, r, k.guard)
	k.greeted(conn)
	if err != nil {
		k.logf("connection from %s: %v", r.RemoteAddr, err)
		return
	}
	defer k.release(conn)
	over := make(chan struct{})
	ended := sync.OnceFunc(func() { close(over) })
	defer ended()
	s, former, err := k.session(h)
	if former != nil {
		awaitEnd(former.take(nil, nil))
		k.forget(former, true)
	}
	if err == nil {
		awaitEnd(s.take(conn, over))
		k.follows(s, former)
		err = k.welcome(conn, s)
	}
	if err != nil {
		f := wire.FaultOf(err)
		_ = conn.Send(&wire.Frame{Bye: &wire.Bye{Code: f.Code, Msg: f.Msg}})
		k.logf("connection of %s from %s: %v", nameOf(h.Module), r.RemoteAddr, err)
		return
	}
	k.attend(r.Context(), conn, s, ended)
}

// awaitEnd waits until nothing of a former connection is done any more: else what was sent again on the next one, and
// overwritten, might come back. It closes soon after the connection does.
func awaitEnd(over <-chan struct{}) {
	if over != nil {
		<-over
	}
}

func nameOf(module string) string {
	if module == "" {
		return "a guest"
	}
	return printable(module)
}

func (k *Kernel) admit() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.waiting+len(k.conns) >= k.cfg.MaxConns {
		return false
	}
	k.waiting++
	return true
}

// greeted notes that a connection has said hello, or, when conn is nil, that it never will.
func (k *Kernel) greeted(conn *wire.Conn) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.waiting--
	if conn != nil {
		k.conns[conn] = true
	}
}

func (k *Kernel) release(conn *wire.Conn) {
	_ = conn.Close()
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.conns, conn)
}

// dismiss says bye to those who are still connected when all modules have ended: guests, who would try to come back
// otherwise. It waits a moment for them to leave.
func (k *Kernel) dismiss() {
	k.mu.Lock()
	conns := slices.Collect(maps.Keys(k.conns))
	k.mu.Unlock()
	var told sync.WaitGroup
	for _, c := range conns {
		told.Go(func() { _ = c.Send(&wire.Frame{Bye: &wire.Bye{Msg: "the run ends"}}) })
	}
	told.Wait()
	for late := time.Now().Add(dismissTimeout); time.Now().Before(late); time.Sleep(time.Millisecond) {
		k.mu.Lock()
		left := len(k.conns)
		k.mu.Unlock()
		if left == 0 {
			return
		}
	}
}

// dismissTimeout is how long guests have to leave after a bye.
const dismissTimeout = 200 * time.Millisecond

func (k *Kernel) welcome(conn *wire.Conn, s *session) error {
	start, _ := k.hub.Started(egs.StartBarrier)
	return conn.Send(&wire.Frame{Welcome: &wire.Welcome{
		Proto: wire.Proto, Run: k.cfg.Run, Kernel: k.id, Session: s.id, Writer: wire.Uint(s.writer), Epoch: wire.Uint(s.epoch),
		Revision: wire.Uint(k.store.Revision()), Boot: k.boot, T0: wire.Int(start.T0),
	}})
}

// session finds or begins the session that a hello asks for. A module that resumes keeps writer and epoch, even with a
// kernel that does not know it; one that begins again under the same name has the next epoch, and its former life, which
// is returned too, can neither go on nor come back.
func (k *Kernel) session(h wire.Hello) (s, former *session, err error) {
	if h.Module != "" {
		if _, err := dsv.ParseName(h.Module); err != nil {
			return nil, nil, fmt.Errorf("hello: %w", err)
		}
	}
	if h.Writer > 1<<31 || h.Epoch > 1<<31 {
		return nil, nil, fmt.Errorf("hello: writer or epoch out of range: %w", wire.ErrProtocol)
	}
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		return nil, nil, fmt.Errorf("hello: %w", err)
	}
	s = &session{id: hex.EncodeToString(b[:]), name: h.Module, epoch: 1, nums: map[dsv.Name]uint64{}}
	k.mu.Lock()
	defer k.mu.Unlock()
	old := k.sessions[h.Module]
	switch {
	case h.Resume != "" && old != nil && old.id == h.Resume:
		return old, nil, nil
	case h.Resume != "" && old != nil && (dsv.WriterID(h.Writer) != old.writer || uint32(h.Epoch) < old.epoch):
		return nil, nil, fmt.Errorf("hello: %s began again meanwhile: %w", h.Module, wire.ErrProtocol)
	case h.Resume != "" && h.Writer != 0:
		if other := k.writerOf(dsv.WriterID(h.Writer)); other != nil && other.name != h.Module {
			return nil, nil, fmt.Errorf("hello: writer %d is %s: %w", h.Writer, other.name, wire.ErrProtocol)
		}
		s.writer, s.epoch = dsv.WriterID(h.Writer), uint32(h.Epoch)
		k.writer = max(k.writer, s.writer)
	case old != nil:
		s.writer, s.epoch = old.writer, old.epoch+1
	default:
		k.writer = max(k.writer, k.store.LastWriter()) + 1
		s.writer = k.writer
	}
	k.lease(k.writer)
	if h.Module != "" {
		k.sessions[h.Module] = s
	}
	return s, old, nil
}

// writerOf returns the module that writes as w; mu is held.
func (k *Kernel) writerOf(w dsv.WriterID) *session {
	for _, s := range k.sessions {
		if s.writer == w {
			return s
		}
	}
	return nil
}

// attend serves a connection until it ends, when it calls ended, and tells the module manager.
func (k *Kernel) attend(ctx context.Context, conn *wire.Conn, s *session, ended func()) {
	m := k.module(s.name)
	if m != nil {
		m.connected(s)
	}
	ctx, cancel := context.WithCancel(ctx)
	p := &peer{
		k: k, s: s, conn: conn, over: s.begins(), ctx: ctx, member: k.hub.Member(s.name),
		subs: map[uint64]bool{}, sources: map[dsv.Name]*attached{}, slots: make(chan struct{}, maxWaiting),
	}
	p.prompt.Store, p.settler.p = k.store, p
	p.watches = pumps{p: p, byID: map[uint64]*pump{}}
	conn.BeforeWait(p.acknowledge)
	k.arrived(s)
	err := conn.Run(ctx, p.handle)
	ended()
	cancel()
	p.end()
	if !s.drop(conn) {
		return // taken up by another connection
	}
	k.departed(s, errors.Is(err, errLeft))
	if errors.Is(err, errLeft) {
		s.leaves()
		if m != nil {
			m.left(p.why)
		}
		return
	}
	k.loses(s)
	switch {
	case k.ending():
	case m != nil:
		m.lost(err)
	default:
		k.logf("connection of %s: %v", nameOf(s.name), err)
	}
	if m != nil && m.over() {
		k.died(s.name)
	}
}

func (k *Kernel) ending() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.over
}
