package wasm

import (
	"errors"
	"fmt"

	"github.com/tetratelabs/wazero/api"
)

// ErrStop reports that a guest wants the connection of its stream closed. It is no fault: the guest stays.
var ErrStop = errors.New("the guest closes the connection")

// A Direction says which way a stream flows.
type Direction uint8

// The directions.
const (
	Up   Direction = iota // from the client to the server
	Down                  // from the server to the client
)

// String returns "up" or "down".
func (d Direction) String() string {
	if d == Down {
		return "down"
	}
	return "up"
}

// stream is what a guest exports for streams.
type stream struct {
	export    string // inspect or transform; empty: none
	open, end bool
}

// The exports of guests for streams.
const (
	inspectExport   = "inspect"
	transformExport = "transform"
	openExport      = "open"
	endExport       = "end"
	toldExport      = "told"
)

// streams finds what a guest exports for streams. Without inspect or transform the other names are its own. room says that
// it has memory and a buffer in it.
func streams(functions map[string]api.FunctionDefinition, room bool) (s stream, err error) {
	i32, i64 := api.ValueTypeI32, api.ValueTypeI64
	if f := functions[inspectExport]; f != nil {
		s.export, err = inspectExport, signature(f, inspectExport, []api.ValueType{i32}, i32)
	}
	if f := functions[transformExport]; f != nil {
		if s.export != "" {
			return stream{}, errors.New("it exports both inspect and transform")
		}
		s.export, err = transformExport, signature(f, transformExport, []api.ValueType{i32}, i64)
	}
	if s.export == "" || err != nil {
		return stream{}, err
	}
	if !room {
		return stream{}, fmt.Errorf("%s reads a stream, which needs the exports memory and buffer", s.export)
	}
	if f := functions[openExport]; f != nil {
		s.open, err = true, signature(f, openExport, []api.ValueType{i32})
	}
	if f := functions[endExport]; f != nil && s.export == transformExport {
		s.end, err = true, errors.Join(err, signature(f, endExport, nil, i64))
	}
	return s, err
}

// A Stream is one direction of one connection as a guest sees it: chunk by chunk, with memory of its own. It belongs to one
// goroutine at a time; Close may be called from any.
type Stream struct {
	in         *instance
	buffer, f  api.Function
	end        api.Function // nil: nothing is held back at the end
	told       api.Global   // nil: it tells nothing
	transforms bool
	taken      int64 // bytes that came
	given      int64 // bytes that went on
	heard      int64 // what it had told at the last Told
}

// Streams reports whether the guest is one for streams.
func (m *Module) Streams() bool { return m.exports.stream.export != "" }

// Stream begins a guest for one direction of a connection. ErrGuest when it exports neither inspect nor transform. The
// caller closes the Stream; Module.Close does too.
func (m *Module) Stream(d Direction) (*Stream, error) {
	if m.exports.stream.export == "" {
		return nil, fmt.Errorf("make stream: %w: it exports neither inspect nor transform", ErrGuest)
	}
	in, err := m.instantiate()
	if err != nil {
		return nil, fmt.Errorf("make stream: %w", err)
	}
	s := &Stream{
		in: in, buffer: in.guest.ExportedFunction("buffer"), f: in.guest.ExportedFunction(m.exports.stream.export),
		transforms: m.exports.stream.export == transformExport,
	}
	if m.exports.stream.end {
		s.end = in.guest.ExportedFunction(endExport)
	}
	if g := in.guest.ExportedGlobal(toldExport); g != nil && g.Type() == api.ValueTypeI64 {
		s.told = g
	}
	if m.exports.stream.open {
		in.mu.Lock()
		in.stack[0] = uint64(d)
		err = in.call(openExport, in.guest.ExportedFunction(openExport), MaxSteps)
		in.mu.Unlock()
	}
	if err != nil {
		return nil, fmt.Errorf("make stream: %w", err)
	}
	return s, nil
}

// Transforms reports whether the guest may change what goes on.
func (s *Stream) Transforms() bool { return s.transforms }

// Chunk hands the guest what came next and returns what goes on: of a guest that inspects, data itself; of one that
// transforms, a part of the guest's memory, which is valid until the next call. It allocates nothing. ErrStop when the guest
// wants the connection closed; a [Fault] when it was detached, and [Stream.Whole] then tells whether the stream can do without.
func (s *Stream) Chunk(data []byte) ([]byte, error) {
	in := s.in
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.fault != nil {
		return nil, in.fault
	}
	in.stack[0] = uint64(len(data))
	if err := in.call("buffer", s.buffer, MaxSteps); err != nil {
		return nil, err
	}
	if at := uint32(in.stack[0]); !in.guest.Memory().Write(at, data) {
		return nil, in.detach(&Fault{Function: "buffer", Err: ErrMemory, Detail: fmt.Sprintf("no room for %d bytes at %d", len(data), at)})
	}
	in.stack[0] = uint64(len(data))
	if !s.transforms {
		if err := in.call(inspectExport, s.f, MaxSteps); err != nil {
			return nil, err
		}
		if uint32(in.stack[0]) != 0 {
			return nil, ErrStop
		}
		return data, nil
	}
	out, err := s.result(transformExport, s.f)
	if err == nil {
		s.taken += int64(len(data))
	}
	return out, err
}

// End tells the guest that its stream has ended, and returns what it still lets go on, as Chunk does.
func (s *Stream) End() ([]byte, error) {
	if s.end == nil {
		return nil, nil
	}
	s.in.mu.Lock()
	defer s.in.mu.Unlock()
	return s.result(endExport, s.end)
}

// stop is the result by which a guest asks for the end of its connection.
const stop = 1<<64 - 1

// result calls a function that answers a piece of memory: the address in the upper half, the size in the lower. Callers
// hold the instance's lock, and have set the arguments.
func (s *Stream) result(name string, f api.Function) ([]byte, error) {
	in := s.in
	if err := in.call(name, f, MaxSteps); err != nil {
		return nil, err
	}
	r := in.stack[0]
	if r == stop {
		return nil, ErrStop
	}
	out, ok := in.guest.Memory().Read(uint32(r>>32), uint32(r))
	if !ok {
		return nil, in.detach(&Fault{Function: name, Err: ErrMemory, Detail: fmt.Sprintf("%d bytes at %d", uint32(r), r>>32)})
	}
	s.given += int64(len(out))
	return out, nil
}

// Whole reports whether as much went on as came: then the stream can go on without its guest, and lacks nothing. One that
// a guest has shortened, or of which it holds something back, can not.
func (s *Stream) Whole() bool { return s.taken == s.given }

// Told returns by how much the guest's global `told` has grown since the last Told; 0 where it has none. A guest that was
// detached tells nothing.
func (s *Stream) Told() int64 {
	if s.told == nil {
		return 0
	}
	s.in.mu.Lock()
	defer s.in.mu.Unlock()
	if s.in.fault != nil {
		return 0
	}
	now := int64(s.told.Get())
	more := now - s.heard
	s.heard = now
	return more
}

// Close detaches the guest. It may be called twice, and waits for a call under way.
func (s *Stream) Close() error { return s.in.close() }
