package report

import (
	"math"
	"strings"

	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/stat"
)

// A meaning is what the figures of a group of clients mean, in words.
type meaning struct {
	Group, Words string
	Gates        []runs.Gate
}

// maxMeanings bounds the groups that are told of one by one; those with a gate that fails come in any case.
const maxMeanings = 12

// meanings are those of all groups; of many, the first ones and those that one should know.
func meanings(s *runs.Summary) []meaning {
	var out []meaning
	for i, name := range s.Groups() {
		c := s.Clients[name]
		if c.Meaning == "" { // of an earlier Eve
			continue
		}
		bad := false
		for _, g := range c.Gates {
			bad = bad || g.Verdict == stat.Fail
		}
		if i < maxMeanings || bad {
			out = append(out, meaning{Group: name, Words: c.Meaning, Gates: c.Gates})
		}
	}
	return out
}

// text writes a meaning for a terminal, with the gates that were not passed and that the sentence does not tell of.
func (m meaning) text(b *strings.Builder) {
	for i, l := range wrap(clean(m.Group)+": "+clean(m.Words), textWidth) {
		b.WriteString(indent(i, "  ") + l + "\n")
	}
	for _, g := range m.Gates {
		if g.Verdict == stat.Pass || strings.Contains(m.Words, g.Words) {
			continue // passed, or told
		}
		for i, l := range wrap(tick(g.Verdict)+" "+string(g.Gate)+": "+clean(g.Words), textWidth-4) {
			b.WriteString("    " + indent(i, "") + l + "\n")
		}
	}
}

// Words says what the figures of a group mean, with the gates that they did not pass, for a terminal.
func Words(name string, c runs.Client) string {
	var b strings.Builder
	meaning{Group: name, Words: c.Meaning, Gates: c.Gates}.text(&b)
	return b.String()
}

// indent is the margin of a line of a paragraph: further ones stand in.
func indent(line int, first string) string {
	if line == 0 {
		return first
	}
	return first + "  "
}

// textWidth is where lines of prose end, so that they fit a terminal of 80 columns with their margin.
const textWidth = 76

// wrap breaks a sentence into lines of at most n characters, where it has spaces.
func wrap(s string, n int) []string {
	var lines []string
	line := ""
	for word := range strings.SplitSeq(s, " ") {
		switch {
		case line == "":
			line = word
		case len([]rune(line))+1+len([]rune(word)) <= n:
			line += " " + word
		default:
			lines, line = append(lines, line), word
		}
	}
	return append(lines, line)
}

// generatorTable tells of real runs how requests were carried, and what that took.
func generatorTable(s *runs.Summary) table {
	t := table{title: "generators", head: []string{"", "late", "dropped", "abandoned", "in flight", "lag p50", "lag max", "first byte p50", "connect p50", "jitter p99", "loop", "process"}}
	for _, name := range s.Groups() {
		c := s.Clients[name]
		if c.Generator == nil {
			continue
		}
		g, process := c.Generator, math.NaN()
		if g.Utilisation > 0 && g.CPU > 0 { // of a processor, over the time that the loop's share is of
			process = float64(g.ProcessCPU / g.CPU * g.Utilisation)
		}
		if c.GeneratorLimited {
			t.bad = append(t.bad, len(t.rows))
		}
		t.rows = append(t.rows, []string{
			name, number(float64(c.Late)), number(float64(c.Dropped)), number(float64(c.Abandoned)), number(float64(c.Accounting.InFlight)),
			duration(float64(c.SendLag.P50)), duration(float64(c.SendLag.Max)), duration(middle(c.FirstByte)), duration(middle(c.Connect)),
			duration(float64(g.JitterP99)), percent(float64(g.Utilisation)), percent(process),
		})
	}
	return t
}

// middle is the median of a distribution; NaN where there is none.
func middle(d *runs.Distribution) float64 {
	if d == nil {
		return math.NaN()
	}
	return float64(d.P50)
}

// lag shows how late a generator sent; ok is false where it was never late, as in virtual time.
func (d *Data) lag(g group) (p panel, ok bool) {
	if most(g.lags[1]) <= 0 {
		return p, false
	}
	p = panel{title: "Send lag, logarithmic", height: thinHeight + 14, log: true, label: duration}
	for k, label := range []string{"p50", "p99"} {
		p.lines = append(p.lines, line{label: label, xs: d.grid.middles(), ys: g.lags[k], color: hue([]int{5, 1}[k])})
	}
	return p, true
}
