package scenario

import (
	"fmt"
	"slices"
	"strings"
)

// A Graft is another file from which a scenario takes its adaptation: who adapts (`adapt:` and `control:`, both together, so that
// what the scenario had of them goes), by what that is judged (`slo:`), what is measured for it (`measure:`, beside what the
// scenario measures), and among which servers it may choose (`on` and `replicas` of services that the scenario has). It is a whole
// scenario, of which nothing else is read, or a file of these keys alone. Short names (`set:`) of the scenario go, as what they
// stand for may have gone.
type Graft struct {
	File string // its name in messages
	// Text is the file; empty: nobody adapts, and all else stays.
	Text []byte
	// Goals says that only `slo:` is taken: the scenario stays as it is and is judged by it.
	Goals bool
}

// grafted are the keys that a graft may have, and placing those of its services.
func grafted() []string { return []string{"adapt", "control", "slo", "measure", "services"} }
func placing() []string { return []string{"on", "replicas"} }

// graftFile puts what a graft has into the tree and returns the top-level keys that it changed.
func graftFile(root *node, g *Graft, f *faults) map[string]bool {
	changed := map[string]bool{}
	if g == nil {
		return changed
	}
	other := &node{kind: mappingNode}
	if len(g.Text) > 0 {
		if other = graftTree(g, f); other == nil {
			return changed
		}
	}
	replace := func(key string, v *node) {
		if root.get(key) == nil && v == nil {
			return
		}
		changed[key] = true
		root.entries = slices.DeleteFunc(root.entries, func(e entry) bool { return e.key.text == key && v == nil })
		if v != nil {
			*root.slot(key, v) = v
		}
	}
	if slo := other.get("slo"); slo != nil {
		replace("slo", slo)
	}
	if g.Goals {
		return changed
	}
	adapt, control := other.get("adapt"), other.get("control")
	if adapt != nil || control != nil || len(g.Text) == 0 {
		replace("adapt", adapt)
		replace("control", control)
		replace("set", nil)
	}
	if graftServices(root, other, f) {
		changed["services"] = true
	}
	if m := other.get("measure"); m != nil && m.kind == mappingNode {
		if own := root.get("measure"); own == nil || own.kind != mappingNode {
			replace("measure", m)
		} else {
			for _, e := range m.entries {
				*own.slot(e.key.text, e.key) = e.value
			}
			changed["measure"] = true
		}
	}
	return changed
}

// graftServices gives services the places that a graft has for them, and reports whether there are any.
func graftServices(root, other *node, f *faults) (any bool) {
	all, own := other.get("services"), root.get("services")
	if all == nil || all.kind != mappingNode || own == nil || own.kind != mappingNode {
		return false
	}
	whole := other.get("eve") != nil
	for _, e := range all.entries {
		svc := own.get(e.key.text)
		switch {
		case svc == nil && whole || e.value.kind != mappingNode:
			continue
		case svc == nil:
			f.at(e.key, fmt.Sprintf("there is no service %q", clip(e.key.text)), "an adaptation says where services may be that the scenario has")
			continue
		}
		for _, v := range e.value.entries {
			if slices.Contains(placing(), v.key.text) {
				*svc.slot(v.key.text, v.key) = v.value
				any = true
			} else if !whole {
				f.at(v.key, fmt.Sprintf("the key %q of a service is the scenario's", clip(v.key.text)), "an adaptation has "+strings.Join(placing(), " and ")+" of it")
			}
		}
	}
	return any
}

// graftTree reads the file of a graft; nil where that has a mistake.
func graftTree(g *Graft, f *faults) *node {
	inner := &faults{main: g.File}
	other := parseTree(g.File, g.Text, inner)
	f.errs = append(f.errs, inner.errs...)
	if other == nil || len(inner.errs) > 0 {
		return nil
	}
	if other.kind != mappingNode {
		f.at(other, fmt.Sprintf("an adaptation is a mapping, not %s", other.what()), "write `adapt:` or `control:`")
		return nil
	}
	whole, any := other.get("eve") != nil, false
	for _, e := range other.entries {
		own := slices.Contains(grafted(), e.key.text)
		if any = any || own; !own && !whole {
			f.at(e.key, fmt.Sprintf("the key %q is of a whole scenario", clip(e.key.text)),
				"an adaptation has "+strings.Join(grafted(), ", ")+"; a whole scenario begins with `eve: 1`")
		}
	}
	if !any && len(f.errs) == 0 {
		f.at(other, "there is no adaptation in it", "write `adapt:` or `control:`, or `slo:` to judge by another")
	}
	if len(f.errs) > 0 {
		return nil
	}
	return other
}
