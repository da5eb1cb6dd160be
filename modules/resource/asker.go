package resource

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel/egs"
	"github.com/eve-emulation/eve/modules"
	"github.com/eve-emulation/eve/rdr"
)

// An asker asks managers for what its host needs.
type asker struct {
	env      *modules.Env
	demand   Demand
	key      rdr.Key
	home     *manager // of the same host, which is asked first; nil for none
	outcomes *ledger

	requests, decisions egs.Source

	mu    sync.Mutex // guards stats
	stats egs.SourceStats
}

// An OutcomeLine is one value of NAME.outcomes.
type OutcomeLine struct {
	At      float64 `json:"at"` // s since the run's start: when it was settled
	Request string  `json:"request"`
	Amount  float64 `json:"amount"`
	Outcome string  `json:"outcome"`           // granted, or a Reason
	Manager string  `json:"manager,omitempty"` // who granted it
	Offers  int     `json:"offers"`            // how many were made
	Took    float64 `json:"took"`              // s
}

func runAsker(ctx context.Context, env *modules.Env) error {
	cfg := defaultAsker()
	if err := errors.Join(env.Config(&cfg), cfg.check()); err != nil {
		return fmt.Errorf("config of %s: %w", env.Name, err)
	}
	a, err := newAsker(ctx, env, cfg.Resource, cfg.Demand)
	if err != nil {
		return err
	}
	if err := env.Ready(ctx); err != nil {
		return err
	}
	return a.run(ctx)
}

// newAsker makes a source of both channels and the variables.
func newAsker(ctx context.Context, env *modules.Env, resource string, d Demand) (*asker, error) {
	a := &asker{env: env, demand: d, key: rdr.Key(d.Seed).Mix(uint64(identity(env.Name)))}
	specs := []dmm.Spec{
		spec(env.Name, "requests", "count"), spec(env.Name, "granted", "count"), spec(env.Name, "refused", "count"),
		spec(env.Name, "offers", "count"), spec(env.Name, "time_to_grant", "histogram"),
		spec(env.Name, "asked", "sum"), spec(env.Name, "spared", "sum"),
	}
	for _, r := range Reasons() {
		specs = append(specs, spec(env.Name, "refused_"+string(r), "count"))
	}
	err := env.Measure(specs...)
	if err != nil {
		return nil, err
	}
	if a.outcomes, err = newLedger(ctx, env, env.Name+".outcomes", "each request and what became of it, JSON"); err != nil {
		return nil, err
	}
	if a.requests, err = attach(ctx, env.Services(), requestsChannel(resource)); err != nil {
		return nil, err
	}
	if a.decisions, err = attach(ctx, env.Services(), decisionsChannel(resource)); err != nil {
		return nil, err
	}
	self := identity(env.Name)
	a.requests.SetOut(egs.FilterFunc(func(_ *egs.Event, s *egs.Sink) bool { // a manager does not ask itself
		v := s.Facts[factID]
		return v.Int != self
	}))
	return a, nil
}

func attach(ctx context.Context, service egs.Service, c egs.Channel) (egs.Source, error) {
	if err := service.Open(ctx, c); err != nil {
		return nil, err
	}
	return service.Attach(ctx, c.Name)
}

// run issues requests as the demand says, and waits for what becomes of them.
func (a *asker) run(ctx context.Context) error {
	var work sync.WaitGroup
	due, timer := 0.0, time.NewTimer(0)
	defer timer.Stop()
	written, stop := context.WithCancel(ctx)
	defer stop()
	var log error
	var writer sync.WaitGroup
	writer.Go(func() { log = a.outcomes.run(written) })
issue:
	for n := uint64(1); a.demand.Rate > 0 && (a.demand.Count == 0 || n <= uint64(a.demand.Count)); n++ {
		due += a.key.Mix(n).Mix(0).Exp() / a.demand.Rate
		timer.Reset(dsv.Instant(due * 1e9).Sub(a.env.Now()))
		select {
		case <-ctx.Done():
			break issue
		case <-timer.C:
		}
		work.Go(func() { a.request(ctx, n) })
	}
	work.Wait()
	<-ctx.Done()
	stop()
	writer.Wait()
	return errors.Join(log, a.outcomes.flush(ctx), a.requests.Close(), a.decisions.Close())
}

// A request is one request while it is under way.
type request struct {
	a      *asker
	name   string
	amount float64
	hold   time.Duration
	offers []offer // not yet tried
	made   int     // offers that were made
}

// request asks for one amount and counts what becomes of it.
func (a *asker) request(ctx context.Context, n uint64) {
	key := a.key.Mix(n)
	r := &request{a: a, name: fmt.Sprintf("%s:%d", a.env.Name, n), amount: a.demand.Amount}
	if a.demand.Most > r.amount {
		r.amount += key.Mix(1).Uniform() * (a.demand.Most - r.amount)
	}
	r.hold = time.Duration(key.Mix(2).Exp() * float64(a.demand.Hold))
	begin := a.env.Now()
	a.count("requests", 1)
	who, reason := a.env.Name, Reason("")
	if a.home == nil || !a.home.own(r.name, r.amount, r.hold) {
		rctx, cancel := context.WithTimeout(ctx, a.demand.Deadline)
		who, reason = r.ask(rctx)
		cancel()
		if reason != "" && ctx.Err() != nil {
			reason = Ended
		}
	}
	end := a.env.Now()
	a.count("offers", r.made)
	line := OutcomeLine{
		At: end.Seconds(), Request: r.name, Amount: r.amount, Outcome: granted, Manager: who, Offers: r.made, Took: end.Sub(begin).Seconds(),
	}
	if reason == "" {
		a.count("granted", 1)
		a.env.Var(a.variable("time_to_grant")).Write(end, line.Took)
	} else {
		line.Outcome = string(reason)
		a.count("refused", 1)
		a.count("refused_"+string(reason), 1)
	}
	a.outcomes.add(line)
	a.tally()
}

