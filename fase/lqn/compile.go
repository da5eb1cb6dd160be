package lqn

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// A layered is a model with its names resolved.
type layered struct {
	*Model
	host    []int // by task; -1 where it has none
	task    []int // by entry: the task that it is of
	entries []*Entry
	calls   [][]call // by entry, without forwards: they are calls of who waits
	source  [][]call
	order   []int // entries, who calls before who is called
	limit   []int // threads by task, 0 where they never are in the way
	lowest  []int // tasks with a limit of threads, those below before those above
	most    []int // requests by task that may be there at once
}

// A call is a Call with its entry resolved.
type call struct {
	entry  int
	mean   float64
	async  bool
	fork   int
	phase2 bool
}

// Check returns an error that names what is wrong with a model: names that are missing, unknown or given twice, figures that are negative or
// not finite, sources that are neither open nor closed, or ErrCircle.
func (m *Model) Check() error {
	_, err := compile(m)
	return err
}

func compile(m *Model) (*layered, error) {
	l := &layered{Model: m}
	if err := l.check(); err != nil {
		return nil, err
	}
	hosts, err := index("host", len(m.Hosts), func(i int) string { return m.Hosts[i].Name })
	if err != nil {
		return nil, err
	}
	if _, err := index("task", len(m.Tasks), func(i int) string { return m.Tasks[i].Name }); err != nil {
		return nil, err
	}
	for i := range m.Tasks {
		t := &m.Tasks[i]
		h, ok := hosts[t.Host]
		if !ok {
			if h = -1; t.Host != "" {
				return nil, fmt.Errorf("task %s: no host %q", t.Name, t.Host)
			}
		}
		l.host = append(l.host, h)
		for j := range t.Entries {
			e := &t.Entries[j]
			l.entries, l.task = append(l.entries, e), append(l.task, i)
			if h < 0 && e.Demand+e.Phase2 > 0 {
				return nil, fmt.Errorf("entry %s: it demands service, but task %s has no host", e.Name, t.Name)
			}
		}
	}
	names, err := index("entry", len(l.entries), func(i int) string { return l.entries[i].Name })
	if err != nil {
		return nil, err
	}
	return l, l.resolve(names)
}

// index maps names to places, and refuses what is given twice.
func index(what string, n int, name func(int) string) (map[string]int, error) {
	out := make(map[string]int, n)
	for i := range n {
		if _, twice := out[name(i)]; twice || name(i) == "" {
			return nil, fmt.Errorf("%s %q: no name of its own", what, name(i))
		}
		out[name(i)] = i
	}
	return out, nil
}

// resolve fills in the calls and their order.
func (l *layered) resolve(names map[string]int) error {
	direct := make([][]call, len(l.entries))
	forwards := make([][]call, len(l.entries))
	for i, e := range l.entries {
		for _, c := range e.Calls {
			r, err := resolve(&c, names)
			if err != nil {
				return fmt.Errorf("entry %s: %w", e.Name, err)
			}
			if c.Kind == Forward {
				forwards[i] = append(forwards[i], r)
			} else {
				direct[i] = append(direct[i], r)
			}
		}
	}
	if err := l.sort(direct, forwards); err != nil {
		return err
	}
	l.calls = make([][]call, len(l.entries))
	for i := range l.entries {
		l.calls[i] = follow(direct[i], forwards)
	}
	for i := range l.Sources {
		s := &l.Sources[i]
		var calls []call
		for _, c := range s.Calls {
			r, err := resolve(&c, names)
			if err == nil && (c.Kind == Forward || c.Phase2) {
				err = errors.New("a source cannot forward, and has no second phase")
			}
			if err != nil {
				return fmt.Errorf("source %s: %w", s.Name, err)
			}
			calls = append(calls, r)
		}
		l.source = append(l.source, follow(calls, forwards))
	}
	return l.limits()
}

func resolve(c *Call, names map[string]int) (call, error) {
	i, ok := names[c.Entry]
	switch {
	case !ok:
		return call{}, fmt.Errorf("calls %q: no such entry", c.Entry)
	case !(c.Mean >= 0) || math.IsInf(c.Mean, 1):
		return call{}, fmt.Errorf("calls %s %g times", c.Entry, c.Mean)
	case c.Fork > 0 && c.Kind != Sync:
		return call{}, fmt.Errorf("calls %s in a fork: only synchronous calls can be waited for", c.Entry)
	}
	return call{entry: i, mean: c.mean(), async: c.Kind == Async, fork: c.Fork, phase2: c.Phase2}, nil
}

// follow replaces forwards: who calls an entry that forwards its request waits for the entry that it goes to.
func follow(calls []call, forwards [][]call) []call {
	var out []call
	for _, c := range calls {
		out = append(out, c)
		for _, f := range forwards[c.entry] {
			f.mean *= c.mean
			f.async, f.fork, f.phase2 = c.async, c.fork, c.phase2
			out = append(out, follow([]call{f}, forwards)...)
		}
	}
	return out
}

