// Package wasm runs manipulators, filters and extensions of streams that are WebAssembly: guests, which arrive as bytes and
// run inside the process where the data arise.
//
// The nouns: a [Module] is a guest that was checked and compiled; it makes [dmm.Manipulator]s of guests that export
// `fold`, [Filter]s of guests that export `pass`, and [Stream]s of guests that export `inspect` or `transform`. A [Fault] is
// why a guest was detached.
//
// A guest imports nothing: it has no clock, no files, no network, and no memory but its own, at most [MaxPages] pages. A
// call takes at most [MaxSteps] steps: Compile writes into the guest's code, at the head of each function and loop, what
// counts them, because the machine code of a guest is not preempted, and a guest that recursed for ever would otherwise
// stop its process. So a bound costs no timer and no goroutine, and where a guest ends does not depend on the machine or
// what else it does. A guest that does not keep to its bounds, traps, or answers what is no number is detached: it is not
// called again.
//
// The reference is docs/writing-manipulators.md, and docs/writing-extensions.md for streams. The runtime is wazero, which this package alone imports.
package wasm

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// The bounds of a guest.
const (
	MaxSize  = 512 << 10 // bytes of the binary
	MaxPages = 16        // of memory, 64 KiB each
	MaxSteps = 1_000_000 // of one call: about one per instruction, a millisecond or less
)

// ErrGuest reports bytes that are no guest: not WebAssembly, too large, with imports, without the exports that are due.
var ErrGuest = errors.New("not a guest")

// Why a guest was detached; a [Fault] wraps one of them.
var (
	ErrTrap   = errors.New("trapped")
	ErrSteps  = errors.New("took too many steps")
	ErrResult = errors.New("answered what is no number")
	ErrMemory = errors.New("answered what is not in its memory")
	ErrClosed = errors.New("closed")
)

// A Fault is why a guest was detached.
type Fault struct {
	Function string // that was called
	Err      error  // ErrTrap, ErrSteps, ErrResult, ErrMemory or ErrClosed
	Detail   string // more about it; or empty
}

// Error returns `call fold: trapped: integer divide by zero`.
func (f *Fault) Error() string {
	if f.Detail == "" {
		return fmt.Sprintf("call %s: %v", f.Function, f.Err)
	}
	return fmt.Sprintf("call %s: %v: %s", f.Function, f.Err, f.Detail)
}

// Unwrap returns the reason.
func (f *Fault) Unwrap() error { return f.Err }

// A Module is a guest that was checked and compiled, once for all that is made of it. Its methods may be called from any
// goroutine.
type Module struct {
	runtime  wazero.Runtime
	compiled wazero.CompiledModule
	exports  exports

	begin sync.RWMutex // held for reading while an instance begins, so that Close waits for it

	mu        sync.Mutex             // guards instances
	instances map[*instance]struct{} // nil once closed
}

// Compile checks and compiles a guest, whose bytes stay the caller's. ErrGuest when they are none. It takes a millisecond
// for a small guest, and some seconds for the worst that the bounds allow. Close releases the Module at once; one that
// nobody holds, nor anything made of it, is released in time.
func Compile(ctx context.Context, guest []byte) (*Module, error) {
	m, err := compile(ctx, guest)
	if err != nil {
		return nil, fmt.Errorf("compile guest: %w", err)
	}
	return m, nil
}

func compile(ctx context.Context, guest []byte) (*Module, error) {
	if len(guest) > MaxSize {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrGuest, len(guest), MaxSize)
	}
	parts, err := sections(guest)
	if err != nil {
		return nil, err
	}
	metered, err := meter(parts)
	if err != nil {
		return nil, err
	}
	found, err := check(ctx, binary(parts))
	if err != nil {
		return nil, err
	}
	m := &Module{
		runtime:   wazero.NewRuntimeWithConfig(ctx, config(wazero.NewRuntimeConfig())),
		exports:   found,
		instances: map[*instance]struct{}{},
	}
	m.compiled, err = m.runtime.CompileModule(ctx, metered)
	if err == nil {
		err = m.try()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", ErrGuest, err), m.Close())
	}
	return m, nil
}

// config bounds what guests may do and use.
func config(c wazero.RuntimeConfig) wazero.RuntimeConfig {
	features := api.CoreFeaturesV2 &^ api.CoreFeatureSIMD
	return c.WithCoreFeatures(features).WithMemoryLimitPages(MaxPages).WithDebugInfoEnabled(false)
}

// try makes an instance once, so that a guest that cannot begin is told when it is compiled.
func (m *Module) try() error {
	s := m.shadow()
	return errors.Join(s.fault, s.Close())
}

// Close detaches all that was made of the module and releases it. It may be called twice, and waits for calls under way.
func (m *Module) Close() error {
	m.begin.Lock()
	m.mu.Lock()
	instances := m.instances
	m.instances = nil
	m.mu.Unlock()
	m.begin.Unlock()
	var errs []error
	for in := range instances {
		errs = append(errs, in.close())
	}
	return errors.Join(append(errs, m.runtime.Close(context.Background()))...)
}
