package scenario

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dmm/recipe"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/user"
)

// The variables by which a run hands its scenario to the modules.
const (
	textName     dsv.Name = "run.scenario" // Text: the scenario as run
	inputsName   dsv.Name = "run.inputs"   // Text: JSON, the files that it reads
	declaredName dsv.Name = "run.declared" // Text: JSON, the variables that kinds of modules declare
	tracesName   dsv.Name = "run.traces"   // Text: JSON, of each encoded trace how many pieces it has
)

// Publish writes a plan's scenario to a space, for Fetch, and how the variables of modules are manipulated, for them.
func Publish(ctx context.Context, space dsv.Space, p *Plan) error {
	files := maps.Clone(p.Inputs)
	for _, guest := range p.guests {
		delete(files, guest) // it travels by itself
	}
	if err := publishTraces(ctx, space, files); err != nil {
		return fmt.Errorf("publish scenario: %w", err)
	}
	inputs, err := json.Marshal(files)
	if err != nil {
		return fmt.Errorf("publish scenario: %w", err)
	}
	declared, err := json.Marshal(p.declared)
	if err != nil {
		return fmt.Errorf("publish scenario: %w", err)
	}
	if err := recipe.Publish(ctx, space, p.recipes()); err != nil {
		return fmt.Errorf("publish scenario: %w", err)
	}
	for _, v := range []struct {
		d dsv.Declaration
		s string
	}{
		{dsv.Declaration{Name: textName, Kind: dsv.Text, Help: "the scenario as run"}, string(p.Text)},
		{dsv.Declaration{Name: inputsName, Kind: dsv.Text, Help: "the files that the scenario reads, JSON"}, string(inputs)},
		{dsv.Declaration{Name: declaredName, Kind: dsv.Text, Help: "the variables that modules declare, JSON"}, string(declared)},
	} {
		if err := space.Create(ctx, v.d); err != nil {
			return fmt.Errorf("publish scenario: %w", err)
		}
		if _, err := space.Write(ctx, v.d.Name, dsv.TextValue(v.s)); err != nil {
			return fmt.Errorf("publish scenario: %w", err)
		}
	}
	return nil
}

// publishTraces takes the traces out of the inputs, which a value has no room for, and writes them piece by piece.
func publishTraces(ctx context.Context, space dsv.Space, files map[string][]byte) error {
	pieces := map[string]int{}
	write := func(d dsv.Declaration, v dsv.Value) error {
		if err := space.Create(ctx, d); err != nil {
			return err
		}
		_, err := space.Write(ctx, d.Name, v)
		return err
	}
	for name, b := range files {
		group, ok := strings.CutPrefix(name, tracesFolder)
		if !ok {
			continue
		}
		delete(files, name)
		for piece := range slices.Chunk(b, dsv.MaxBytes) {
			d := dsv.Declaration{Name: pieceName(group, pieces[name]), Kind: dsv.Bytes, Help: "a piece of the trace of a group of clients"}
			if err := write(d, dsv.BytesValue(piece)); err != nil {
				return err
			}
			pieces[name]++
		}
	}
	if len(pieces) == 0 {
		return nil
	}
	list, err := json.Marshal(pieces)
	if err != nil {
		return err
	}
	return write(dsv.Declaration{Name: tracesName, Kind: dsv.Text, Help: "the traces of the scenario, JSON: how many pieces each has"}, dsv.TextValue(string(list)))
}

func pieceName(group string, n int) dsv.Name {
	return dsv.Name(fmt.Sprintf("run.trace.%s.p%d", strings.TrimSuffix(group, ".gz"), n))
}

// fetchTraces adds what publishTraces wrote to the inputs.
func fetchTraces(ctx context.Context, space dsv.Space, inputs map[string][]byte) error {
	list, err := space.Read(ctx, tracesName)
	if errors.Is(err, dsv.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	pieces := map[string]int{}
	if err := json.Unmarshal([]byte(list.Value.Text), &pieces); err != nil {
		return err
	}
	for name, n := range pieces {
		for i := range n {
			piece, err := space.Read(ctx, pieceName(strings.TrimPrefix(name, tracesFolder), i))
			if err != nil {
				return err
			}
			inputs[name] = append(inputs[name], piece.Value.Bytes...)
		}
	}
	return nil
}

// recipes is how the variables of modules are manipulated where the data arise.
func (p *Plan) recipes() map[dsv.Name]dmm.Recipe {
	own := map[dsv.Name]dmm.Recipe{}
	for _, m := range p.Measures {
		if m.Recipe != nil {
			own[m.Name] = *m.Recipe
		}
	}
	return own
}

// Fetch reads the scenario that Publish wrote and compiles it to the same plan, except that guests are left out. own are
// the manipulators that the program has beside Eve's.
func Fetch(ctx context.Context, space dsv.Space, own ...dmm.Manipulator) (*Plan, error) {
	return FetchWith(ctx, space, nil, own...)
}

// FetchWith is Fetch for who steps controllers: kinds are those of the program's own, as in Options.Kinds.
func FetchWith(ctx context.Context, space dsv.Space, kinds map[string]any, own ...dmm.Manipulator) (*Plan, error) {
	text, err := space.Read(ctx, textName)
	if err != nil {
		return nil, fmt.Errorf("fetch scenario: %w", err)
	}
	files, err := space.Read(ctx, inputsName)
	if err != nil {
		return nil, fmt.Errorf("fetch scenario: %w", err)
	}
	inputs := map[string][]byte{}
	if err := json.Unmarshal([]byte(files.Value.Text), &inputs); err != nil {
		return nil, fmt.Errorf("fetch scenario: %w", err)
	}
	if err := fetchTraces(ctx, space, inputs); err != nil {
		return nil, fmt.Errorf("fetch scenario: %w", err)
	}
	known, err := space.Read(ctx, declaredName)
	if err != nil {
		return nil, fmt.Errorf("fetch scenario: %w", err)
	}
	var declared []dsv.Declaration
	if err := json.Unmarshal([]byte(known.Value.Text), &declared); err != nil {
		return nil, fmt.Errorf("fetch scenario: %w", err)
	}
	return Load("scenario", []byte(text.Value.Text), Options{
		ReadFile: func(path string) ([]byte, error) {
			if b, ok := inputs[path]; ok {
				return b, nil
			}
			return nil, fs.ErrNotExist
		},
		Compiled: true, AnyKind: true, Kinds: kinds, Manipulators: own, declared: declared,
	})
}

// Client returns the configuration of a group of clients.
func (p *Plan) Client(name string) (user.Config, bool) {
	for _, c := range p.Clients {
		if c.Name == name {
			return c, true
		}
	}
	return user.Config{}, false
}
