package bench

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/eve-emulation/eve/fase/report"
	"github.com/eve-emulation/eve/fase/runs"
)

// ResultsFile is the name of a report's JSON form in its folder.
const ResultsFile = "results.json"

// A Report is what one bench found.
type Report struct {
	Bench       string           `json:"bench"`
	Quick       bool             `json:"quick,omitempty"` // small settings: no figures to quote
	Environment runs.Environment `json:"environment"`
	Tables      []*Table         `json:"tables"`
	Shapes      []Shape          `json:"shapes"`
	Notes       []string         `json:"notes,omitempty"`
	Charts      []report.Chart   `json:"-"`
}

// measure runs the experiments of a bench one after the other while the machine's noise is watched. A report comes with
// an error too: of what was measured before it.
func measure(name string, cfg Config, experiments ...func(*Report) error) (*Report, error) {
	start := time.Now()
	r := &Report{Bench: name, Quick: cfg.Quick, Environment: runs.Here(cfg.Version, start)}
	probe := runs.StartProbe()
	var err error
	for _, x := range experiments {
		if err = x(r); err != nil {
			break
		}
	}
	r.Environment.Noise = probe.Stop(start)
	end := time.Now()
	r.Environment.End = &end
	return r, err
}

// Ends tells how a command that made this report ends: with NotCertified when a shape is inconclusive, with ExpectFailed when
// one does not hold. Quick settings decide nothing but the hard bounds, which hold at any speed.
func (r *Report) Ends() runs.Ends {
	var e runs.Ends
	for _, s := range r.Shapes {
		if r.Quick && !s.Hard {
			continue
		}
		e.ExpectFailed = e.ExpectFailed || s.Verdict == HoldsNot
		e.NotCertified = e.NotCertified || s.Verdict == Inconclusive
	}
	return e
}

// Text writes the report for a terminal.
func (r *Report) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "eve bench %s on %s\n", r.Bench, r.machine())
	if r.Quick {
		b.WriteString("quick settings: these figures are no measurements\n")
	}
	for _, t := range r.Tables {
		t.text(&b)
	}
	r.shapesText(&b)
	for _, n := range r.Notes {
		b.WriteString("\n" + report.Clean(n) + "\n")
	}
	return b.String()
}

func (r *Report) shapesText(b *strings.Builder) {
	if len(r.Shapes) == 0 {
		return
	}
	rows := [][]string{{"", "found", "interval", "asked for", ""}}
	for _, s := range r.Shapes {
		what := s.Card + "  " + s.Name
		if s.Goal {
			what += " (goal)"
		}
		rows = append(rows, []string{"  " + mark(s.Verdict) + " " + what, s.Found.Text(), s.Found.interval(), s.Rule, string(s.Verdict)})
	}
	b.WriteString("\nshapes\n")
	writeColumns(b, rows)
}

func mark(v Verdict) string {
	switch v {
	case Holds:
		return "✓"
	case HoldsNot:
		return "✗"
	}
	return "?"
}

// machine describes the host and its noise in a line.
func (r *Report) machine() string {
	e := r.Environment
	s := fmt.Sprintf("%d × %s, %s, Linux %s, %s, eve %s", e.CPUs, e.CPU, report.Size(float64(e.Memory)), e.Kernel, e.Go, e.Version)
	if e.End != nil {
		s += fmt.Sprintf("; took %v", e.End.Sub(e.Start).Round(time.Second))
	}
	n := e.Noise
	if n == nil {
		return s
	}
	clean := 0
	for _, i := range n.Intervals {
		if i.Clean {
			clean++
		}
	}
	s = report.Clean(s)
	return s + fmt.Sprintf("\nnoise: others used %s of the processors, stolen %s, a sleep of 1 ms took %s longer at p99; %d of %d seconds clean",
		report.Share(float64(n.Foreign)), report.Share(float64(n.Steal)), report.Seconds(float64(n.Overshoot.P99)), clean, len(n.Intervals))
}

// JSON writes the report for machines.
func (r *Report) JSON() ([]byte, error) {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("report of bench %s: %w", r.Bench, err)
	}
	return append(b, '\n'), nil
}

// Write leaves the pictures and the JSON form in a folder, which is made if need be, and lists the files.
func (r *Report) Write(dir string) ([]string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("report of bench %s: %w", r.Bench, err)
	}
	files := map[string][]byte{}
	b, err := r.JSON()
	if err != nil {
		return nil, err
	}
	files[ResultsFile] = b
	for _, c := range r.Charts {
		if files[c.Name+".png"], err = c.Picture().PNG(); err != nil {
			return nil, fmt.Errorf("report of bench %s: %w", r.Bench, err)
		}
	}
	var names []string
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			return nil, fmt.Errorf("report of bench %s: %w", r.Bench, err)
		}
		names = append(names, filepath.Join(dir, name))
	}
	slices.Sort(names)
	return names, nil
}
