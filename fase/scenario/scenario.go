// Package scenario turns a scenario file into a [Plan]: the configuration of every core, the variables that are
// measured and the conditions that must hold.
//
// [Load] reads one file. Mistakes are told several at once, as [Errors], each with file, line, column, a caret and the
// fix. [Format] gives a file its standard form, [Schema] describes the format to editors and [Reference] to people; all
// follow one table of fields. docs/scenario.md is the reference of the format.
package scenario

import (
	"fmt"
	"slices"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dmm/expr"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/adapt"
	filesets "github.com/eve-emulation/eve/fase/files"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/user"
	"github.com/eve-emulation/eve/rdr"
)

// A Plan is a scenario made ready to run: what the modules, the simulator and the report all read. It is immutable.
//
// The topology numbers the servers first and then the targets, and the services first and then the targets again: a
// target is a service on a server of its own, both under its name. Servers and Services follow these numbers, but Servers
// holds the emulated ones alone.
type Plan struct {
	Name, About string
	Duration    time.Duration // warm-up included
	Warmup      time.Duration
	Seed        uint64

	Topology *service.Topology
	Servers  []Server         // by index; without the targets
	Farms    []Farm           // servers that one name stands for
	Services []service.Config // by index; the targets included
	Clients  []user.Config
	Files    []*filesets.Set // by number; every server has them
	Adapt    adapt.Config
	Targets  []Target        // real HTTP servers, from `targets:`
	Faults   []service.Fault // what goes wrong, by instant: one schedule for all
	Short    []Short         // short names of values, from `set:`
	Modules  []Module        // modules of other kinds, from `modules:`

	Measures []Measure // every measured variable, standard ones included, sorted by name
	Expect   []Expect
	SLO      []Expect // what should hold in each second, from `slo:`; see Objectives
	Warnings Errors   // what is allowed but hardly meant

	Text   []byte            // the scenario as run: overrides applied
	Inputs map[string][]byte // files that it reads, by the path written in it

	requests  string // the text of the clients' requests
	network   *service.Network
	declared  []dsv.Declaration // what the kinds of modules declare, by full name
	guests    []string          // those of Inputs that reach who needs them otherwise: WebAssembly, files of configurations
	means     []rdr.Mean        // of the clients' requests, by group
	unbounded Errors            // why there is no mean
	compiled  *compiler         // what actions of programs are checked by
}

// A Server is one emulated host and the process that it lives in.
type Server struct {
	service.HostConfig
	Name     string
	Process  string  // servers of the same process share it; default the name
	Engine   string  // I/O engine, one of Engines; default "reactors"
	Reactors int     // default 1
	Listen   string  // default "127.0.0.1:0"
	Via      string  // the module through which it is reached; empty: directly
	Cost     float64 // of this server, in whatever unit; 0: not told

	// Of those engines that have them; docs/engines.md. None is 0.
	Threads, Helpers, Queue, Backlog int
	Stages                           Stages // seda
}

// A Module is a module of another kind, or a program.
type Module struct {
	Name   string
	Kind   string
	Config []byte // JSON; nil without one
	Exec   []string
	Count  int
}

// Instances are the names of the modules that the entry stands for: its own, or NAME_1, NAME_2 and so on where there are
// several.
func (m Module) Instances() []string {
	if m.Count <= 1 {
		return []string{m.Name}
	}
	names := make([]string, m.Count)
	for i := range names {
		names[i] = fmt.Sprintf("%s_%d", m.Name, i+1)
	}
	return names
}

// owns reports whether variables that begin with a name are the entry's.
func (m Module) owns(name string) bool {
	return m.Name == name || slices.Contains(m.Instances(), name)
}

// A Measure is one measured variable, and who writes it.
type Measure struct {
	dmm.Spec
	Unit, Help string
	History    bool
	// Recipe says how the module's process manipulates a variable that the scenario adds; nil for standard ones, and for
	// what only the kernel manipulates.
	Recipe *dmm.Recipe
	// Kernel is the manipulator in the kernel, of which the variable is; nil for none.
	Kernel *Behind
	// Chained says that those who write have a manipulator of their own, the Spec, behind which the kernel's stands.
	Chained bool
	// Owners are the participants that write it: names of servers, client groups or modules.
	Owners []string
}

// Declaration returns what the Space is told.
func (m Measure) Declaration() dsv.Declaration {
	if m.Kernel != nil {
		return m.Kernel.Declaration(m.Unit, m.Help, m.History)
	}
	return m.Spec.Declaration(m.Unit, m.Help, m.History)
}

// An Expect is a condition that must hold over the run after its warm-up.
type Expect struct {
	Text    string
	Program *expr.Program
}

// Mappings returns where every service is at the start, by index. The addresses of servers are empty: whoever starts
// them fills them in. Those of targets are their own.
func (p *Plan) Mappings() []service.Mapping {
	ms := make([]service.Mapping, len(p.Services))
	for i, s := range p.Services {
		ms[i] = service.Mapping{Epoch: 1, Replicas: make([]service.Replica, len(s.On))}
		for k, on := range s.On {
			ms[i].Replicas[k] = service.Replica{Server: p.Topology.Servers[on], Weight: s.Weight(on), State: service.Serving}
		}
	}
	for _, t := range p.Targets {
		ms[t.Service].Replicas[0].Address = t.Address
	}
	return ms
}

// Owned returns the specs of what a participant writes, by name.
func (p *Plan) Owned(participant string) []dmm.Spec {
	var specs []dmm.Spec
	for _, m := range p.Measures {
		if slices.Contains(m.Owners, participant) {
			specs = append(specs, m.Spec)
		}
	}
	return specs
}

// Processes lists the processes that emulate servers, in the order of their first ones. The process called NAME is measured in
// the variables NAME.process.LEAF of package usage.
func (p *Plan) Processes() []string {
	var names []string
	for i := range p.Servers {
		if !slices.Contains(names, p.Servers[i].Process) {
			names = append(names, p.Servers[i].Process)
		}
	}
	return names
}

// StartName is the variable that holds T0: CLOCK_MONOTONIC nanoseconds.
const StartName dsv.Name = "run.t0"

// Declarations returns what a run declares before it starts: every measured variable, and those that are written whole:
// the mappings, the decisions and T0.
func (p *Plan) Declarations() []dsv.Declaration {
	ds := make([]dsv.Declaration, 0, len(p.Measures)+len(p.Services)+2)
	for _, m := range p.Measures {
		ds = append(ds, m.Declaration())
	}
	for _, s := range p.Services {
		ds = append(ds, dsv.Declaration{
			Name: service.MapName(s.Name), Kind: dsv.Text, Help: "where " + s.Name + " is", History: true,
		})
	}
	if len(p.Faults) > 0 {
		ds = append(ds, dsv.Declaration{Name: FaultsName, Kind: dsv.Bytes, Help: "what went wrong", Merge: dsv.Append, History: true})
	}
	for i := range p.Adapt.Controls {
		ds = append(ds, controlDeclaration(&p.Adapt.Controls[i]))
	}
	return append(ds,
		dsv.Declaration{Name: adapt.DecisionsName, Kind: dsv.Bytes, Help: "what the rules decided", Merge: dsv.Append, History: true},
		dsv.Declaration{Name: StartName, Kind: dsv.Int, Unit: "ns", Help: "the start of the run on CLOCK_MONOTONIC"},
	)
}
