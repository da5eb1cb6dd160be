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

// Looped says whether an engine's loops wait for the disk themselves: under `run: burn` they do nothing else meanwhile.
func Looped(engine string) bool { return engine != "amped" && !slices.Contains(threaded(), engine) }

// rawEngine is `engine:`, a name or a mapping.
type rawEngine struct {
	kind                             spot[string]
	threads, helpers, queue, backlog spot[int]
	stages                           rawStages
}

// own are the keys that only some kinds have, and which.
func (e *rawEngine) own() []ownKey {
	return append([]ownKey{
		{"threads", e.threads.at, []string{"pool", "seda", "actors"}},
		{"helpers", e.helpers.at, []string{"amped"}},
		{"queue", e.queue.at, []string{"pool", "seda"}},
	}, e.stages.own()...)
}

// An ownKey is a key of some kinds, and where it is written, if it is.
type ownKey struct {
	key   string
	at    *node
	kinds []string
}

func engineFields(e *rawEngine) []field {
	return append([]field{
		{key: "kind", value: choice(&e.kind, Engines()...), need: true, help: "which engine"},
		{key: "threads", value: whole(&e.threads, 1, 10_000), help: "pool: its threads, 64; seda: the most threads of one stage, 20; actors: scheduler threads, one for each processor of the machine that Eve runs on"},
		{key: "helpers", value: whole(&e.helpers, 1, 1000), def: "4", help: "amped: threads that wait for the disk"},
		{key: "queue", value: whole(&e.queue, 1, 1_000_000), def: "1024", help: "pool, seda: how many requests (seda: events of a stage) wait; those beyond are refused with 503 and Retry-After"},
		{key: "backlog", value: whole(&e.backlog, 1, 65535), def: "4096", help: "connections that the kernel queues before they are accepted"},
	}, stageFields(&e.stages)...)
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
			if f.def != "" {
				f.value.read(r, &node{text: f.def})
			}
		}
	}}
}

// poolThreads is how many threads a pool has that is not told.
const poolThreads = 64

// enumerate writes a list as text does: a, b and c.
func enumerate(words []string) string {
	n := len(words) - 1
	if n < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:n], ", ") + " and " + words[n]
}

// engine checks that the engine of a server can have what is written for it.
func (c *compiler) engine(s *rawServer) {
	kind := s.engine.kind.v
	if kind == "" {
		return // told already
	}
	for _, k := range s.engine.own() {
		if k.at != nil && !slices.Contains(k.kinds, kind) {
			c.at(k.at, fmt.Sprintf("%s has no %s", kind, k.key), "it is for "+enumerate(k.kinds))
		}
	}
	if kind != "reactors" && kind != "uring" && s.reactors.v > 1 {
		said := kind + " has no reactors"
		if strings.HasPrefix(kind, "sped-") {
			said = fmt.Sprintf("%s is one event loop, not %d", kind, s.reactors.v)
		}
		c.at(s.reactors.at, said, "leave `reactors` out, or choose `engine: reactors`")
	}
	c.stageControl(s)
	if s.discipline.v == machine.OS.String() && !slices.Contains(threaded(), kind) {
		c.at(s.discipline.at, fmt.Sprintf("%s has no threads that the operating system could schedule", kind),
			"choose an engine that has: "+strings.Join(threaded(), ", "))
	}
}
