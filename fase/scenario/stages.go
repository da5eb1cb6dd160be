package scenario

import (
	"fmt"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/admit"
	"github.com/eve-emulation/eve/fase/machine"
)

// Stages describes the controllers of the stages of a server whose engine is seda. The zero value is them as published.
type Stages struct {
	Least     int           // threads of a stage, from the start on; default 1
	Sample    time.Duration // how often a stage's queue is looked at; default 2 s
	Threshold int           // a queue longer than this gets a thread more; default 100
	Idle      time.Duration // a thread without an event for so long is removed; default 5 s
	Batch     int           // events that a thread takes at a time; default: as the batching controller has it
	Control   admit.ControlConfig
}

// rawStages is what of `engine:` is for stages.
type rawStages struct {
	least, threshold, batch spot[int]
	sample, idle            spot[time.Duration]
	control                 rawAdmit // of which the control alone
}

func (r *rawStages) own() []ownKey {
	seda := []string{"seda"}
	return []ownKey{
		{"least", r.least.at, seda},
		{"sample", r.sample.at, seda},
		{"threshold", r.threshold.at, seda},
		{"idle", r.idle.at, seda},
		{"batch", r.batch.at, seda},
		{"control", r.control.control, seda},
	}
}

func stageFields(r *rawStages) []field {
	return []field{
		{key: "least", value: whole(&r.least, 1, 10_000), def: "1", help: "seda: threads of a stage, from the start on"},
		{key: "sample", value: duration(&r.sample, time.Millisecond, false), def: "2s", help: "seda: how often a stage's queue is looked at"},
		{key: "threshold", value: whole(&r.threshold, 1, 1_000_000), def: "100", help: "seda: a stage whose queue is longer then gets a thread more"},
		{key: "idle", value: duration(&r.idle, time.Millisecond, false), def: "5s", help: "seda: a thread that had no event for so long is removed"},
		{key: "batch", value: whole(&r.batch, 1, 1_000_000), help: "seda: events that a thread takes at a time; without it the batching controller says"},
		{key: "control", value: section(&r.control.control, "control", controlFields(&r.control)), help: "seda: a controller of the response time of the handle stage; what it refuses is answered 503 with Retry-After"},
	}
}

// stages makes the controllers of stages of what is written.
func (c *compiler) stages(r *rawStages) Stages {
	s := Stages{Least: r.least.v, Sample: r.sample.v, Threshold: r.threshold.v, Idle: r.idle.v, Batch: r.batch.v}
	if r.control.control != nil {
		s.Control = c.control(&r.control)
	}
	return s
}

// stageControl tells of a controller that would see no response times, because requests wait elsewhere.
func (c *compiler) stageControl(s *rawServer) {
	at := s.engine.stages.control.control
	if at == nil {
		return
	}
	const instead = "the controllers of `admit` see requests wherever they wait"
	switch d := s.discipline.v; {
	case s.run.v == "hold":
		c.at(at, "requests wait in the emulated machine, and not in the handle stage, which this would control", "write `run: burn`; "+instead)
	case d != machine.FCFS.String() && d != machine.OS.String():
		c.at(at, fmt.Sprintf("under %s requests wait in the emulated machine, and not in the handle stage, which this would control", d), "choose fcfs or os; "+instead)
	}
}

// StageNames are the stages of an engine, as its figures name them; none of one without.
func StageNames(engine string) []string {
	switch engine {
	case "seda":
		return []string{"parse", "handle", "file", "write"}
	case "actors":
		return []string{"schedulers", "io"}
	}
	return nil
}

// stages measures the stages of a server whose engine has some.
func (s *standard) stages(x string) {
	server := s.plan.Servers[s.plan.Topology.Server(x)]
	for _, name := range StageNames(server.Engine) {
		at := x + ".stage." + name
		for _, v := range [][2]string{
			{"queue", "events that wait"},
			{"threads", "threads"},
			{"batch", "events that a thread takes at a time"},
		} {
			s.put([]string{x}, dmm.Spec{Name: dsv.Name(at + "." + v[0]), Manipulator: "last", Sync: dmm.Trigger{Every: period}}, "1", v[1])
		}
		s.add([]string{x}, "sum", at+".served", "1", "events that were served")
		s.add([]string{x}, "sum", at+".refused", "1", "events that were refused: the queue was full, or the controller had it so")
	}
}
