package rdr

import (
	"fmt"
	"slices"
	"strings"
)

// Link resolves every `call S.op` in f by putting the operation's block in
// place, through any number of operations. It reports services that do not
// exist, operations that a service does not define, and recursion, each at its
// statement, and then checks the limits of what came out.
//
// op returns the operation of a service; services reports whether a service or
// target exists, and nil means that all do. The blocks that op returns are
// linked too; no other goroutine may use them or f meanwhile.
func Link(f *File, op func(service, op string) (*Block, bool), services func(string) bool) error {
	return Linker{Op: op, Exists: services, AnyFile: true}.Link(f)
}

// Linker is Link with names to choose from in its messages.
type Linker struct {
	Op       func(service, op string) (*Block, bool)
	Exists   func(service string) bool     // nil: all do
	Services []string                      // for "did you mean"
	Ops      func(service string) []string // for "did you mean"; nil: none
	Files    []string                      // the file sets that there are
	AnyFile  bool                          // do not ask for Files
}

// Link is Link.
func (l Linker) Link(f *File) error {
	run := linking{Linker: l, done: map[*Block]bool{}}
	for _, name := range f.names {
		run.path = append(run.path[:0], step{name, f.blocks[name]})
		run.block(f.blocks[name])
	}
	if len(run.errs) > 0 {
		return run.errs
	}
	for _, name := range f.names {
		b := f.blocks[name]
		c := checker{lim: f.limits, src: b.src, encode: true}
		c.limits(b)
		run.errs = append(run.errs, c.errs...)
	}
	if len(run.errs) > 0 {
		return run.errs[:min(len(run.errs), maxErrors)]
	}
	return nil
}

// linking walks the calls in depth, with the operations that it is inside of.
type linking struct {
	Linker
	done map[*Block]bool
	path []step
	errs Errors
}

type step struct {
	name  string
	block *Block
}

func (l *linking) fault(b *Block, at int, msg, fix string) {
	if len(l.errs) < maxErrors {
		l.errs = append(l.errs, b.src.errorAt(at, nil, msg, fix))
	}
}

func (l *linking) block(b *Block) {
	if l.done[b] || b.linked {
		return
	}
	l.done[b] = true
	before := len(l.errs)
	walk(b.body, func(n *node) {
		if n.kind == kFile && !l.AnyFile && !slices.Contains(l.Files, n.name) {
			l.fault(b, n.at, fmt.Sprintf("no file set %s", n.name), didYouMean(n.name, l.Files))
		}
		if n.kind != kCall && n.kind != kHTTP {
			return
		}
		if l.Exists != nil && !l.Exists(n.name) {
			l.fault(b, n.at, fmt.Sprintf("no service %s", n.name), didYouMean(n.name, l.Services))
			return
		}
		if n.op != "" && n.kind == kCall {
			l.resolve(b, n)
		} else if n.kind == kCall {
			l.block(n.block)
		}
	})
	b.linked = len(l.errs) == before
}

// resolve puts the block of an operation in place.
func (l *linking) resolve(b *Block, n *node) {
	name := n.name + "." + n.op
	var target *Block
	ok := false
	if l.Op != nil {
		target, ok = l.Op(n.name, n.op)
	}
	if !ok {
		var known []string
		if l.Ops != nil {
			known = l.Ops(n.name)
		}
		l.fault(b, n.at, fmt.Sprintf("service %s defines no request %s", n.name, n.op), didYouMean(n.op, known))
		return
	}
	if i := slices.IndexFunc(l.path, func(s step) bool { return s.block == target }); i >= 0 {
		var names []string
		for _, s := range l.path[i:] {
			names = append(names, s.name)
		}
		l.fault(b, n.at, fmt.Sprintf("recursion: %s calls %s", strings.Join(names, " calls "), name), "a request must end: remove this call")
		return
	}
	l.path = append(l.path, step{name, target})
	l.block(target)
	l.path = l.path[:len(l.path)-1]
	n.block = target
}
