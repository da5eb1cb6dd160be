package adapter

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/eve-emulation/eve/evekernel/wire"
	"github.com/eve-emulation/eve/fase/adapt"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/modules/program"
)

// MaxActions is how many actions one act may ask for.
const MaxActions = 16

// virtualPatience is how long a simulation waits for an answer, in real time.
const virtualPatience = 10 * time.Second

// A Program is a controller of a plan that is a program, while it runs. It belongs to one goroutine.
type Program struct {
	Control int // index in the plan's Adapt.Controls

	plan    *scenario.Plan
	process *program.Program
	told    map[string]bool // what was wrong and is known
	lost    error           // that it has ended, as Step found
}

// Programs starts the programs that control a plan. log takes the lines that they print on standard error, from goroutines.
// The caller closes each; on an error none runs.
func Programs(plan *scenario.Plan, log func(line string)) ([]*Program, error) {
	var list []*Program
	for i := range plan.Adapt.Controls {
		c := &plan.Adapt.Controls[i]
		if c.New != nil || len(c.Exec) == 0 {
			continue
		}
		p, err := program.Start(program.Config{
			Name: c.Name, Run: plan.Name, Seed: plan.Seed, Argv: c.Exec, Log: func(line string) { log(c.Name + ": " + line) },
		})
		if err != nil {
			return nil, errors.Join(err, Close(list))
		}
		list = append(list, &Program{Control: i, plan: plan, process: p, told: map[string]bool{}})
	}
	return list, nil
}

// Close ends programs in order, all at once, and returns when nothing is left of them.
func Close(programs []*Program) error {
	errs := make([]error, len(programs))
	var work sync.WaitGroup
	for i, p := range programs {
		work.Go(func() { errs[i] = p.process.Close() })
	}
	work.Wait()
	return errors.Join(errs...)
}

// Name is the controller's.
func (p *Program) Name() string { return p.plan.Adapt.Controls[p.Control].Name }

// PID is the number of its process.
func (p *Program) PID() int { return p.process.PID() }

// Step answers a tick of virtual time, for package sim. told takes what else went wrong. An error says that the program has
// ended; when ctx ends it leaves everything as it is.
func (p *Program) Step(ctx context.Context, t adapt.Tick, told func(cause string)) (adapt.Answer, error) {
	act, err := p.process.Step(ctx, frame(t), virtualPatience, func(err error) { p.tell(err, told) })
	switch {
	case err == nil:
		return p.answer(act, told), nil
	case ctx.Err() != nil:
		return adapt.None(), nil
	}
	p.lost = fmt.Errorf("controller %s %w", p.Name(), err)
	return adapt.None(), err
}

// Lost is the error that tells how the first of them ended that had before Close, as Step found; nil for none.
func Lost(programs []*Program) error {
	for _, p := range programs {
		if p.lost != nil {
			return p.lost
		}
	}
	return nil
}

// tell tells what is wrong once: of lines that answer nothing the first.
func (p *Program) tell(err error, told func(cause string)) {
	key := err.Error()
	if errors.Is(err, program.ErrNonsense) {
		key = ""
	}
	if len(p.told) < 1000 && !p.told[key] {
		p.told[key] = true
		told(program.Legible(err.Error()))
	}
}

// frame is a tick as a program is told it.
func frame(t adapt.Tick) *wire.Tick {
	f := &wire.Tick{
		At: wire.Int(t.At), N: wire.Uint(t.N + 1), Readings: make(map[string]*float64, len(t.Readings)), Value: known(t.Value),
		Replicas: t.Replicas,
	}
	for name, x := range t.Readings {
		f.Readings[name] = known(x)
	}
	return f
}

// known is a number as JSON has it: nil where there is none.
func known(x float64) *float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil
	}
	return &x
}

// answer is what an act asks for. With an action that cannot be done it asks for nothing, and told is told why.
func (p *Program) answer(act *wire.Act, told func(cause string)) adapt.Answer {
	a := adapt.None()
	a.Why = clip(act.Why)
	if len(act.Actions) > MaxActions {
		p.tell(fmt.Errorf("asked for %d actions at once: at most %d", len(act.Actions), MaxActions), told)
		return adapt.None()
	}
	for _, text := range act.Actions {
		do, err := p.plan.Action(text)
		if err != nil {
			p.tell(fmt.Errorf("asked for %w", err), told)
			return adapt.None()
		}
		a.Actions = append(a.Actions, do)
	}
	if act.Value == nil {
		return a
	}
	if c := &p.plan.Adapt.Controls[p.Control]; c.Actuator.Verb == "" {
		p.tell(errors.New("answered with a value, which nothing takes: the scenario says by scale, limit, degrade or set what it controls"), told)
		return adapt.None()
	}
	a.Value = *act.Value
	return a
}

// clip shortens what a program says of itself.
func clip(s string) string {
	const most = 200
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return program.Legible(s)
}
