package scenario

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/eve-emulation/eve/fase/user"
)

// rawRate is the rate of a group: corners of a curve, and a swing around it.
type rawRate struct {
	points spot[[]ratePoint]
	sine   *user.Sine

	// What the forms are written as, until they are made points.
	from, to, by, mean, amplitude spot[float64]
	over, every, period, phase    spot[time.Duration]
	steps                         spot[[]ratePoint]
}

// rateForms are the forms of a rate beside a single one and a curve, by the one key of their mapping.
func rateForms(v *rawRate) []field {
	rate := func(dst *spot[float64]) value {
		return amount(dst, rateUnit(), bounds{0, maxRate, "at most 10000000/s"})
	}
	return []field{
		{key: "ramp", value: object("ramp", []field{
			{key: "from", value: rate(&v.from), need: true, help: "rate at the beginning"},
			{key: "to", value: rate(&v.to), need: true, help: "rate at the end, and from then on"},
			{key: "over", value: duration(&v.over, time.Millisecond, false), need: true, help: "how long it takes"},
		}), help: "from one rate to another, linearly, and no further: {from: 10/s, to: 200/s, over: 60s}"},
		{key: "steps", value: value{shape{name: "rates by time", json: map[string]any{"type": "object"}}, func(r *reader, n *node) {
			if n.kind != mappingNode {
				r.at(n, fmt.Sprintf("steps are a mapping of times to rates, not %s", n.what()), "write {0s: 40/s, 20s: 160/s}")
			} else if points, ok := r.curve(n, bounds{0, maxRate, "at most 10000000/s"}); ok {
				put(&v.steps, n, points)
			}
		}}, help: "each rate until the next time: {0s: 40/s, 20s: 160/s}"},
		{key: "stairs", value: object("stairs", []field{
			{key: "from", value: rate(&v.from), need: true, help: "rate of the first stair"},
			{key: "by", value: rate(&v.by), need: true, help: "how much higher each next one is"},
			{key: "every", value: duration(&v.every, time.Millisecond, false), need: true, help: "how long each lasts"},
			{key: "to", value: rate(&v.to), need: true, help: "the highest rate, which stays"},
		}), help: "higher by the same each time: {from: 10/s, by: 10/s, every: 10s, to: 100/s}"},
		{key: "sine", value: object("sine", []field{
			{key: "mean", value: rate(&v.mean), need: true, help: "mean rate"},
			{key: "amplitude", value: rate(&v.amplitude), need: true, help: "how far it swings, at most the mean"},
			{key: "period", value: duration(&v.period, time.Millisecond, false), need: true, help: "of the swing"},
			{key: "phase", value: duration(&v.phase, 0, false), def: "0s", help: "when it rises through its mean"},
		}), help: "a swing: {mean: 100/s, amplitude: 50/s, period: 60s}"},
	}
}

// rates is one rate, a curve, or one of the other forms.
func rates(dst *rawRate) value {
	one := map[string]any{"type": []any{"string", "number"}}
	forms := rateForms(dst)
	alternatives := []any{one, map[string]any{"type": "object", "additionalProperties": one, "propertyNames": map[string]any{"pattern": "^[0-9.]"}}}
	for _, f := range forms {
		alternatives = append(alternatives, objectSchema([]field{{key: f.key, value: f.value, need: true, help: f.help}}))
	}
	s := shape{name: "rate, curve of rates, or {ramp · steps · stairs · sine: …}", json: map[string]any{"oneOf": alternatives}}
	within := bounds{0, maxRate, "at most 10000000/s"}
	return value{s, func(r *reader, n *node) {
		if n.kind != mappingNode {
			var x spot[float64]
			amount(&x, rateUnit(), within).read(r, n)
			if x.written() {
				put(&dst.points, n, []ratePoint{{0, x.v}})
			}
			return
		}
		for _, f := range forms {
			if n.get(f.key) != nil {
				dst.form(r, n, f)
				return
			}
		}
		for _, e := range n.entries {
			if strings.Trim(e.key.text, "abcdefghijklmnopqrstuvwxyz_") == "" {
				r.at(e.key, fmt.Sprintf("a rate has no form %q", clip(e.key.text)), didYouMean(e.key.text, []string{"ramp", "steps", "stairs", "sine"}))
				return
			}
		}
		if points, ok := r.curve(n, within); ok {
			put(&dst.points, n, points)
		}
	}}
}

