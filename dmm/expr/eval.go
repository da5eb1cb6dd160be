package expr

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
)

// Eval evaluates the program over what r tells. Where there are no data the Value is unknown; the error is the reader's.
func (p *Program) Eval(r Reader) (Value, error) {
	x, err := p.eval(p.root, r)
	if err != nil {
		return Value{IsCondition: p.condition, Number: math.NaN()}, err
	}
	return newValue(x, p.condition), nil
}

// Readings returns what each variable and function in the text comes to, by its text, such as "p95(static.latency)" →
// 0.131, in base units. Those without data are left out; so are texts, and what is not finite.
func (p *Program) Readings(r Reader) map[string]float64 {
	readings := make(map[string]float64, len(p.terms))
	for _, t := range p.terms {
		if t.sort == textVar {
			continue
		}
		if x, err := t.read(r); err == nil && !math.IsNaN(x) && !math.IsInf(x, 0) {
			readings[t.text] = x
		}
	}
	return readings
}

// Missing returns the texts of the variables and functions for which there are no data.
func (p *Program) Missing(r Reader) []string {
	var missing []string
	for _, t := range p.terms {
		if t.sort == textVar {
			if _, err := r.Text(t.name); err != nil {
				missing = append(missing, t.text)
			}
		} else if x, err := t.read(r); err != nil || math.IsNaN(x) {
			missing = append(missing, t.text)
		}
	}
	return missing
}

func (p *Program) eval(n *node, r Reader) (float64, error) {
	switch n.op {
	case opNumber:
		return n.number, nil
	case opTerm:
		return p.terms[n.term].read(r)
	case opTextEqual:
		return p.textEqual(n, r)
	}
	a, err := p.eval(n.a, r)
	if err != nil {
		return 0, err
	}
	switch {
	case n.op == opAnd && a == 0:
		return 0, nil
	case n.op == opOr && a == 1:
		return 1, nil
	case n.op == opConditional && a == 1:
		return p.eval(n.b, r)
	case n.op == opConditional && a == 0:
		return p.eval(n.c, r)
	case n.op == opConditional:
		return math.NaN(), nil
	case n.b == nil:
		return unaryOf(n.op, a), nil
	}
	b, err := p.eval(n.b, r)
	if err != nil {
		return 0, err
	}
	return binaryOf(n.op, a, b), nil
}

func (p *Program) textEqual(n *node, r Reader) (float64, error) {
	a, aok, err := p.text(n.a, r)
	if err != nil {
		return 0, err
	}
	b, bok, err := p.text(n.b, r)
	if err != nil {
		return 0, err
	}
	if !aok || !bok {
		return math.NaN(), nil
	}
	return truth(a == b), nil
}

func (p *Program) text(n *node, r Reader) (string, bool, error) {
	if n.op == opText {
		return n.text, true, nil
	}
	s, err := r.Text(p.terms[n.term].name)
	if noData(err) {
		return "", false, nil
	}
	return s, err == nil, err
}

func noData(err error) bool {
	return errors.Is(err, dsv.ErrUnset) || errors.Is(err, dsv.ErrNotFound)
}

// term is one reading of a variable, alone or under a function.
type term struct {
	function    string // empty for the variable alone
	name        dsv.Name
	declaration dsv.Declaration
	text        string // canonical, as Readings tells it
	sort        varSort
	window      time.Duration // 0: the reader's default
}

func (t term) op() op {
	if t.sort == textVar {
		return opTextTerm
	}
	return opTerm
}

// read returns the term's value, or NaN where there are no data.
func (t term) read(r Reader) (float64, error) {
	if t.function == "ewma" {
		return t.ewma(r)
	}
	total, ok, err := t.total(r, t.window)
	if err != nil {
		return 0, err
	}
	if !ok {
		// What was never counted is nothing: counters send no news of silence.
		if t.sort == counterVar || t.sort == sumVar || t.function == "count" || t.function == "rate" {
			return 0, nil
		}
		return math.NaN(), nil
	}
	return finite(t.of(total)), nil
}

func (t term) total(r Reader, window time.Duration) (dmm.Total, bool, error) {
	total, err := r.Total(t.name, window)
	switch {
	case noData(err):
		return dmm.Total{}, false, nil
	case err != nil:
		return dmm.Total{}, false, fmt.Errorf("read %s: %w", t.name, err)
	}
	return total, true, nil
}

// of asks the total for what the term tells: NaN where nothing was written, but for what is counted.
func (t term) of(total dmm.Total) float64 {
	if q, ok := quantile(t.function); ok {
		return total.Quantile(q)
	}
	switch t.function {
	case "mean":
		return total.Mean()
	case "rate":
		return total.Rate()
	case "count":
		return total.Count()
	case "min":
		return total.Min()
	case "max":
		return total.Max()
	}
	return total.Number()
}

func finite(x float64) float64 {
	if math.IsInf(x, 0) {
		return math.NaN()
	}
	return x
}

// The staircase that stands for the exponential of an ewma: decaySteps windows, the longest of decaySpan time constants.
const (
	decaySteps = 16
	decaySpan  = 4
)

func (t term) decay() time.Duration {
	if t.window == 0 {
		return DefaultDecay
	}
	return t.window
}

// longest returns the longest window that the term asks for, 0 for the reader's default.
func (t term) longest() time.Duration {
	if t.function == "ewma" {
		return decaySpan * t.decay()
	}
	return t.window
}

// ewma is the mean of samples weighted by exp(-age/decay). Readers tell sums over windows, and an exponential is a mixture
// of windows: the sums over windows of growing length, each weighted by how much of the exponential ends within its last
// step, add up to a staircase below which it lies.
func (t term) ewma(r Reader) (float64, error) {
	tau := t.decay()
	var sum, weight float64
	tail := 1.0
	for k := 1; k <= decaySteps; k++ {
		w := tau * time.Duration(decaySpan*k) / decaySteps
		left := math.Exp(-w.Seconds() / tau.Seconds())
		total, ok, err := t.total(r, w)
		if err != nil {
			return 0, err
		}
		if ok && !total.Empty() && total.Weight > 0 {
			sum += (tail - left) * total.Mean() * total.Weight
			weight += (tail - left) * total.Weight
		}
		tail = left
	}
	return finite(sum / weight), nil
}