// sort orders the entries, callers first, and refuses circles.
func (l *layered) sort(lists ...[][]call) error {
	state := make([]int, len(l.entries)) // 1: on the path, 2: done
	var path []string
	var visit func(i int) error
	visit = func(i int) error {
		path = append(path, l.entries[i].Name)
		if state[i] == 1 {
			return fmt.Errorf("%w: %s", ErrCircle, strings.Join(path[slices.Index(path, l.entries[i].Name):], " → "))
		}
		if state[i] == 0 {
			state[i] = 1
			for _, list := range lists {
				for _, c := range list[i] {
					if err := visit(c.entry); err != nil {
						return err
					}
				}
			}
			state[i] = 2
			l.order = append(l.order, i)
		}
		path = path[:len(path)-1]
		return nil
	}
	for i := range l.entries {
		if err := visit(i); err != nil {
			return err
		}
	}
	slices.Reverse(l.order)
	return nil
}

func (l *layered) check() error {
	for i := range l.Tasks {
		t := &l.Tasks[i]
		if t.Threads < 0 || t.Queue < -1 || t.Queue != 0 && t.Threads == 0 {
			return fmt.Errorf("task %s: %d threads with places for %d more", t.Name, t.Threads, t.Queue)
		}
		for j := range t.Entries {
			e := &t.Entries[j]
			for _, x := range []float64{e.Demand, e.SCV, e.Delay, e.Phase2} {
				if !(x >= 0) || math.IsInf(x, 1) {
					return fmt.Errorf("entry %s: a figure of %g", e.Name, x)
				}
			}
		}
	}
	for i := range l.Hosts {
		if h := &l.Hosts[i]; h.Servers < 0 || h.Discipline < Sharing || h.Discipline > Priority {
			return fmt.Errorf("host %s: %d servers, discipline %d", h.Name, h.Servers, int(h.Discipline))
		}
	}
	for i := range l.Sources {
		s := &l.Sources[i]
		if s.Users < 0 || !(s.Rate >= 0) || math.IsInf(s.Rate, 1) || !(s.Think >= 0) || math.IsInf(s.Think, 1) || s.Users > 0 && s.Rate > 0 {
			return fmt.Errorf("source %s: a rate of %g, %d users and %g s of thought: want either a rate or users", s.Name, s.Rate, s.Users, s.Think)
		}
	}
	if len(l.Sources) == 0 {
		return errors.New("no sources")
	}
	return nil
}

// endless is more callers at once than any limit of threads.
const endless = math.MaxInt32

// limits tells which limits of threads can ever be in the way: those below the number of requests that may be there at once.
func (l *layered) limits() error {
	l.limit, l.most = make([]int, len(l.Tasks)), make([]int, len(l.Tasks))
	if err := l.nested(); err != nil {
		return err
	}
	at := make([]int, len(l.entries)) // requests that may be there at once
	add := func(calls []call, from int) {
		for _, c := range calls {
			if n := from; c.async {
				at[c.entry] = endless
			} else {
				at[c.entry] = min(endless, at[c.entry]+n)
			}
		}
	}
	for i := range l.Sources {
		switch n := l.Sources[i].Users; {
		case n > 0:
			add(l.source[i], n)
		case l.Sources[i].Rate > 0:
			add(l.source[i], endless)
		}
	}
	for _, e := range l.order {
		t := l.task[e]
		l.most[t] = min(endless, l.most[t]+at[e])
		from := at[e]
		if n := l.Tasks[t].Threads; n > 0 {
			if l.most[t] > n {
				l.limit[t] = n
			}
			from = min(from, n)
		}
		add(l.calls[e], from)
		for _, c := range l.calls[e] {
			if c.phase2 && !l.Tasks[t].limited() {
				at[c.entry] = endless
			}
		}
	}
	return nil
}

// nested refuses tasks with a limit of threads that, holding one, wait for another of their own, and orders such tasks, those below first.
func (l *layered) nested() error {
	below := make([]map[int]bool, len(l.entries)) // by entry: the limited tasks that it waits for
	under := make([]map[int]bool, len(l.Tasks))
	for t := range under {
		under[t] = map[int]bool{}
	}
	for _, e := range slices.Backward(l.order) {
		below[e] = map[int]bool{}
		for _, c := range l.calls[e] {
			if c.async {
				continue
			}
			maps.Copy(below[e], below[c.entry])
			if t := l.task[c.entry]; l.Tasks[t].limited() {
				below[e][t] = true
			}
		}
		t := l.task[e]
		if below[e][t] {
			return fmt.Errorf("%w: entry %s holds a thread of %s and waits for another one", ErrCircle, l.entries[e].Name, l.Tasks[t].Name)
		}
		maps.Copy(under[t], below[e])
	}
	state := make([]int, len(l.Tasks)) // 1: on the path, 2: done
	var visit func(t int) error
	visit = func(t int) error {
		if state[t] == 1 {
			return fmt.Errorf("%w: task %s waits for threads of others, and others for its", ErrCircle, l.Tasks[t].Name)
		}
		if state[t] == 0 {
			state[t] = 1
			for _, u := range slices.Sorted(maps.Keys(under[t])) {
				if err := visit(u); err != nil {
					return err
				}
			}
			state[t] = 2
			l.lowest = append(l.lowest, t)
		}
		return nil
	}
	for t := range l.Tasks {
		if l.Tasks[t].limited() {
			if err := visit(t); err != nil {
				return err
			}
		}
	}
	return nil
}
