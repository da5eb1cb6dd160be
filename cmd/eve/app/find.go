package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/eve-emulation/eve/fase/find"
	"github.com/eve-emulation/eve/fase/runs"
)

// findFlags are those of a search for the highest load that holds.
type findFlags struct {
	text           string // the conditions; empty: no search
	vary           string
	probe, confirm time.Duration
	resolve, most  float64
	json           string
}

func (f *findFlags) flags(c *cobra.Command, what string, probe time.Duration) {
	fl := c.Flags()
	fl.StringVar(&f.text, "find", "", "search the highest "+what+" at which a `CONDITION` holds, as 'p99 < 50ms' or 'p99 < 50ms and errors < 0.1%'")
	fl.DurationVar(&f.probe, "probe", probe, "--find: longest probe of one load")
	fl.DurationVar(&f.confirm, "confirm", 0, "--find: how long the answer is confirmed; default four times --probe")
	fl.Float64Var(&f.resolve, "resolve", 0.02, "--find: loads are told apart to this `SHARE`")
	fl.Float64Var(&f.most, "most", 0, "--find: no load above this is tried")
}

func (f *findFlags) limits() ([]find.Limit, error) {
	ls, err := find.ParseLimits(f.text)
	if err != nil {
		return nil, fmt.Errorf("--find: %w", err)
	}
	return ls, nil
}

// config is that of the search.
func (f *findFlags) config(limits []find.Limit, start float64, whole bool) (find.Config, error) {
	cfg := find.Config{Limits: limits, Start: start, Whole: whole, Probe: f.probe, Confirm: f.confirm, Resolve: f.resolve, Max: f.most}
	if f.most > 0 && cfg.Start > f.most {
		cfg.Start = f.most
	}
	if _, err := find.NewSearch(cfg); err != nil {
		return cfg, fmt.Errorf("--find: %w", err)
	}
	return cfg, nil
}

// A prober runs one load. The string says why the probe tells of the generator instead.
type prober func(context.Context, find.Probe) (find.Outcome, string, error)

// searchView is how a search is told.
type searchView struct {
	title string // empty: the answer only
	unit  string // of loads: "/s"
	json  string // FILE; -: standard output, in place of the answer; empty: none
}

// search looks for the highest load that holds, tells each probe as it ends, and the answer.
func (a *App) search(ctx context.Context, cfg find.Config, v searchView, probe prober) error {
	s, err := find.NewSearch(cfg)
	if err != nil {
		return wrong(err)
	}
	say := a.out
	if v.json == "-" {
		say = a.err
	}
	t := probeTable{out: say, limit: cfg.Limits[0], unit: v.unit}
	if v.title != "" {
		fmt.Fprintln(say, v.title)
		t.head()
	}
	var file *os.File // made before the search, so that a mistake costs nothing
	if v.json != "" && v.json != "-" {
		if file, err = os.Create(v.json); err != nil {
			return wrong(fmt.Errorf("--json %q: %w", v.json, cause(err)))
		}
		defer file.Close()
	}
	interrupted := false
	for p, more := s.Next(); more; p, more = s.Next() {
		o, limited, err := probe(ctx, p)
		if ctx.Err() != nil {
			interrupted = true
			break
		}
		if err != nil {
			return err
		}
		s.Tell(o, limited)
		if trials := s.Trials(); v.title != "" {
			t.row(trials[len(trials)-1])
		}
	}
	answer := s.Answer()
	var lost error
	if v.json != "" {
		lost = a.writeSearch(file, searchJSON(cfg, s.Trials(), answer, interrupted))
	}
	if v.json != "-" {
		if v.title != "" {
			for _, line := range pictureOf(s.Trials(), answer, cfg.Limits[0], v.unit, newScreen(a.out).columns()) {
				fmt.Fprintln(a.out, line)
			}
		}
		if err := tellAnswer(a.out, answer, cfg, s.Trials(), v.unit, interrupted); err != nil {
			return err
		}
	}
	ends := runs.Ends{Interrupted: interrupted, GeneratorLimited: answer.Limited != "", ExpectFailed: answer.Load == 0}
	if code := ends.Exit(); lost == nil && code != runs.ExitOK {
		return &exitError{code: code}
	}
	return lost
}

