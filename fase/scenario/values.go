package scenario

import (
	"fmt"
	"strings"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dmm/expr"
)

// rawRequests is RDR text in the scenario, or the files that hold it.
type rawRequests struct {
	text  *node
	files []spot[string]
}

func requests(dst *rawRequests) value {
	s := shape{name: "RDR text, or list of files", json: map[string]any{
		"oneOf": []any{
			map[string]any{"type": "string"},
			map[string]any{"type": "array", "items": map[string]any{"type": "string"}},
		},
	}}
	files := texts(&dst.files, "file", many)
	return value{s, func(r *reader, n *node) {
		switch {
		case n.kind == sequenceNode, n.kind == scalarNode && strings.HasSuffix(n.text, ".rdr") && !strings.ContainsAny(n.text, "{\n"):
			files.read(r, n)
		case n.kind != scalarNode:
			r.at(n, fmt.Sprintf("requests are RDR text or a list of files, not %s", n.what()), "write `requests: |` and the text below it, indented")
		case n.style == folded:
			r.at(n, "`>` joins the lines of a text", "write | in its place, so that lines stay lines")
		default:
			dst.text = n
		}
	}}
}

func (r *reader) curve(n *node, within bounds) ([]ratePoint, bool) {
	if len(n.entries) == 0 {
		r.at(n, "the curve has no points", "write {0s: 40/s, 20s: 160/s}")
		return nil, false
	}
	var points []ratePoint
	ok := true
	for _, e := range n.entries {
		at, good := r.duration(e.key, e.key.text, 0)
		var x spot[float64]
		amount(&x, rateUnit(), within).read(r, e.value)
		if !good || !x.written() {
			ok = false
			continue
		}
		if len(points) > 0 && at <= points[len(points)-1].at {
			r.at(e.key, fmt.Sprintf("%s does not come after %v", clip(e.key.text), points[len(points)-1].at), "the times of a curve rise")
			ok = false
			continue
		}
		points = append(points, ratePoint{at, x.v})
	}
	return points, ok
}

// thinks is a think time: constant, or exponential.
func thinks(dst *spot[think]) value {
	return value{stringShape("duration, or exp(duration)"), func(r *reader, n *node) {
		t, ok := r.scalar(n, "a think time")
		if !ok {
			return
		}
		inner, exponential := strings.CutPrefix(t, "exp(")
		if exponential {
			if inner, ok = strings.CutSuffix(inner, ")"); !ok {
				r.at(n, fmt.Sprintf("%q has no closing parenthesis", clip(t)), "write exp(1s)")
				return
			}
		} else if strings.Contains(t, "(") {
			r.at(n, fmt.Sprintf("%q is not a think time", clip(t)), "write 1s, or exp(1s) for an exponential one")
			return
		}
		if d, ok := r.duration(n, inner, 0); ok {
			put(dst, n, think{d, exponential})
		}
	}}
}

// files is a mapping of file names to contents.
func files(dst *[]spotFile) value {
	s := shape{name: "mapping of texts", json: map[string]any{
		"type": "object", "additionalProperties": map[string]any{"type": "string"},
	}}
	return value{s, func(r *reader, n *node) {
		if n.kind != mappingNode {
			r.at(n, fmt.Sprintf("a mapping of file names to texts is due, not %s", n.what()), "")
			return
		}
		for _, e := range n.entries {
			name := e.key.text
			if name == "" || name[0] == '.' || strings.ContainsAny(name, "/\\") {
				r.at(e.key, fmt.Sprintf("%q is not a plain file name", clip(name)), "it has no folders and does not begin with a dot")
			} else if s, ok := r.scalar(e.value, "the text of the file"); ok {
				*dst = append(*dst, spotFile{name, s})
			}
		}
	}}
}

// anything is kept as it stands.
func anything(dst **node) value {
	return value{shape{name: "mapping", json: map[string]any{"type": "object"}}, func(_ *reader, n *node) { *dst = n }}
}

// trigger is the mapping `sync:`.
func trigger(m *rawRecipe) value {
	inner := object("sync", syncFields(m))
	return value{inner.shape, func(r *reader, n *node) {
		m.sync = n.src != nil
		inner.read(r, n)
	}}
}

// like is the same value where the reference need not list its keys again.
func (v value) like(name string) value {
	v.shape = shape{name: name, json: v.schema()}
	return v
}

// second is the mapping `kernel:`.
func second(m *rawMeasure) value {
	inner := object("kernel", kernelFields(&m.kernel))
	return value{inner.shape, func(r *reader, n *node) {
		if n.src == nil {
			return // there is none
		}
		m.behind = n
		inner.read(r, n)
	}}
}

// changes is an absolute difference in base units, or a relative one in percent.
func changes(dst *spot[change]) value {
	s := shape{name: "quantity, or percentage", json: map[string]any{"type": []any{"string", "number"}}}
	return value{s, func(r *reader, n *node) {
		x, ok := r.level(n)
		switch {
		case !ok:
		case x <= 0:
			r.at(n, "a change is above 0", "")
		case strings.HasSuffix(strings.TrimSpace(n.text), "%"):
			put(dst, n, change{relative: x})
		default:
			put(dst, n, change{absolute: x})
		}
	}}
}

// level is a quantity of any unit, which may be negative.
func level(dst *spot[float64]) value {
	s := shape{name: "quantity", json: map[string]any{"type": []any{"string", "number"}}}
	return value{s, func(r *reader, n *node) {
		if x, ok := r.level(n); ok {
			put(dst, n, x)
		}
	}}
}

func (r *reader) level(n *node) (float64, bool) {
	t, ok := r.scalar(n, "a quantity")
	if !ok {
		return 0, false
	}
	digits, negative := strings.CutPrefix(strings.TrimSpace(t), "-")
	x, _, err := expr.ParseQuantity(digits)
	if err != nil {
		r.at(n, fmt.Sprintf("%q is not a quantity", clip(t)), "write it as 5, 10ms, 40/s or 85%")
		return 0, false
	}
	if negative {
		x = -x
	}
	return x, true
}

// manipulators lists what `dmm:` may name.
func manipulators() []string {
	var names []string
	for _, n := range dmm.Shipped().Names() {
		if n != "records" {
			names = append(names, n)
		}
	}
	return names
}

// trigger returns the trigger that is written, or the standard one.
func (m *rawRecipe) trigger(standard dmm.Trigger) dmm.Trigger {
	if !m.sync {
		return standard
	}
	t := dmm.Trigger{Every: m.every.v, Count: m.count.v, Change: m.change.v.absolute, ChangeRelative: m.change.v.relative}
	if m.above.written() {
		t.Above = &m.above.v
	}
	if m.below.written() {
		t.Below = &m.below.v
	}
	return t
}

// period is how often measurements are synchronised where nothing else is said.
const period = 100 * time.Millisecond