func (a *asker) variable(leaf string) dsv.Name { return dsv.Name(a.env.Name + "." + leaf) }

func (a *asker) count(leaf string, n int) {
	for now := a.env.Now(); n > 0; n-- {
		a.env.Var(a.variable(leaf)).Write(now, 1)
	}
}

// tally measures what was sent since it did before, and what the filters spared.
func (a *asker) tally() {
	a.mu.Lock()
	defer a.mu.Unlock()
	s, now := a.requests.Stats(), a.env.Now()
	a.env.Var(a.variable("asked")).Write(now, float64(s.Delivered-a.stats.Delivered))
	a.env.Var(a.variable("spared")).Write(now, float64(s.Filtered-a.stats.Filtered))
	a.stats = s
}

// ask asks the managers and takes the best offer that can be kept. It returns who granted the request, or why nobody did.
func (r *request) ask(ctx context.Context) (manager string, reason Reason) {
	q, err := r.a.requests.Ask(ctx, egs.Event{
		At:     r.a.env.Now(),
		Values: []dsv.Value{askRequest: dsv.TextValue(r.name), askAmount: dsv.FloatValue(r.amount)},
	})
	if err != nil {
		r.a.env.Logf("ask for %s: %v", r.name, err)
		return "", Silent
	}
	defer q.Close()
	defer r.declineRest(ctx, q)
	if q.Asked() == 0 {
		return "", Nobody
	}
	for first := true; ; first = false {
		if err := r.gather(ctx, q, first); err != nil {
			switch {
			case errors.Is(err, egs.ErrNobody):
				return "", Nobody
			case r.made == 0:
				return "", Silent
			}
			return "", Gone
		}
		i := r.a.demand.best(r.offers)
		o := r.offers[i]
		r.offers = append(r.offers[:i], r.offers[i+1:]...)
		if r.confirm(ctx, o) {
			return o.member, ""
		}
		r.decide(ctx, o, decline) // its answer may be under way
		if ctx.Err() != nil {
			return "", Late
		}
		if len(r.offers) == 0 && r.made >= q.Asked() {
			return "", Gone
		}
	}
}

// gather waits until there is an offer to choose from: at first, unless the first is to be taken, for all or for a while.
func (r *request) gather(ctx context.Context, q *egs.Inquiry, first bool) error {
	if first && r.a.demand.Choose != First {
		gctx, cancel := context.WithTimeout(ctx, r.a.demand.Gather)
		defer cancel()
		for r.made < q.Asked() && r.next(gctx, q) == nil {
		}
	}
	for len(r.offers) == 0 {
		if err := r.next(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

// next waits for one more offer.
func (r *request) next(ctx context.Context, q *egs.Inquiry) error {
	e, err := q.Next(ctx)
	if err != nil {
		return err
	}
	if o, ok := readOffer(&e); ok {
		r.made++
		r.offers = append(r.offers, o)
	}
	return nil
}

// confirm takes an offer; false when its manager has left, cannot keep it, or does not answer in time.
func (r *request) confirm(ctx context.Context, o offer) bool {
	q, err := r.a.decisions.Ask(ctx, r.decision(o, take))
	if err != nil {
		return false
	}
	e, err := q.First(ctx)
	return err == nil && len(e.Values) > decideVerdict && e.Values[decideVerdict].Text == granted
}

// decide tells a manager what becomes of its offer, without waiting for an answer.
func (r *request) decide(ctx context.Context, o offer, verdict string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	if _, err := r.a.decisions.Submit(ctx, r.decision(o, verdict)); err != nil && !errors.Is(err, dsv.ErrClosed) {
		r.a.env.Logf("%s an offer for %s: %v", verdict, r.name, err)
	}
}

func (r *request) decision(o offer, verdict string) egs.Event {
	return egs.Event{At: r.a.env.Now(), Values: []dsv.Value{
		decideManager: dsv.IntValue(o.manager), decideOffer: dsv.IntValue(o.id), decideRequest: dsv.TextValue(r.name),
		decideVerdict: dsv.TextValue(verdict), decideHold: dsv.FloatValue(r.hold.Seconds()),
	}}
}

// declineRest lets the managers have back what they offered and was not taken, those too whose offers have come since.
// What comes later lapses by itself.
func (r *request) declineRest(ctx context.Context, q *egs.Inquiry) {
	none, cancel := context.WithCancel(ctx)
	cancel()
	for r.next(none, q) == nil {
	}
	for _, o := range r.offers {
		r.decide(ctx, o, decline)
	}
}
