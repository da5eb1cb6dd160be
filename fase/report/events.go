package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/eve-emulation/eve/dsv"
)

// An event is a change of a module's state while the run went on.
type event struct {
	module, state string
	at            float64 // s
}

// The variables eve.modules.NAME.state, and the states after which a module is no more.
const (
	stateBefore = "eve.modules."
	stateAfter  = ".state"
)

func over(state string) bool { return state == "exited" || state == "failed" }

// events reads what became of modules between the run's start and its end, by time.
func (r *reader) events() []event {
	var es []event
	for n := range r.declared {
		rest, module := strings.CutPrefix(string(n), stateBefore)
		name, state := strings.CutSuffix(rest, stateAfter)
		if !module || !state {
			continue
		}
		r.each(n, func(d *dsv.Delta) {
			if at := d.T1.Seconds(); at > 0 && at < r.data.end() && d.Value.Kind == dsv.Text {
				es = append(es, event{name, d.Value.Text, at})
			}
		})
	}
	slices.SortFunc(es, func(a, b event) int {
		// Several at once are told together, where they became the same.
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.state, b.state), cmp.Compare(a.module, b.module))
	})
	return es
}

// ends are the instants at which modules were over for good.
func ends(es []event) map[string]float64 {
	m := map[string]float64{}
	for _, e := range es {
		delete(m, e.module)
		if over(e.state) {
			m[e.module] = e.at
		}
	}
	return m
}

// eventMarks are the marks of events; those of one state that come together, within a hundredth of the run, share one.
func (d *Data) eventMarks() []mark {
	var ms []mark
	for i := 0; i < len(d.events); {
		first, n := d.events[i], 0
		var names []string
		for ; i < len(d.events) && d.events[i].state == first.state && d.events[i].at <= first.at+d.end()/100; i++ {
			names = append(names, d.events[i].module)
			n++
		}
		label := strings.Join(names, ", ")
		if n > 2 {
			label = fmt.Sprintf("%d modules", n)
		}
		ms = append(ms, mark{at: first.at, label: label + " " + first.state, module: true, failed: first.state == "failed"})
	}
	return ms
}
