package report

import (
	"fmt"
	"math"

	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/stat"
)

// A ledgerLine gathers the entries of one kind in the books.
type ledgerLine struct {
	verdict      stat.Verdict
	passed, open int
	worst        float64
	words        []string // of entries that fail
}

// add counts an entry; words say what is wrong where it fails, and why nothing can be told where it is inconclusive.
func (l *ledgerLine) add(v stat.Verdict, off float64, of, words string) {
	switch v {
	case stat.Pass:
		l.passed++
		l.worst = math.Max(l.worst, off)
	case stat.Fail:
		l.words = append(l.words, of+": "+words)
	default:
		if l.open++; l.open == 1 {
			l.words = append(l.words, of+": "+words)
		}
	}
	if l.verdict == "" || v == stat.Fail || v == stat.Pass && l.verdict == stat.Inconclusive {
		l.verdict = v
	}
}

// line is what the books say of them; false without entries.
func (l *ledgerLine) line(text, note string) (checkLine, bool) {
	if l.verdict == "" {
		return checkLine{}, false
	}
	for _, w := range l.words {
		note += "; " + w
	}
	return checkLine{Verdict: string(l.verdict), Tick: tick(l.verdict), Text: text, Note: note}, true
}

// bookLines tell the books of a run: a line for flows, for messages, and for each law.
func bookLines(s *runs.Summary) []checkLine {
	b := s.Books
	if b == nil {
		return nil
	}
	var clients, edges, services, little, busy, once ledgerLine
	var sum runs.Flow
	for _, f := range b.Clients {
		clients.add(f.Verdict, 0, f.Of, f.Words)
		sum.Issued, sum.OK, sum.Errors = sum.Issued+f.Issued, sum.OK+f.OK, sum.Errors+f.Errors
		sum.Dropped, sum.InFlight = sum.Dropped+f.Dropped, sum.InFlight+f.InFlight
	}
	calls := int64(0)
	for _, e := range b.Edges {
		edges.add(e.Verdict, 0, e.From+" → "+e.To, e.Words)
		calls += e.Calls
	}
	var sent, received int64
	for _, d := range b.Services {
		services.add(d.Verdict, 0, d.Of, d.Words)
		sent, received = sent+d.Sent, received+d.Received
	}
	for _, x := range b.Little {
		little.add(x.Verdict, float64(x.Error), x.Of, x.Words)
	}
	for _, x := range b.Utilisation {
		busy.add(x.Verdict, float64(x.Error), x.Of, x.Words)
	}
	var calledOnce, executed int64
	for _, x := range b.Once {
		once.add(x.Verdict, 0, x.Of, x.Words)
		calledOnce, executed = calledOnce+x.Calls, executed+x.Executed
	}
	n := func(x int64) string { return number(float64(x)) }
	var out []checkLine
	put := func(l *ledgerLine, text, note string) {
		if c, ok := l.line(text, note); ok {
			out = append(out, c)
		}
	}
	put(&clients, "requests: issued = ok + errors + in flight", fmt.Sprintf("%s = %s + %s + %s; %s dropped", n(sum.Issued), n(sum.OK), n(sum.Errors), n(sum.InFlight), n(sum.Dropped)))
	put(&edges, "calls: begun = ok + errors + in flight", fmt.Sprintf("%s over %d edges", n(calls), len(b.Edges)))
	put(&services, "messages: answered ≤ received ≤ sent", fmt.Sprintf("%s sent, %s received", n(sent), n(received)))
	put(&little, fmt.Sprintf("Σ response times = ∫ in flight within %.1g", math.Max(little.worst, 1e-16)), fmt.Sprintf("%d of %d groups", little.passed, len(b.Little)))
	put(&busy, "busy time = demands served within "+percent(math.Max(busy.worst, 1e-5)), fmt.Sprintf("%d of %d CPUs", busy.passed, len(b.Utilisation)))
	put(&once, "by keys: no call was lost, none executed twice", fmt.Sprintf("%s calls of requests that ended well, %s executions", n(calledOnce), n(executed)))
	return out
}
