package resource

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"strings"
	"sync"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel/egs"
	"github.com/eve-emulation/eve/modules"
)

// A manager offers a resource. Its handlers are called from the links' goroutines.
type manager struct {
	env    *modules.Env
	cfg    ManagerConfig
	id     int64 // by which decisions find it; told in its offers
	ledger *ledger
	wake   chan struct{} // capacity 1: something is due earlier, or the facts changed

	mu      sync.Mutex // guards what follows
	pool    *pool
	leaving bool
	told    float64 // what it last published as free

	requests, decisions egs.Subscription
}

// A LedgerLine is one value of a manager's NAME.ledger.
type LedgerLine struct {
	At      float64 `json:"at"`      // s since the run's start
	Did     string  `json:"did"`     // grant or revoke
	Request string  `json:"request"` // as whoever asked calls it
	Amount  float64 `json:"amount"`
	Own     bool    `json:"own,omitempty"` // a request of the manager's own host
}

func runManager(ctx context.Context, env *modules.Env) error {
	cfg := defaultManager()
	if err := errors.Join(env.Config(&cfg), cfg.check()); err != nil {
		return fmt.Errorf("config of %s: %w", env.Name, err)
	}
	m := &manager{env: env, cfg: cfg, id: identity(env.Name), wake: make(chan struct{}, 1), told: -1}
	err := env.Measure(
		spec(env.Name, "free", "last"), spec(env.Name, "used", "last"),
		spec(env.Name, "grants", "count"), spec(env.Name, "revoked", "count"), spec(env.Name, "lapsed", "count"),
	)
	if err != nil {
		return err
	}
	m.ledger, err = newLedger(ctx, env, env.Name+".ledger", "each grant and revocation, JSON")
	if err != nil {
		return err
	}
	var own *asker
	if cfg.Own.Rate > 0 {
		if own, err = newAsker(ctx, env, cfg.Resource, cfg.Own); err != nil {
			return err
		}
		own.home = m
	}
	env.Go(m.ledger.run)
	if cfg.Join == 0 { // who asks at once finds it
		if err := m.join(ctx); err != nil {
			return err
		}
	}
	if err := env.Ready(ctx); err != nil {
		return err
	}
	if own != nil {
		env.Go(own.run)
	}
	err = m.run(ctx)
	return errors.Join(err, m.ledger.flush(ctx))
}

// identity is a number that no other member has, but for a chance in 2^48.
func identity(name string) int64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	return int64(h.Sum64() >> 16)
}

// run is the manager's life from T0 on.
func (m *manager) run(ctx context.Context) error {
	if m.pool == nil {
		if !m.until(ctx, dsv.At(m.cfg.Join)) {
			return nil
		}
		if err := m.join(ctx); err != nil {
			return err
		}
		m.env.Logf("joins: %g of %s", m.cfg.Capacity, m.cfg.Resource)
	}
	leave := dsv.Never
	if m.cfg.Leave > 0 {
		leave = dsv.At(m.cfg.Leave)
	}
	if err := m.serve(ctx, leave); err != nil || ctx.Err() != nil {
		return err
	}
	return m.leave(ctx)
}

