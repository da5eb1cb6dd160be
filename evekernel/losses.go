package evekernel

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/internal/mono"
)

// defaultGrace is how long a participant that lost its connection may take to come back before what it has not
// synchronised counts as lost. A Proxy tries at least every two seconds.
const defaultGrace = 3 * time.Second

// maxLosing bounds the sessions that ended without a last synchronisation which are remembered; the oldest go first.
const maxLosing = 4096

// maxSync bounds the bytes of a trigger in words.
const maxSync = 200

// A measured is one variable that a session synchronises: what a loss of the session costs it.
type measured struct {
	sync  string      // the trigger, in words
	since dsv.Instant // until when it is synchronised; while the session lives, when it began
}

// A losing is a session that has ended without its last synchronisation, unless it comes back.
type losing struct {
	s    *session
	vars map[dsv.Name]measured
	at   int64 // ns of CLOCK_MONOTONIC: when its connection was lost
	dead bool  // it cannot come back
	told bool
}

// losses are the sessions that may have lost what they measured, oldest first.
type losses struct {
	mu   sync.Mutex // guards what follows
	list []*losing
}

// measures notes that the session synchronises a variable, by the trigger that its words tell.
func (s *session) measures(n dsv.Name, sync string, now dsv.Instant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.measured[n]; ok {
		return
	}
	if s.measured == nil {
		s.measured = map[dsv.Name]measured{}
	}
	s.measured[n] = measured{sync: printable(sync[:min(len(sync), maxSync)]), since: max(now, 0)}
}

// loses notes that a session's connection ended without a bye: what it had not synchronised then is lost unless it comes
// back.
func (k *Kernel) loses(s *session) {
	s.mu.Lock()
	vars := maps.Clone(s.measured)
	s.mu.Unlock()
	latest := map[time.Duration]dsv.Instant{} // by period
	for n, m := range vars {
		if p, ok := k.store.Progress(n, s.writer); ok && p.Epoch == s.epoch {
			m.since = max(m.since, p.T1)
			vars[n] = m
		}
		if every := period(m.sync); every > 0 {
			latest[every] = max(latest[every], m.since)
		}
	}
	// Where nothing was written nothing is sent. A variable of the same period tells that the writer was at work; one
	// period is for those whose turn was yet to come.
	for n, m := range vars {
		if every := period(m.sync); every > 0 {
			m.since = max(m.since, latest[every].Add(-every))
			vars[n] = m
		}
	}
	if len(vars) == 0 {
		return
	}
	k.losses.add(&losing{s: s, vars: vars, at: mono.Now()})
	if s.connected() { // again, meanwhile
		k.losses.finds(s)
	}
}

// period returns the period of a trigger in words, as "every 100ms or 500 writes"; 0 when it has none.
func period(sync string) time.Duration {
	_, rest, ok := strings.Cut(sync, "every ")
	if !ok {
		return 0
	}
	word, _, _ := strings.Cut(rest, " ")
	d, err := time.ParseDuration(word)
	if err != nil {
		return 0
	}
	return d
}

func (l *losses) add(x *losing) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if slices.ContainsFunc(l.list, func(o *losing) bool { return o.s == x.s }) {
		return
	}
	if len(l.list) == maxLosing {
		l.list = slices.Delete(l.list, 0, 1)
	}
	l.list = append(l.list, x)
}

// finds notes that a session goes on: nothing is lost.
func (l *losses) finds(s *session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = slices.DeleteFunc(l.list, func(x *losing) bool { return x.s.writer == s.writer && x.s.epoch == s.epoch })
}

// follows notes that s has taken the place of former, which is nil when it is nobody's or its own.
func (k *Kernel) follows(s, former *session) {
	if former == nil || former.epoch == s.epoch {
		k.losses.finds(s)
		return
	}
	former.mu.Lock()
	left := former.left
	former.mu.Unlock()
	if !left {
		k.loses(former)
		k.mourn(k.losses.buries(func(x *losing) bool { return x.s == former }))
	}
}

// buries notes that the sessions which a function tells cannot come back, and returns a sentence for each that is news.
func (l *losses) buries(which func(*losing) bool) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var news []string
	for _, x := range l.list {
		if !which(x) {
			continue
		}
		x.dead = true
		if !x.told {
			x.told = true
			news = append(news, x.String())
		}
	}
	return news
}

// maxTold bounds the variables that one sentence names.
const maxTold = 4

// String tells what is lost in one sentence.
func (x *losing) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s ended without its last synchronisation:", nameOf(x.s.name))
	names := slices.Sorted(maps.Keys(x.vars))
	for i, n := range names {
		if i == maxTold && len(names) > maxTold+1 {
			fmt.Fprintf(&b, ", and %d variables more", len(names)-i)
			break
		}
		if i > 0 {
			b.WriteByte(',')
		}
		m := x.vars[n]
		fmt.Fprintf(&b, " %s since %.3f s", n, m.since.Seconds())
		if m.sync != "" {
			fmt.Fprintf(&b, " (%s)", m.sync)
		}
	}
	return b.String()
}

// of lists what a variable may miss, oldest first.
func (l *losses) of(n dsv.Name, grace time.Duration) []dsv.Loss {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []dsv.Loss
	now := mono.Now()
	for _, x := range l.list {
		if m, ok := x.vars[n]; ok && (x.dead || now-x.at > int64(grace)) {
			all = append(all, dsv.Loss{Module: x.s.name, Writer: x.s.writer, Since: m.since, Sync: m.sync})
		}
	}
	slices.SortStableFunc(all, func(a, b dsv.Loss) int { return cmp.Compare(a.Since, b.Since) })
	return all
}

// Losses lists, by variable, which writers ended without their last synchronisation and did not come back: since when
// each variable may miss what they wrote, and the trigger that says how much that can be.
func (k *Kernel) Losses() map[dsv.Name][]dsv.Loss {
	all := map[dsv.Name][]dsv.Loss{}
	k.losses.mu.Lock()
	for _, x := range k.losses.list {
		for n := range x.vars {
			all[n] = nil
		}
	}
	k.losses.mu.Unlock()
	for n := range all {
		if all[n] = k.losses.of(n, k.cfg.Grace); len(all[n]) == 0 {
			delete(all, n)
		}
	}
	return all
}

// died notes that a module's process is no more: what its session has not synchronised is lost.
func (k *Kernel) died(module string) {
	k.mourn(k.losses.buries(func(x *losing) bool { return x.s.name == module }))
}

// mourn tells what is lost.
func (k *Kernel) mourn(news []string) {
	for _, text := range news {
		k.logf("%s", text)
	}
}

// overdue tells of those that did not come back in time; they still may.
func (k *Kernel) overdue() {
	l := &k.losses
	l.mu.Lock()
	var news []string
	now := mono.Now()
	for _, x := range l.list {
		if !x.told && now-x.at > int64(k.cfg.Grace) {
			x.told = true
			news = append(news, x.String())
		}
	}
	l.mu.Unlock()
	k.mourn(news)
}

// A space is the Store as those inside the kernel's process see it: with values that are derived of variables, and with
// what variables may miss.
type space struct {
	*dsv.Store
	k *Kernel
}

// Info implements dsv.Space.
func (s space) Info(ctx context.Context, n dsv.Name) (dsv.Info, error) {
	i, err := s.Store.Info(ctx, n)
	if errors.Is(err, dsv.ErrNotFound) {
		return s.k.derivedInfo(ctx, n)
	}
	if err == nil {
		i.Losses = s.k.losses.of(n, s.k.cfg.Grace)
	}
	return i, err
}
