package wasm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// exports is what a guest offers.
type exports struct {
	fold, init bool
	pass       string   // the name of the export; empty: none
	inputs     []string // of pass
	buffer     bool
	stream     stream
}

// The names of a filter's inputs that are not attributes.
const dataInput = "data"

// check validates a guest and finds out what it offers. The interpreter is used because it compiles nothing.
func check(ctx context.Context, guest []byte) (e exports, err error) {
	r := wazero.NewRuntimeWithConfig(ctx, config(wazero.NewRuntimeConfigInterpreter()))
	defer func() { err = errors.Join(err, r.Close(ctx)) }()
	c, err := r.CompileModule(ctx, guest)
	if err != nil {
		return exports{}, fmt.Errorf("%w: %w", ErrGuest, err)
	}
	return found(c.ExportedFunctions(), len(c.ExportedMemories()) > 0)
}

func found(functions map[string]api.FunctionDefinition, memory bool) (exports, error) {
	var e exports
	f64, i32 := api.ValueTypeF64, api.ValueTypeI32
	for name, f := range functions {
		var err error
		switch {
		case name == "fold":
			e.fold, err = true, signature(f, name, []api.ValueType{f64, f64}, f64)
		case name == "init":
			e.init, err = true, signature(f, name, nil, f64)
		case name == "buffer":
			e.buffer, err = true, signature(f, name, []api.ValueType{i32}, i32)
		case name == "_initialize":
			err = signature(f, name, nil)
		case name == "pass" || strings.HasPrefix(name, "pass("):
			if e.pass != "" {
				return exports{}, fmt.Errorf("%w: it exports pass twice", ErrGuest)
			}
			if e.pass, e.inputs, err = name, nil, nil; name != "pass" {
				e.inputs, err = inputs(name)
			}
			if err == nil {
				err = signature(f, name, parameters(e.inputs), i32)
			}
		}
		if err != nil {
			return exports{}, fmt.Errorf("%w: %w", ErrGuest, err)
		}
	}
	var err error
	if e.stream, err = streams(functions, memory && e.buffer); err != nil {
		return exports{}, fmt.Errorf("%w: %w", ErrGuest, err)
	}
	switch {
	case !e.fold && e.pass == "" && e.stream.export == "":
		return exports{}, fmt.Errorf("%w: it exports none of fold, pass, inspect and transform", ErrGuest)
	case slices.Contains(e.inputs, dataInput) && !(e.buffer && memory):
		return exports{}, fmt.Errorf("%w: %s reads data, which needs the exports memory and buffer", ErrGuest, e.pass)
	}
	return e, nil
}

// inputs reads the names from an export such as "pass(level, sink.load)".
func inputs(export string) ([]string, error) {
	list, ok := strings.CutSuffix(strings.TrimPrefix(export, "pass("), ")")
	if !ok {
		return nil, fmt.Errorf("%q does not end with a parenthesis", export)
	}
	if strings.TrimSpace(list) == "" {
		return nil, nil
	}
	names := strings.Split(list, ",")
	for i, n := range names {
		names[i] = strings.TrimSpace(n)
		if names[i] == "" || slices.Contains(names[:i], names[i]) {
			return nil, fmt.Errorf("%q names nothing, or something twice", export)
		}
	}
	return names, nil
}

// parameters returns the types that pass takes its inputs in.
func parameters(inputs []string) []api.ValueType {
	types := make([]api.ValueType, len(inputs))
	for i, n := range inputs {
		types[i] = api.ValueTypeF64
		if n == dataInput {
			types[i] = api.ValueTypeI32
		}
	}
	return types
}

func signature(f api.FunctionDefinition, name string, params []api.ValueType, results ...api.ValueType) error {
	if slices.Equal(f.ParamTypes(), params) && slices.Equal(f.ResultTypes(), results) {
		return nil
	}
	return fmt.Errorf("%s is %s, want %s", name, said(f.ParamTypes(), f.ResultTypes()), said(params, results))
}

// said writes a signature such as "(f64, f64) -> f64".
func said(params, results []api.ValueType) string {
	join := func(types []api.ValueType) string {
		names := make([]string, len(types))
		for i, t := range types {
			names[i] = api.ValueTypeName(t)
		}
		return strings.Join(names, ", ")
	}
	if len(results) == 0 {
		return "(" + join(params) + ")"
	}
	return "(" + join(params) + ") -> " + join(results)
}
