package wasm

import (
	"fmt"
	"math"
	"slices"

	"github.com/tetratelabs/wazero/api"
)

// A Filter lets events pass or not, as a guest says. Any goroutine may call it; calls wait for each other.
type Filter struct {
	in     *instance
	pass   api.Function
	buffer api.Function // nil: it reads no data
	data   int          // the index of data in the inputs; -1
	detach func(error)
}

// Filter makes a filter of a guest that exports pass. onDetach, which may be nil, is told why when the guest is detached
// for a fault: once, by the call that met it, before that call returns. ErrGuest when the guest exports no pass. The
// caller closes the Filter; Module.Close does too.
func (m *Module) Filter(onDetach func(error)) (*Filter, error) {
	if m.exports.pass == "" {
		return nil, fmt.Errorf("make filter: %w: it exports no pass", ErrGuest)
	}
	in, err := m.instantiate()
	if err != nil {
		return nil, fmt.Errorf("make filter: %w", err)
	}
	f := &Filter{
		in: in, pass: in.guest.ExportedFunction(m.exports.pass), data: slices.Index(m.exports.inputs, dataInput), detach: onDetach,
	}
	if f.data >= 0 {
		f.buffer = in.guest.ExportedFunction("buffer")
	}
	return f, nil
}

// Inputs returns what Pass takes values of, in their order, as the guest's export names them; "data" among them where the
// guest reads an event's data. The slice is the Filter's own.
func (f *Filter) Inputs() []string { return f.in.module.exports.inputs }

// Pass reports whether an event passes. values are those of Inputs; what is missing at the end, or not known, is NaN, and
// the value at the place of data is not looked at. data stays the caller's. An event passes a guest that is detached; the
// error says why it was.
func (f *Filter) Pass(values []float64, data []byte) (bool, error) {
	in := f.in
	in.mu.Lock()
	before := in.fault
	pass, err := f.ask(values, data)
	in.mu.Unlock()
	if err != nil && before == nil && f.detach != nil {
		f.detach(err)
	}
	return pass || err != nil, err
}

// ask calls the guest. Callers hold the instance's lock.
func (f *Filter) ask(values []float64, data []byte) (bool, error) {
	in := f.in
	if in.fault != nil {
		return true, in.fault
	}
	size := uint64(0)
	if f.data >= 0 {
		if err := f.hand(data); err != nil {
			return true, err
		}
		size = uint64(len(data))
	}
	for i := range in.module.exports.inputs {
		switch {
		case i == f.data:
			in.stack[i] = size
		case i < len(values):
			in.stack[i] = math.Float64bits(values[i])
		default:
			in.stack[i] = math.Float64bits(math.NaN())
		}
	}
	if err := in.call("pass", f.pass, MaxSteps); err != nil {
		return true, err
	}
	return uint32(in.stack[0]) != 0, nil
}

// hand copies an event's data to where the guest wants them.
func (f *Filter) hand(data []byte) error {
	in := f.in
	in.stack[0] = uint64(len(data))
	if err := in.call("buffer", f.buffer, MaxSteps); err != nil {
		return err
	}
	if !in.guest.Memory().Write(uint32(in.stack[0]), data) {
		return in.detach(&Fault{Function: "buffer", Err: ErrResult, Detail: fmt.Sprintf("no room for %d bytes at %d", len(data), uint32(in.stack[0]))})
	}
	return nil
}

// Close detaches the guest. It may be called twice, and waits for a call under way.
func (f *Filter) Close() error { return f.in.close() }
