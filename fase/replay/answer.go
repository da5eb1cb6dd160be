package replay

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/eve-emulation/eve/fase/runs"
)

// An Answer is all that a replay tells.
type Answer struct {
	Recording string        `json:"recording"` // its folder
	Scenario  string        `json:"scenario"`
	Kind      runs.Kind     `json:"kind"` // of the recording
	Seed      uint64        `json:"seed"`
	Window    runs.Interval `json:"window_seconds"`
	// Interrupted says that the recording ended early: what there is was replayed.
	Interrupted bool      `json:"interrupted"`
	Other       string    `json:"other,omitempty"` // whose adaptation took the place of its own; empty: only the fidelity was asked for
	Groups      []Group   `json:"groups"`
	Notes       []string  `json:"notes"`
	Fidelity    *Fidelity `json:"fidelity"`
	Rows        []Row     `json:"rows,omitempty"`
	Taken       Taken     `json:"decisions"`
	Expect      []Expect  `json:"expect,omitempty"` // conditions of the recording's scenario
}

// Taken is what was decided, in the recording and in each replay.
type Taken struct {
	Recorded []runs.Decision `json:"recorded"`
	Replayed []runs.Decision `json:"replayed"`
	Other    []runs.Decision `json:"other,omitempty"`
}

// Expect is what became of a condition.
type Expect struct {
	Text     string `json:"text"`
	Recorded string `json:"recorded"`
	Replayed string `json:"replayed"`
	Other    string `json:"other"`
}

// Answer puts together what replays told. other is nil where only the fidelity was asked for; bound is as of Judge.
func (r *Recording) Answer(dir, name string, replayed, other *Replay, bound float64) (*Answer, error) {
	s := r.Summary
	a := &Answer{
		Recording: dir, Scenario: s.Scenario, Kind: s.Kind, Seed: s.Seed, Window: s.Window, Interrupted: s.Interrupted, Other: name,
		Groups: replayed.Work.Groups, Notes: append([]string{}, replayed.Work.Notes...),
		Fidelity: Judge(s, replayed.Summary, bound), Taken: Taken{Recorded: steps(s), Replayed: steps(replayed.Summary)},
	}
	if other == nil {
		return a, nil
	}
	a.Groups, a.Notes, a.Taken.Other = other.Work.Groups, append([]string{}, other.Work.Notes...), steps(other.Summary)
	for i, e := range other.Summary.Expect {
		x := Expect{Text: e.Text, Other: string(e.Verdict)}
		if i < len(replayed.Summary.Expect) {
			x.Replayed = string(replayed.Summary.Expect[i].Verdict)
		}
		if i < len(s.Expect) {
			x.Recorded = string(s.Expect[i].Verdict)
		}
		a.Expect = append(a.Expect, x)
	}
	var err error
	a.Rows, err = Rows(s, replayed.Summary, other.Summary)
	return a, err
}

// steps are the decisions of a run, without the steps of carrying them out.
func steps(s *runs.Summary) []runs.Decision {
	out := []runs.Decision{}
	for _, d := range s.Decisions {
		if d.Phase == "decided" {
			out = append(out, d)
		}
	}
	return out
}

// Write writes the answer as JSON.
func (a *Answer) Write(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(a); err != nil {
		return fmt.Errorf("write replay: %w", err)
	}
	return nil
}
