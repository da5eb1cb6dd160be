package report_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/eve-emulation/eve/fase/report"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/runs/runstest"
	"github.com/eve-emulation/eve/fase/stat"
)

// told is a summary of one group with gates of every verdict.
func told() *runs.Summary {
	return &runs.Summary{
		Scenario: "told", Kind: runs.Real,
		Clients: map[string]runs.Client{"crowd": {
			Model: "open", Requests: 1234, Late: 5, Abandoned: 7,
			Meaning: "mean 23.1 ± 0.4 ms (95 %); not steady; the generator was the limit: <it> was late",
			Gates: []runs.Gate{
				{Gate: runs.BooksGate, Verdict: stat.Pass, Words: "1234 issued = 1234 ok"},
				{Gate: runs.GeneratorGate, Verdict: stat.Fail, Words: "the generator was the limit: <it> was late"},
				{Gate: runs.SteadyGate, Verdict: stat.Fail, Words: "the mean of a quarter is 23 % above that of all"},
				{Gate: runs.IntervalGate, Verdict: stat.Inconclusive, Words: "too few\x1b[2J requests"},
			},
			FirstByte: &runs.Distribution{P50: 0.0123}, Connect: &runs.Distribution{P50: 0.000321},
			Generator: &runs.Generator{CPU: 2, Utilisation: 0.25, ProcessCPU: 4, JitterP99: 0.00085},
		}},
	}
}

func TestMeaning(t *testing.T) {
	var b bytes.Buffer
	if err := report.Text(&b, told(), ""); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	for _, want := range []string{
		"crowd: mean 23.1 ± 0.4 ms (95 %)", "✗ steady: the mean of a quarter is 23 % above", "? interval: too few",
		"first byte p50", "12.3 ms", "321 µs", "850 µs", "25.0 %", "50.0 %",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("terminal: got no %q in\n%s", want, text)
		}
	}
	if n := strings.Count(text, "<it> was late"); n != 1 {
		t.Errorf("terminal: got the limit %d times, want once:\n%s", n, text)
	}
	if strings.Contains(text, "1234 issued") || strings.Contains(text, "\x1b") {
		t.Errorf("terminal: got a gate that was passed, or a control character, in\n%s", text)
	}
	words := report.Words("crowd", runs.Client{Meaning: strings.Repeat("a mean of many words; ", 20), Gates: told().Clients["crowd"].Gates})
	for line := range strings.SplitSeq(words, "\n") {
		if n := len([]rune(line)); n > 80 {
			t.Errorf("terminal: got a line of %d characters, want at most 80: %s", n, line)
		}
	}
}

func TestMeaningOnThePage(t *testing.T) {
	d := report.Read(runstest.NewMemory(), told())
	b, err := d.HTML(report.Page{})
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	for _, want := range []string{"What the figures mean", "1234 issued = 1234 ok", "&lt;it&gt; was late", `<li class="fail"><b>✗ steady</b>`} {
		if !strings.Contains(page, want) {
			t.Errorf("page: got no %q", want)
		}
	}
}
