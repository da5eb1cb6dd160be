package scenario

import (
	"fmt"
	"slices"
	"strings"

	"github.com/eve-emulation/eve/fase/machine"
)

// Engines returns the I/O engines that a server may name; the first is the default. They are those of fase/engine.
func Engines() []string {
	return []string{"reactors", "sped-select", "sped-poll", "sped-epoll-lt", "sped-epoll-et", "amped", "threads", "threads-1to1", "pool", "uring", "seda", "actors"}
}

// threaded lists the engines whose requests have threads of their own.
func threaded() []string { return []string{"threads", "threads-1to1", "pool", "seda", "actors"} }

// rawEngine is `engine:`, a name or a mapping.
type rawEngine struct {
	kind                             spot[string]
	threads, helpers, queue, backlog spot[int]
}

// own are the keys that only some kinds have, and which.
func (e *rawEngine) own() []struct {
	key   string
	value spot[int]
	kinds []string
} {
	return []struct {
		key   string
		value spot[int]
		kinds []string
	}{
		{"threads", e.threads, []string{"pool", "seda"}},
		{"helpers", e.helpers, []string{"amped"}},
		{"queue", e.queue, []string{"pool", "seda"}},
	}
}

func engineFields(e *rawEngine) []field {
	return []field{
		{key: "kind", value: choice(&e.kind, Engines()...), need: true, help: "which engine"},
		{key: "threads", value: whole(&e.threads, 1, 10_000), def: "64", help: "pool: its threads; seda: the most threads of one stage"},
		{key: "helpers", value: whole(&e.helpers, 1, 1000), def: "4", help: "amped: threads that wait for the disk"},
		{key: "queue", value: whole(&e.queue, 1, 1_000_000), def: "1024", help: "pool, seda: how many requests (seda: events of a stage) wait; those beyond are refused with 503 and Retry-After"},
		{key: "backlog", value: whole(&e.backlog, 1, 65535), def: "4096", help: "connections that the kernel queues before they are accepted"},
	}
}

// engine is a kind by its name, or a mapping that says more.
func engine(e *rawEngine) value {
	fields := engineFields(e)
	inner := object("engine", fields)
	inner.shape.name = "kind, or mapping"
	inner.shape.or = fields[0].value.schema()
	return value{inner.shape, func(r *reader, n *node) {
		if n.kind != scalarNode {
			inner.read(r, n)
			return
		}
		fields[0].value.read(r, n)
		for _, f := range fields[1:] {
			f.value.read(r, &node{text: f.def})
		}
	}}
}

// engine checks that the engine of a server can have what is written for it.
func (c *compiler) engine(s *rawServer) {
	kind := s.engine.kind.v
	if kind == "" {
		return // told already
	}
	for _, k := range s.engine.own() {
		if k.value.written() && !slices.Contains(k.kinds, kind) {
			c.at(k.value.at, fmt.Sprintf("%s has no %s", kind, k.key), "it is for "+strings.Join(k.kinds, " and "))
		}
	}
	if kind != "reactors" && kind != "uring" && s.reactors.v > 1 {
		said := kind + " has no reactors"
		if strings.HasPrefix(kind, "sped-") {
			said = fmt.Sprintf("%s is one event loop, not %d", kind, s.reactors.v)
		}
		c.at(s.reactors.at, said, "leave `reactors` out, or choose `engine: reactors`")
	}
	if s.discipline.v == machine.OS.String() && !slices.Contains(threaded(), kind) {
		c.at(s.discipline.at, fmt.Sprintf("%s has no threads that the operating system could schedule", kind),
			"choose an engine that has: "+strings.Join(threaded(), ", "))
	}
}