// jsonSearch is a search as --json writes it.
type jsonSearch struct {
	Conditions  []string     `json:"conditions"`
	Load        *runs.Number `json:"load"` // highest that was shown to hold; null: none was
	Confirmed   bool         `json:"confirmed"`
	Crossing    *jsonRange   `json:"crossing"` // null: unknown
	Failed      *runs.Number `json:"least_load_that_failed"`
	Bounded     bool         `json:"stopped_at_most"`
	Limited     string       `json:"generator_limited,omitempty"`
	Why         string       `json:"why,omitempty"`
	Interrupted bool         `json:"interrupted"`
	Probes      []jsonProbe  `json:"probes"`
}

type jsonRange struct {
	Value, Low, High runs.Number
}

// MarshalJSON names the parts as elsewhere.
func (r jsonRange) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]runs.Number{"value": r.Value, "low": r.Low, "high": r.High})
}

type jsonProbe struct {
	Load     runs.Number    `json:"load"`
	Purpose  find.Purpose   `json:"purpose"`
	Verdict  find.Verdict   `json:"verdict"`
	Seconds  runs.Number    `json:"seconds"`
	Requests int64          `json:"requests"`
	Failed   int64          `json:"failed"`
	Rate     runs.Number    `json:"rate_per_second"`
	P50      runs.Number    `json:"p50_seconds"`
	P99      runs.Number    `json:"p99_seconds"`
	Limited  string         `json:"generator_limited,omitempty"`
	Evidence []jsonEvidence `json:"conditions"`
}

type jsonEvidence struct {
	Condition string       `json:"condition"`
	Value     runs.Number  `json:"value"`
	Share     runs.Number  `json:"share"`
	Low       runs.Number  `json:"low"`
	High      runs.Number  `json:"high"`
	Allowed   runs.Number  `json:"allowed"`
	Verdict   find.Verdict `json:"verdict"`
}

// writeSearch writes a search to a file, which it closes, or without one to the standard output.
func (a *App) writeSearch(file *os.File, j jsonSearch) error {
	if file == nil {
		return writeJSON(a.out, j)
	}
	return errors.Join(writeJSON(file, j), file.Close())
}

func searchJSON(cfg find.Config, trials []find.Trial, a find.Answer, interrupted bool) jsonSearch {
	j := jsonSearch{
		Confirmed: a.Confirmed, Bounded: a.Bounded, Limited: a.Limited, Why: a.Why, Interrupted: interrupted, Probes: []jsonProbe{},
	}
	for _, l := range cfg.Limits {
		j.Conditions = append(j.Conditions, l.String())
	}
	if a.Load > 0 {
		j.Load = new(runs.Number(a.Load))
	}
	if !math.IsNaN(a.Crossing.Value) {
		j.Crossing = &jsonRange{runs.Number(a.Crossing.Value), runs.Number(a.Crossing.Low), runs.Number(a.Crossing.High)}
	}
	j.Failed = new(runs.Number(a.Failed))
	for _, t := range trials {
		p := jsonProbe{
			Load: runs.Number(t.Load), Purpose: t.Purpose, Verdict: t.Verdict, Seconds: runs.Number(t.Took.Seconds()),
			Requests: t.Requests, Failed: t.Outcome.Failed, Rate: runs.Number(t.Rate), P50: runs.Number(t.P50), P99: runs.Number(t.P99),
			Limited: t.Limited, Evidence: []jsonEvidence{},
		}
		for _, e := range t.Evidence {
			p.Evidence = append(p.Evidence, jsonEvidence{
				e.Limit.String(), runs.Number(e.Value), runs.Number(e.Share), runs.Number(e.Low), runs.Number(e.High), runs.Number(e.Allowed), e.Verdict,
			})
		}
		j.Probes = append(j.Probes, p)
	}
	return j
}
