// Package resourcetest checks the books of a run with resource managers.
package resourcetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/modules/resource"
)

// Read calls fn for each value that a variable has had, the oldest first.
type Read func(n dsv.Name, fn func(text string) error) error

// Books are what the records of a run say.
type Books struct {
	Requests int            // that have an outcome
	Outcomes map[string]int // by outcome: granted, or the reason
	Granted  map[string]int // by the manager that granted them
}

// Audit checks the records of askers, which may be managers too, and of managers: each request has one outcome; one that
// was granted was so by the manager which it names, whose ledger has it, and no other's does; and managers granted nothing
// else. What a manager granted and revoked does not count. dead are managers that were killed, whose ledgers may lack lines,
// and may have grants of which nobody was told any more.
func Audit(read Read, askers, managers, dead []string) (Books, error) {
	owner, errs := ledgers(read, managers)
	b := Books{Outcomes: map[string]int{}, Granted: map[string]int{}}
	seen := map[string]bool{}
	for _, name := range askers {
		errs = append(errs, read(dsv.Name(name+".outcomes"), func(text string) error {
			var l resource.OutcomeLine
			if err := json.Unmarshal([]byte(text), &l); err != nil {
				return fmt.Errorf("outcomes of %s: %w", name, err)
			}
			if seen[l.Request] {
				errs = append(errs, fmt.Errorf("request %s has two outcomes", l.Request))
			}
			seen[l.Request] = true
			b.Requests++
			b.Outcomes[l.Outcome]++
			if l.Manager != "" {
				b.Granted[l.Manager]++
			}
			switch by := owner[l.Request]; {
			case by == l.Manager, by == "" && slices.Contains(dead, l.Manager):
			default:
				errs = append(errs, fmt.Errorf("request %s is granted by %q, by the managers' ledgers by %q", l.Request, l.Manager, by))
			}
			delete(owner, l.Request)
			return nil
		}))
	}
	for _, request := range slices.Sorted(maps.Keys(owner)) {
		errs = append(errs, fmt.Errorf("%s granted %s to nobody", owner[request], request))
	}
	return b, errors.Join(errs...)
}

// ledgers returns, by request, which manager granted it.
func ledgers(read Read, managers []string) (map[string]string, []error) {
	owner := map[string]string{}
	var errs []error
	for _, name := range managers {
		errs = append(errs, read(dsv.Name(name+".ledger"), func(text string) error {
			var l resource.LedgerLine
			if err := json.Unmarshal([]byte(text), &l); err != nil {
				return fmt.Errorf("ledger of %s: %w", name, err)
			}
			switch had := owner[l.Request]; {
			case l.Did == "grant" && had == "":
				owner[l.Request] = name
			case l.Did == "revoke" && had == name:
				delete(owner, l.Request)
			default:
				errs = append(errs, fmt.Errorf("%s: %s of request %s, which is granted by %q", name, l.Did, l.Request, had))
			}
			return nil
		}))
	}
	return owner, errs
}
