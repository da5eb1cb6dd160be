package scenario

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/rdr"
)

// Rates returns the instants between which the rate of every group is linear, and the rate of each then, in arrivals per second; those of
// closed groups are 0. A sine counts with its greatest rate, and so do bursts.
func (p *Plan) Rates() (at []dsv.Instant, rates [][]float64) { return p.rates() }

// RatesAt returns the rate of each group at an instant, but of bursts the mean.
func (p *Plan) RatesAt(t dsv.Instant) []float64 {
	out := make([]float64, len(p.Clients))
	for i := range p.Clients {
		g := &p.Clients[i]
		points := make([]ratePoint, len(g.Rate))
		for k, q := range g.Rate {
			points[k] = ratePoint{q.At.Sub(0), q.Rate}
		}
		if t < g.End {
			out[i] = rateAt(points, t.Sub(0))
			if g.Sine != nil {
				out[i] *= 1 + g.Sine.Amplitude
			}
		}
	}
	return out
}

// Place is where a statement of a request stands, with what is to be said about it.
func (p *Plan) Place(s rdr.Step, msg, fix string) *Error {
	file, line, col := s.Position()
	for i, f := range p.compiled.parsed {
		switch {
		case file != rdrName(i) || line == 0:
		case f.src != nil:
			return f.src.errorAt(line, col, msg, fix)
		default:
			line, col = f.text.locate(line, col)
			return f.text.src.errorAt(line, col, msg, fix)
		}
	}
	return &Error{File: p.compiled.main, Line: 1, Col: 1, Msg: msg, Fix: fix}
}

// Where is where the value of a path stands, as file:line:column: services.app.pool. What is not written has the place of what it would be
// in; a server of a farm has the farm's.
func (p *Plan) Where(path string) string {
	n := p.compiled.root
	for key := range strings.SplitSeq(path, ".") {
		next := n.get(key)
		if n.kind == sequenceNode {
			if i, err := strconv.Atoi(key); err == nil && i >= 0 && i < len(n.items) {
				next = n.items[i]
			}
		}
		if next == nil && n == p.compiled.root.get("servers") {
			for _, f := range p.Farms {
				if slices.ContainsFunc(f.Servers, func(i int) bool { return p.Servers[i].Name == key }) {
					next = n.get(f.Name)
				}
			}
		}
		if next == nil {
			break
		}
		n = next
	}
	return fmt.Sprintf("%s:%d:%d", n.src.file, n.line, n.col)
}
