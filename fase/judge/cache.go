package judge

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"maps"
	"os"
	"slices"

	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/scenario"
)

// BaselinesFile is the file of a run folder that keeps its baselines, so that a report is made again without simulating them
// again.
const BaselinesFile = "baselines.json"

// kept is the content of BaselinesFile: baselines, and what they are of.
type kept struct {
	Of        string          `json:"of"`
	Baselines *runs.Baselines `json:"baselines"`
}

// Folder judges the run of a folder as [Run] does, with the baselines that the folder keeps, or else with new ones, which it then
// keeps.
func Folder(ctx context.Context, f *runs.Folder, plan *scenario.Plan, s *runs.Summary, o Options) (*runs.Adaptation, error) {
	of := identity(plan, s, o)
	var k kept
	if b, err := os.ReadFile(f.Path(BaselinesFile)); err == nil && json.Unmarshal(b, &k) == nil && k.Of == of {
		o.Known = k.Baselines
	}
	a, err := Run(ctx, plan, f.History(), s, o)
	if err != nil || a == nil || a.Baselines == nil || a.Baselines.None == nil || o.Known != nil {
		return a, err
	}
	b, err := json.MarshalIndent(kept{of, a.Baselines}, "", "  ")
	if err != nil {
		return a, fmt.Errorf("keep baselines: %w", err)
	}
	return a, f.WriteFile(BaselinesFile, append(b, '\n'))
}

// identity is a hash of all that baselines follow from.
func identity(plan *scenario.Plan, s *runs.Summary, o Options) string {
	h := sha256.New()
	add(h, []byte(s.Version), plan.Text, fmt.Appendf(nil, "%v %v %d", s.Window.From, s.Window.To, o.Budget))
	for _, name := range slices.Sorted(maps.Keys(plan.Inputs)) {
		add(h, []byte(name), plan.Inputs[name])
	}
	return hex.EncodeToString(h.Sum(nil))
}

func add(h hash.Hash, parts ...[]byte) {
	for _, p := range parts {
		fmt.Fprintf(h, "%d:", len(p))
		h.Write(p)
	}
}
