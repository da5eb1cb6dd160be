package modules

import (
	"context"
	"fmt"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dmm/recipe"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel/wire"
)

// Manipulate creates a variable with a manipulator before it, in the kernel: the numbers that anybody writes are samples,
// deltas of its own kind and rule are merged in, and readers see what its trigger synchronises. Kind and rule of the
// declaration follow from the manipulator where the kind is 0. Again with the same recipe it is no error; with another one
// it is dsv.ErrExists.
func (p *Proxy) Manipulate(ctx context.Context, d dsv.Declaration, r dmm.Recipe) error {
	w := wire.FromDecl(d)
	if d.Kind == 0 {
		w.Kind, w.Merge = "", ""
	}
	_, err := p.wait(ctx, &call{req: wire.Req{Op: wire.OpCreate, Decl: w, Dmm: &r}, repeat: true})
	return local(err, "create", d.Name)
}

// ReadOver asks the kernel for a derived value, such as app.latency.p95, over the last window; 0 stands for all since the
// variable was created. dsv.ErrUnset when there is nothing to compute it of.
func (p *Proxy) ReadOver(ctx context.Context, n dsv.Name, window time.Duration) (dsv.Reading, error) {
	res, err := p.do(ctx, wire.Req{Op: wire.OpRead, Name: n, Window: wire.Int(window)}, true)
	if err != nil {
		return dsv.Reading{}, local(err, "read", n)
	}
	r, err := res.Reading.Reading()
	return r, local(err, "read", n)
}

// Manipulators lists those that the program has beside Eve's own.
func (e *Env) Manipulators() dmm.Registry { return e.link.Manipulators }

// Controllers are the kinds of controllers that the program has beside Eve's own.
func (e *Env) Controllers() map[string]any { return e.link.Controllers }

// recipes puts what the scenario says of variables in the place of what the module asks for. The guests in it are closed
// when the module ends.
func (e *Env) recipes(ctx context.Context, specs []dmm.Spec) ([]dmm.Spec, error) {
	if !e.listed {
		list, err := recipe.Published(ctx, e.proxy)
		if err != nil {
			return nil, err
		}
		e.list, e.listed = list, true
	}
	own := make([]dmm.Spec, len(specs))
	for i, s := range specs {
		own[i] = s
		made, ok, err := e.list.Make(ctx, e.proxy, s.Name, e.link.Manipulators)
		if err != nil {
			return nil, err
		}
		if ok {
			own[i] = made.Spec
			e.made = append(e.made, made)
		}
		if own[i].Custom == nil && own[i].Manipulator != "" {
			if m, err := e.link.Manipulators.Lookup(own[i].Manipulator); err == nil {
				own[i].Custom = &m
			}
		}
		if own[i].OnFault == nil {
			own[i].OnFault = func(n dsv.Name, err error) { e.Logf("variable %s goes on without its manipulator: %v", n, err) }
		}
	}
	return own, nil
}

// checkManipulators returns nil for manipulators that a scenario can name.
func checkManipulators(have dmm.Registry, add []dmm.Manipulator) error {
	for _, m := range add {
		if _, err := have.Lookup(m.Name); err == nil {
			return fmt.Errorf("register manipulator %s: there is one of that name", m.Name)
		}
		if err := m.Check(); err != nil {
			return fmt.Errorf("register %w", err)
		}
		have = append(have, m)
	}
	return nil
}
