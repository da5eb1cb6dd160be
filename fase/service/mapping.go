package service

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/eve-emulation/eve/dsv"
)

// State says what a replica does.
type State string

// The states of a replica.
const (
	Serving  State = "serving"  // answers; callers choose it
	Copying  State = "copying"  // receives its copy; callers do not choose it
	Draining State = "draining" // answers what still comes; callers do not choose it
	Stopped  State = "stopped"  // holds the service but does not answer: a stopped move
)

// A Replica is one place where a service is.
type Replica struct {
	Server  string `json:"server"`
	Address string `json:"address,omitempty"` // host:port; empty in virtual time
	Weight  int    `json:"weight,omitempty"`  // 0 is read as 1
	State   State  `json:"state,omitempty"`   // empty is read as Serving
	// Since is the epoch at which the replica came into its state; hosts acknowledge it. 0: that of the mapping.
	Since uint32 `json:"since,omitempty"`
	// Source is the server that sends a replica which is Copying its copy. Empty: the first that holds the service.
	Source string `json:"source,omitempty"`
}

// A Mapping says where one service is: the value of the variable map.S. Its epoch rises with every change.
type Mapping struct {
	Epoch    uint32      `json:"epoch"`
	Level    string      `json:"level,omitempty"`  // quality level in force
	Limit    float64     `json:"limit,omitempty"`  // requests per second that each server lets in; 0: no limit
	Paused   bool        `json:"paused,omitempty"` // nobody begins a request; callers wait
	At       dsv.Instant `json:"at"`               // applies from this instant on
	Replicas []Replica   `json:"replicas"`

	placed *placed // where the replicas are, in numbers; nil: nobody has looked
}

// placed is what participants ask of a mapping, found once for all of them. It is immutable.
type placed struct {
	of      *Topology
	serving []target // that are called
	weight  int      // of all of them
	replica []int32  // by server: the index of its last replica + 1
	copying bool     // a replica is
	heavy   bool     // a weight is not 1
}

// Place looks the mapping's servers up, so that those who are told of it need not do so each for itself. m must not change
// afterwards.
func (t *Topology) Place(m Mapping) Mapping {
	if m.placed == nil || m.placed.of != t {
		m.placed = t.place(&m)
	}
	return m
}

func (t *Topology) place(m *Mapping) *placed {
	p := &placed{of: t, replica: make([]int32, len(t.Servers))}
	for i := range m.Replicas {
		r := &m.Replicas[i]
		p.copying = p.copying || r.State == Copying
		node := t.Server(r.Server)
		if node < 0 {
			continue
		}
		p.replica[node] = int32(i + 1)
		if r.State == Serving && !m.Paused {
			p.serving = append(p.serving, target{node: node, weight: max(r.Weight, 1)})
			p.weight += max(r.Weight, 1)
			p.heavy = p.heavy || r.Weight > 1
		}
	}
	return p
}

// Since is the epoch at which a replica came into its state.
func (m *Mapping) Since(i int) uint32 {
	if s := m.Replicas[i].Since; s > 0 {
		return s
	}
	return m.Epoch
}

// MapName is the name of the variable that holds a service's mapping.
func MapName(service string) dsv.Name { return dsv.Name(mapPrefix + service) }

const mapPrefix = "map."

// manyReplicas is how many replicas have what is usual of them left out in the text, which thereby keeps to [dsv.MaxBytes].
const manyReplicas = 4096

// Encode returns the mapping as the text that its variable holds.
func (m Mapping) Encode() string {
	if len(m.Replicas) > manyReplicas {
		m = m.Clone()
		for i := range m.Replicas {
			r := &m.Replicas[i]
			if r.Weight == 1 {
				r.Weight = 0
			}
			if r.State == Serving {
				r.State = ""
			}
		}
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic(err) // strings and numbers only
	}
	return string(b)
}

// ParseMapping reads the text of a map variable.
func ParseMapping(s string) (Mapping, error) {
	var m Mapping
	if err := json.Unmarshal([]byte(s), &m); err != nil {
		return Mapping{}, fmt.Errorf("read mapping: %w", err)
	}
	for i := range m.Replicas {
		r := &m.Replicas[i]
		r.Weight = max(r.Weight, 1)
		if r.State == "" {
			r.State = Serving
		}
	}
	return m, nil
}

// Mapping reads a map variable: which service it is of, and what it says. It is false for a variable that is no mapping of
// these services.
func (t *Topology) Mapping(name dsv.Name, v dsv.Value) (svc int, m Mapping, ok bool) {
	s, ok := strings.CutPrefix(string(name), mapPrefix)
	if svc = t.Service(s); !ok || svc < 0 {
		return -1, m, false
	}
	m, err := ParseMapping(v.Text)
	return svc, m, err == nil
}

// Clone returns a mapping that shares nothing with m.
func (m Mapping) Clone() Mapping {
	m.Replicas = append([]Replica(nil), m.Replicas...)
	m.placed = nil
	return m
}

// The variables by which hosts acknowledge the steps of an action; each holds the epoch that was reached.

// CopiedName is written by the source when the copy for that epoch has crossed its link.
func CopiedName(server, service string) dsv.Name { return ackName(server, service, "copied") }

// ReadyName is written by the target when it has made room and knows the mapping of that epoch.
func ReadyName(server, service string) dsv.Name { return ackName(server, service, "ready") }

// DrainedName is written by a draining server when nothing of the service is in flight there any more.
func DrainedName(server, service string) dsv.Name { return ackName(server, service, "drained") }

func ackName(server, service, what string) dsv.Name {
	return dsv.Name(server + "." + service + "." + what)
}