// until waits for an instant; false when ctx ends first.
func (m *manager) until(ctx context.Context, at dsv.Instant) bool {
	timer := time.NewTimer(at.Sub(m.env.Now()))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// join makes the manager a member of both channels. Requests that come before it is one of both find it silent.
func (m *manager) join(ctx context.Context) error {
	m.mu.Lock()
	m.pool = newPool(m.cfg.Capacity, max(1, int64(m.env.Now()))) // numbers beyond those of a former life
	facts := m.facts()
	m.measure()
	m.mu.Unlock()
	id := map[string]dsv.Value{factID: dsv.IntValue(m.id)}
	decisions, err := m.follow(ctx, decisionsChannel(m.cfg.Resource), mine, id, m.decided)
	if err != nil {
		return err
	}
	m.mu.Lock()
	m.decisions = decisions
	m.mu.Unlock()
	requests, err := m.follow(ctx, requestsChannel(m.cfg.Resource), enough, facts, m.asked)
	if err != nil {
		return err
	}
	m.mu.Lock()
	m.requests = requests
	m.mu.Unlock()
	return nil
}

func (m *manager) follow(ctx context.Context, c egs.Channel, out string, facts map[string]dsv.Value, handler func(egs.Event)) (egs.Subscription, error) {
	service := m.env.Services()
	if err := service.Open(ctx, c); err != nil {
		return nil, err
	}
	return service.Subscribe(ctx, egs.SubscribeRequest{Channel: c.Name, Out: egs.FilterSpec{Expr: out}, Facts: facts, Handler: handler})
}

// facts is what the manager publishes; mu is held.
func (m *manager) facts() map[string]dsv.Value {
	m.told = m.pool.free()
	return map[string]dsv.Value{
		factID: dsv.IntValue(m.id), factFree: dsv.FloatValue(m.told), "capacity": dsv.FloatValue(m.cfg.Capacity),
		"cost": dsv.FloatValue(m.cfg.Cost), "location": dsv.TextValue(m.cfg.Location),
	}
}

// measure notes what is free; mu is held.
func (m *manager) measure() {
	now := m.env.Now()
	m.env.Var(m.variable("free")).Write(now, m.pool.free())
	m.env.Var(m.variable("used")).Write(now, m.pool.used)
}

func (m *manager) variable(leaf string) dsv.Name { return dsv.Name(m.env.Name + "." + leaf) }

func (m *manager) count(leaf string) { m.env.Var(m.variable(leaf)).Write(m.env.Now(), 1) }

// changed notes a change of the pool, for whom it matters; mu is held.
func (m *manager) changed() {
	m.measure()
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// asked answers a request with an offer, if there is enough.
func (m *manager) asked(e egs.Event) {
	if len(e.Values) <= askAmount {
		return
	}
	request := strings.Clone(e.Values[askRequest].Text)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.leaving || m.requests == nil {
		return
	}
	m.expire()
	x := m.pool.reserve(request, e.Values[askAmount].Float, m.env.Now().Add(m.cfg.Lease))
	if x == nil {
		return // others may have it; no answer is no offer
	}
	m.changed()
	err := m.requests.Answer(context.Background(), e, egs.Event{Values: []dsv.Value{
		askRequest: dsv.TextValue(request), askAmount: dsv.FloatValue(x.amount), askManager: dsv.IntValue(m.id),
		askOffer: dsv.IntValue(x.id), askFree: dsv.FloatValue(m.pool.free()), askCost: dsv.FloatValue(m.cfg.Cost),
		askLocation: dsv.TextValue(m.cfg.Location),
	}})
	if err != nil {
		m.pool.release(x.id, request)
		m.env.Logf("offer for %s: %v", request, err)
	}
}

// decided takes what became of an offer.
func (m *manager) decided(e egs.Event) {
	if len(e.Values) <= decideHold {
		return
	}
	v := e.Values
	request := strings.Clone(v[decideRequest].Text)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.decisions == nil {
		return
	}
	m.expire()
	if v[decideVerdict].Text != take {
		if x := m.pool.release(v[decideOffer].Int, request); x != nil {
			m.changed()
			if x.granted { // its answer came too late for whoever asked
				m.note("revoke", x, false)
			}
		}
		return
	}
	verdict := gone
	if x := m.pool.grant(v[decideOffer].Int, request, m.env.Now().Add(time.Duration(v[decideHold].Float*1e9))); x != nil {
		verdict = granted
		m.note("grant", x, false)
		m.changed()
	}
	answer := egs.Event{Values: []dsv.Value{
		decideManager: dsv.IntValue(m.id), decideOffer: v[decideOffer], decideRequest: dsv.TextValue(request),
		decideVerdict: dsv.TextValue(verdict),
	}}
	if err := m.decisions.Answer(context.Background(), e, answer); err != nil {
		m.env.Logf("answer for %s: %v", request, err)
	}
}

// own grants a request of the manager's own host, if there is enough.
func (m *manager) own(request string, amount float64, hold time.Duration) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.leaving || m.pool == nil {
		return false
	}
	m.expire()
	until := m.env.Now().Add(hold)
	x := m.pool.reserve(request, amount, until)
	if x == nil {
		return false
	}
	m.pool.grant(x.id, request, until)
	m.note("grant", x, true)
	m.changed()
	return true
}

// note counts and records a grant or a revocation; mu is held.
func (m *manager) note(did string, x *entry, own bool) {
	leaf := "grants"
	if did == "revoke" {
		leaf = "revoked"
	}
	m.count(leaf)
	m.ledger.add(LedgerLine{At: m.env.Now().Seconds(), Did: did, Request: x.request, Amount: x.amount, Own: own})
}

// expire ends what is due; mu is held.
func (m *manager) expire() {
	for now := m.env.Now(); ; {
		x := m.pool.expire(now)
		if x == nil {
			return
		}
		if !x.granted {
			m.count("lapsed")
		}
		m.changed()
	}
}

// serve ends offers and grants when they are due and publishes what is free, until the manager is to leave.
func (m *manager) serve(ctx context.Context, leave dsv.Instant) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for m.env.Now() < leave {
		m.mu.Lock()
		m.expire()
		next := min(m.pool.next(), leave)
		tell := m.pool.free() != m.told
		var facts map[string]dsv.Value
		if tell {
			facts = m.facts()
		}
		m.mu.Unlock()
		if tell {
			if err := m.requests.Describe(ctx, facts); err != nil {
				return ignoreEnd(ctx, err)
			}
		}
		timer.Reset(m.sleep(next))
		select {
		case <-ctx.Done():
			return nil
		case <-m.wake:
		case <-timer.C:
		}
	}
	return nil
}

// sleep is how long it is until an instant.
func (m *manager) sleep(at dsv.Instant) time.Duration {
	if at == dsv.Never {
		return time.Hour
	}
	return at.Sub(m.env.Now())
}

// leave ends the manager's membership in order: it makes no offers any more, stands by those that it made until they are
// decided about or their lease is over, and is gone.
func (m *manager) leave(ctx context.Context) error {
	m.mu.Lock()
	m.leaving = true
	m.mu.Unlock()
	if err := m.requests.Close(); err != nil {
		return err
	}
	late := m.env.Now().Add(m.cfg.Lease)
	for m.env.Now() < late {
		m.mu.Lock()
		m.expire()
		open := m.pool.offered()
		m.mu.Unlock()
		if open == 0 || !m.until(ctx, m.env.Now().Add(time.Millisecond)) {
			break
		}
	}
	m.env.Logf("leaves")
	return m.decisions.Close()
}

// ignoreEnd drops an error of a call that was given up because the module ends.
func ignoreEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}
