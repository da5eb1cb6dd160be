package scenario

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/user"
)

// The variables by which a run hands its scenario to the modules.
const (
	textName   dsv.Name = "run.scenario" // Text: the scenario as run
	inputsName dsv.Name = "run.inputs"   // Text: JSON, the files that it reads
)

// Publish writes a plan's scenario to a space, for Fetch.
func Publish(ctx context.Context, space dsv.Space, p *Plan) error {
	inputs, err := json.Marshal(p.Inputs)
	if err != nil {
		return fmt.Errorf("publish scenario: %w", err)
	}
	for _, v := range []struct {
		d dsv.Declaration
		s string
	}{
		{dsv.Declaration{Name: textName, Kind: dsv.Text, Help: "the scenario as run"}, string(p.Text)},
		{dsv.Declaration{Name: inputsName, Kind: dsv.Text, Help: "the files that the scenario reads, JSON"}, string(inputs)},
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

// Fetch reads the scenario that Publish wrote and compiles it to the same plan.
func Fetch(ctx context.Context, space dsv.Space) (*Plan, error) {
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
	return Load("scenario", []byte(text.Value.Text), Options{
		ReadFile: func(path string) ([]byte, error) {
			if b, ok := inputs[path]; ok {
				return b, nil
			}
			return nil, fs.ErrNotExist
		},
		AnyKind: true,
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
