// Package scenario turns a scenario file into a [Plan]: the configuration of every core, the variables that are
// measured and the conditions that must hold. Mistakes are told with file, line, column, a caret and the fix, several at
// once.
package scenario

import (
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dmm/expr"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/adapt"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/user"
)

// A Plan is a scenario made ready to run: what the modules, the simulator and the report all read. It is immutable.
type Plan struct {
	Name, About string
	Duration    time.Duration // warm-up included
	Warmup      time.Duration
	Seed        uint64

	Topology *service.Topology
	Servers  []Server         // by index
	Services []service.Config // by index
	Clients  []user.Config
	Adapt    adapt.Config
	Targets  []Target // real HTTP servers, from `targets:`
	Modules  []Module // modules of other kinds, from `modules:`

	Measures []Measure // every measured variable, standard ones included, sorted by name
	Expect   []Expect

	Text   []byte            // the scenario as run: overrides applied
	Inputs map[string][]byte // files that it reads, by the path written in it
}

// A Server is one emulated host and the process that it lives in.
type Server struct {
	service.HostConfig
	Name     string
	Process  string // servers of the same process share it; default the name
	Engine   string // I/O engine; default "reactors"
	Reactors int    // default 1
	Listen   string // default "127.0.0.1:0"
}

// A Target is a real server under test, started by hand or attached to.
type Target struct {
	Name string
	URL  string
	Exec []string
}

// A Module is a module of another kind, or a program.
type Module struct {
	Name   string
	Kind   string
	Config []byte // JSON
	Exec   []string
	Count  int
}

// A Measure is one measured variable, and who writes it.
type Measure struct {
	dmm.Spec
	Unit, Help string
	History    bool
	// Owners are the participants that write it: names of servers, client groups, or "adapt".
	Owners []string
}

// Declaration returns what the Space is told.
func (m Measure) Declaration() dsv.Declaration { return m.Spec.Declaration(m.Unit, m.Help, m.History) }

// An Expect is a condition that must hold over the run after its warm-up.
type Expect struct {
	Text    string
	Program *expr.Program
}
