package evekernel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel/egs"
	"github.com/eve-emulation/eve/internal/mono"
)

// A Restorer puts into an empty Store what was kept of the variables of a kernel that is no more, and lets its revisions
// continue where they cannot have been used. A *dsvbolt.DB is one.
type Restorer interface {
	Restore(s *dsv.Store) error
}

const (
	// memoryName is the variable in which a kernel tells its successor what variables do not.
	memoryName dsv.Name = "eve.kernel"
	// writerLease is how many writers may be given before the successor is told.
	writerLease = 1024
)

// A memory is what a kernel keeps for the one that succeeds it.
type memory struct {
	Life    int                `json:"life"`             // how many kernels the run has had
	Address string             `json:"address"`          // where it listens
	Boot    string             `json:"boot"`             // the boot id of the clock of Starts
	Starts  map[dsv.Name]int64 `json:"starts,omitempty"` // by barrier: the T0 that was announced
	Writers dsv.WriterID       `json:"writers"`          // no greater writer was given
}

// keepsake keeps a memory; the zero one keeps nothing. Its lock comes after those of the kernel and of the hub.
type keepsake struct {
	store *dsv.Store

	mu   sync.Mutex // guards what follows
	on   bool
	kept memory
}

// recall fills the Store and the hub with what a former kernel left. It is called by New.
func (k *Kernel) recall() error {
	if k.cfg.Restore == nil {
		return nil
	}
	if err := k.cfg.Restore.Restore(k.store); err != nil {
		return fmt.Errorf("restore kernel: %w", err)
	}
	m := &k.keepsake
	m.store, m.on = k.store, true
	r, err := k.store.Read(context.Background(), memoryName)
	switch {
	case errors.Is(err, dsv.ErrNotFound) || errors.Is(err, dsv.ErrUnset):
	case err != nil:
		return fmt.Errorf("restore kernel: %w", err)
	default:
		if err := json.Unmarshal([]byte(r.Value.Text), &m.kept); err != nil {
			return fmt.Errorf("restore kernel: variable %s: %w", memoryName, err)
		}
	}
	k.writer = max(k.store.LastWriter(), m.kept.Writers)
	k.restored = m.kept.Life > 0
	if m.kept.Boot != k.boot {
		m.kept.Starts = nil // the clock that they were read from is no more
	}
	for n, t0 := range m.kept.Starts {
		if err := k.hub.Restore(n, egs.Start{T0: t0, Boot: k.boot}); err != nil {
			return fmt.Errorf("restore kernel: %w", err)
		}
	}
	k.t0.Store(m.kept.Starts[egs.StartBarrier])
	return nil
}

// Restored says whether this kernel goes on where another one ended, with its variables; the starts that it announced
// stand, unless the host was started anew since.
func (k *Kernel) Restored() bool { return k.restored }

// Now is the present instant of the run; 0 before T0 is announced.
func (k *Kernel) Now() dsv.Instant {
	t0 := k.t0.Load()
	if t0 == 0 {
		return 0
	}
	return dsv.Instant(mono.Now() - t0)
}

// announced keeps a start before anybody learns of it: a successor would announce another one.
func (k *Kernel) announced(n dsv.Name, s egs.Start) {
	if n == egs.StartBarrier {
		k.t0.Store(s.T0)
	}
	_ = k.keepsake.keep(func(m *memory) { // attest tells of a failure
		if m.Starts == nil {
			m.Starts = map[dsv.Name]int64{}
		}
		m.Starts[n] = s.T0
	})
}

// listenFormerly takes the socket of the kernel that this one succeeds, so that those who lost it find it again, where
// the configuration leaves the port open and nobody else has it.
func (k *Kernel) listenFormerly() (net.Listener, error) {
	former := k.keepsake.kept.Address
	host, port, err := net.SplitHostPort(k.cfg.Listen)
	was, _, ferr := net.SplitHostPort(former)
	if err != nil || ferr != nil || port != "0" || host != was {
		return nil, nil
	}
	return net.Listen("tcp", former)
}

// listens begins the kernel's life for its successor.
func (k *Kernel) listens(a net.Addr) error {
	err := k.keepsake.keep(func(m *memory) {
		m.Life++
		m.Address, m.Boot = a.String(), k.boot
		m.Writers = max(k.writer, m.Writers) + writerLease
	})
	if err != nil {
		return fmt.Errorf("start kernel: %w", err)
	}
	return nil
}

// lease tells the successor that writers up to w may have been given; mu is held.
func (k *Kernel) lease(w dsv.WriterID) {
	if !k.keepsake.covers(w) {
		_ = k.keepsake.keep(func(m *memory) { m.Writers = w + writerLease }) // attest tells of a failure
	}
}

// A failer is a Recorder that tells whether it can keep anything at present, and goes on once it can.
type failer interface{ Failing() error }

// attest tells when the Recorder keeps no more, and when it does again, and of participants that do not come back.
func (k *Kernel) attest(ctx context.Context) {
	tick := time.NewTicker(attestEvery)
	defer tick.Stop()
	failing := false
	for {
		err := k.unkept()
		switch {
		case err != nil && !failing:
			k.logf("nothing is kept on disk: %v; durable writes fail, all else goes on", err)
		case err == nil && failing:
			k.logf("variables are kept on disk again")
		}
		failing = err != nil
		k.overdue()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// unkept returns why the Recorder keeps nothing; nil while it does.
func (k *Kernel) unkept() error {
	if f, ok := k.cfg.Recorder.(failer); ok {
		return f.Failing()
	}
	return k.store.Err()
}

// attestEvery is how soon a Recorder that fails, and a participant that stays away, are told of.
const attestEvery = 200 * time.Millisecond

func (m *keepsake) covers(w dsv.WriterID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !m.on || w <= m.kept.Writers
}

// keep changes the memory and returns once it is durable. What could not be kept is changed all the same.
func (m *keepsake) keep(change func(*memory)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.on {
		return nil
	}
	change(&m.kept)
	b, err := json.Marshal(m.kept)
	if err != nil {
		return err
	}
	ctx := context.Background() // a Store does not wait for it
	err = m.store.Create(ctx, dsv.Declaration{
		Name: memoryName, Kind: dsv.Text, Durable: true, Help: "What a kernel that succeeds this one has to know, JSON.",
	})
	if err != nil {
		return err
	}
	_, err = m.store.Write(ctx, memoryName, dsv.TextValue(string(b)))
	return err
}