// form reads one of the forms and makes it points.
func (v *rawRate) form(r *reader, n *node, f field) {
	before := len(r.errs)
	for _, e := range n.entries {
		if e.key.text != f.key {
			r.at(e.key, fmt.Sprintf("`%s` stands beside `%s`", clip(e.key.text), f.key), "a rate has one form")
		}
	}
	f.value.read(r, n.get(f.key))
	if len(r.errs) > before {
		return
	}
	at := n.get(f.key)
	switch f.key {
	case "ramp":
		put(&v.points, n, []ratePoint{{0, v.from.v}, {v.over.v, v.to.v}})
	case "steps":
		put(&v.points, n, steps(v.steps.v))
	case "stairs":
		v.stairs(r, n, at)
	case "sine":
		if v.amplitude.v > v.mean.v {
			r.at(v.amplitude.at, "the rate would be negative at times: the amplitude is more than the mean", "an amplitude is at most the mean")
			return
		}
		put(&v.points, n, []ratePoint{{0, v.mean.v}})
		if v.mean.v > 0 {
			v.sine = &user.Sine{Amplitude: v.amplitude.v / v.mean.v, Period: v.period.v, Phase: v.phase.v}
		}
	}
}

// steps are the corners of a rate that holds until the next.
func steps(points []ratePoint) []ratePoint {
	var out []ratePoint
	for i, p := range points {
		if i > 0 {
			out = append(out, ratePoint{p.at, points[i-1].rate})
		}
		out = append(out, p)
	}
	return out
}

// maxStairs bounds the stairs of a rate.
const maxStairs = 10_000

func (v *rawRate) stairs(r *reader, n, at *node) {
	switch n := (v.to.v - v.from.v) / v.by.v; {
	case v.to.v <= v.from.v:
		r.at(v.to.at, "the stairs do not rise: `to` is not above `from`", "write a curve for a rate that falls: {0s: 100/s, 10s: 50/s}")
		return
	case v.by.v <= 0 || n > maxStairs:
		r.at(v.by.at, fmt.Sprintf("that would be more than %d stairs", maxStairs), "write a greater `by`")
		return
	}
	var list []ratePoint
	for i := 0; ; i++ {
		rate := math.Min(v.from.v+float64(i)*v.by.v, v.to.v)
		list = append(list, ratePoint{time.Duration(i) * v.every.v, rate})
		if rate >= v.to.v {
			break
		}
	}
	if last := list[len(list)-1].at; last > maxDuration || last < 0 {
		r.at(at, "the stairs take longer than any run", "write a shorter `every` or a greater `by`")
		return
	}
	put(&v.points, n, steps(list))
}

// rawBurst is one state of an MMPP.
type rawBurst struct {
	factor spot[float64]
	stay   spot[time.Duration]
}

func burstFields(b *rawBurst) []field {
	return []field{
		{key: "factor", value: amount(&b.factor, plainUnit(), bounds{0, 1e6, "from 0 to 1000000"}), need: true, help: "of the rate, relative to the other states; they are scaled so that the mean is the rate"},
		{key: "stay", value: duration(&b.stay, time.Millisecond, false), need: true, help: "mean time in the state, exponential; then comes the next, after the last the first"},
	}
}

// law reads the law of the arrivals of a group with a rate.
func (c *compiler) law(g *user.Config, n named[rawClient]) {
	v := &n.v
	at := n.node.get("bursts")
	switch v.arrive.v {
	case "constant":
		g.Law = user.Constant
	case "mmpp":
		g.Law = user.MMPP
		if at == nil {
			c.at(v.arrive.at, "arrive: mmpp has no states", "add bursts: [{factor: 1, stay: 9s}, {factor: 10, stay: 1s}]")
			return
		}
	}
	if at == nil {
		return
	}
	if g.Law != user.MMPP {
		c.warn(at, "`bursts` has no effect: it is for arrive: mmpp", "write arrive: mmpp, or remove it")
		return
	}
	b := &user.Bursts{}
	for _, s := range v.bursts {
		b.States = append(b.States, user.Burst{Factor: s.v.factor.v, Stay: s.v.stay.v})
	}
	switch {
	case len(b.States) < 2:
		c.at(at, "an MMPP has two states at least", "write bursts: [{factor: 1, stay: 9s}, {factor: 10, stay: 1s}], or arrive: poisson")
	case !slices.ContainsFunc(b.States, func(s user.Burst) bool { return s.Factor > 0 }):
		c.at(at, "all factors are 0: no request arrives", "write a factor above 0")
	default:
		g.Bursts = b
	}
}
