// Package recipe makes manipulators of what a scenario or a frame says: a name, an expression, or a WebAssembly guest.
package recipe

import (
	"context"
	"errors"
	"fmt"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dmm/expr"
	"github.com/eve-emulation/eve/dmm/wasm"
	"github.com/eve-emulation/eve/dsv"
)

// Made is a Spec that was made of a Recipe, and the guest in it.
type Made struct {
	Spec  dmm.Spec
	guest *wasm.Module
}

// Make makes the Spec of the variable called name, which is checked. Names are looked up in own first, and then among
// those that Eve has. Whoever gets a Made closes it, after the Set that the Spec is in.
func Make(ctx context.Context, name dsv.Name, r dmm.Recipe, own dmm.Registry) (*Made, error) {
	m := &Made{Spec: dmm.Spec{Name: name, Param: r.Param, Sync: r.Sync}}
	if err := m.make(ctx, r, own); err != nil {
		return nil, fmt.Errorf("measure %s: %w", name, err)
	}
	if err := m.Spec.Check(); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

func (m *Made) make(ctx context.Context, r dmm.Recipe, own dmm.Registry) error {
	s := &m.Spec
	if n := r.Ways(); n != 1 {
		return fmt.Errorf("%d manipulators: want one name, expression or guest: %w", n, dmm.ErrManipulator)
	}
	var err error
	switch {
	case r.Expr != "":
		s.Manipulator = "expr"
		s.Custom, err = expr.Manipulator(r.Expr, r.Init)
	case r.Wasm != nil:
		s.Manipulator = "wasm"
		if m.guest, err = wasm.Compile(ctx, r.Wasm); err == nil {
			s.Custom, err = m.guest.Manipulator("wasm")
		}
		if err != nil {
			err = errors.Join(err, m.Close())
		}
	default:
		s.Manipulator = r.Name
		if x, lerr := own.Lookup(r.Name); lerr == nil {
			s.Custom = &x
			return nil
		}
		_, err = dmm.Shipped().Lookup(r.Name)
	}
	return err
}

// Guest says whether there is a guest in it.
func (m *Made) Guest() bool { return m.guest != nil }

// Close releases the guest, if there is one: what is written later is held as it is. It may be called twice.
func (m *Made) Close() error {
	if m.guest == nil {
		return nil
	}
	return m.guest.Close()
}
