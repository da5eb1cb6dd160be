package app

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/eve-emulation/eve/dsv"
)

// warnings tells, a sentence for each module that ended without its last synchronisation, how many of its variables may
// miss what it wrote since when, by the triggers that say how much that can be.
func warnings(losses map[dsv.Name][]dsv.Loss) []string {
	type missing struct {
		vars  int
		since dsv.Instant
		sync  string
	}
	by := map[string]map[string]*missing{} // by module and trigger
	for _, ls := range losses {
		for _, l := range ls {
			if by[l.Module] == nil {
				by[l.Module] = map[string]*missing{}
			}
			m := by[l.Module][l.Sync]
			if m == nil {
				m = &missing{since: l.Since, sync: l.Sync}
				by[l.Module][l.Sync] = m
			}
			m.vars++
			m.since = min(m.since, l.Since)
		}
	}
	var all []string
	for _, name := range slices.Sorted(maps.Keys(by)) {
		parts := slices.SortedFunc(maps.Values(by[name]), func(a, b *missing) int {
			return cmp.Or(cmp.Compare(b.vars, a.vars), cmp.Compare(a.sync, b.sync))
		})
		var text []string
		for _, m := range parts {
			text = append(text, fmt.Sprintf("%d since %.1f s (%s)", m.vars, m.since.Seconds(), m.sync))
		}
		all = append(all, fmt.Sprintf("module %s ended without its last synchronisation: variables that miss what it wrote: %s",
			name, strings.Join(text, ", ")))
	}
	return all
}
