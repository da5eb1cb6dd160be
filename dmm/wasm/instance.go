package wasm

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// An instance is one life of a guest, with memory of its own.
type instance struct {
	module *Module

	mu    sync.Mutex // guards what follows
	guest api.Module
	steps api.MutableGlobal
	stack []uint64 // arguments and results of calls
	fault error    // nil: it may be called
}

// startSteps is how many times the steps of a call the beginning of a guest may take.
const startSteps = 10

// instantiate begins a guest: its start function, and _initialize where it has that.
func (m *Module) instantiate() (*instance, error) {
	m.begin.RLock()
	defer m.begin.RUnlock()
	in := &instance{module: m, stack: make([]uint64, max(2, len(m.exports.inputs)))}
	m.mu.Lock()
	closed := m.instances == nil
	m.mu.Unlock()
	if closed {
		return nil, &Fault{Function: "start", Err: ErrClosed}
	}
	ctx := context.Background()
	guest, err := m.runtime.InstantiateModule(ctx, m.compiled, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		return nil, &Fault{Function: "start", Err: ErrTrap, Detail: firstLine(err)}
	}
	in.guest = guest
	in.steps, _ = guest.ExportedGlobal(stepsExport).(api.MutableGlobal)
	if err := in.start(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.instances[in] = struct{}{}
	return in, nil
}

// start runs what the guest begins with.
func (in *instance) start() error {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, f := range []struct{ name, export string }{{"start", startExport}, {"_initialize", "_initialize"}} {
		begin := in.guest.ExportedFunction(f.export)
		if begin == nil {
			continue
		}
		if err := in.call(f.name, begin, startSteps*MaxSteps); err != nil {
			return err
		}
	}
	return nil
}

// call calls a function of the guest with what stands in in.stack, where its result stands afterwards. A guest that does
// not come back as it should is detached. Callers hold mu.
func (in *instance) call(name string, f api.Function, steps uint64) error {
	if in.fault != nil {
		return in.fault
	}
	in.steps.Set(steps)
	if err := f.CallWithStack(context.Background(), in.stack); err != nil {
		return in.detach(in.why(name, steps, err))
	}
	return nil
}

// why says what an error of a call means.
func (in *instance) why(name string, steps uint64, err error) *Fault {
	if int64(in.steps.Get()) < 0 {
		return &Fault{Function: name, Err: ErrSteps, Detail: fmt.Sprintf("at most %d", steps)}
	}
	return &Fault{Function: name, Err: ErrTrap, Detail: firstLine(err)}
}

// detach ends the guest and returns why. Callers hold mu.
func (in *instance) detach(fault *Fault) error {
	in.fault = fault
	in.module.forget(in)
	if err := in.guest.Close(context.Background()); err != nil {
		return errors.Join(fault, err)
	}
	return fault
}

// close ends the guest. It may be called twice, and waits for a call under way.
func (in *instance) close() error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.fault != nil {
		return nil
	}
	in.fault = &Fault{Function: "guest", Err: ErrClosed}
	in.module.forget(in)
	return in.guest.Close(context.Background())
}

func (m *Module) forget(in *instance) {
	m.mu.Lock()
	delete(m.instances, in)
	m.mu.Unlock()
}

// firstLine returns what the runtime says of a trap, without the stack.
func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return strings.TrimSuffix(strings.TrimPrefix(line, "wasm error: "), " (recovered by wazero)")
}
