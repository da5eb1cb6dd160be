package runs

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/dsv/dsvbolt"
)

// maxNamed bounds the variables that one sentence names.
const maxNamed = 3

// Incomplete tells of which variables the history could not be read whole: a sentence for each cause.
func Incomplete(broken map[dsv.Name]error) []string {
	by := map[string][]string{}
	for n, err := range broken {
		if inner := errors.Unwrap(err); inner != nil {
			err = inner // without the variable's name, which is told anyway
		}
		by[err.Error()] = append(by[err.Error()], string(n))
	}
	var out []string
	for cause, ns := range by {
		slices.SortFunc(ns, CompareNames)
		out = append(out, fmt.Sprintf("history of %s is incomplete: %s", several(ns), cause))
	}
	slices.SortFunc(out, CompareNames)
	return out
}

// Gaps tells what the history as a whole misses: a sentence for each stretch, or one for all where these are many.
func Gaps(h History) []string {
	db, ok := h.(interface{ Gaps() []dsvbolt.Gap })
	if !ok {
		return nil
	}
	var out []string
	all := db.Gaps()
	if n := len(all); n > maxNamed {
		return []string{fmt.Sprintf("measurements are missing in %d stretches between the revisions %d and %d: the disk was full, or the file is damaged",
			n, all[0].From, all[n-1].To)}
	}
	for _, g := range all {
		out = append(out, fmt.Sprintf("measurements are missing between the revisions %d and %d: the disk was full, or the file is damaged", g.From, g.To))
	}
	return out
}

// several names the first of a list, and counts the others.
func several(ns []string) string {
	if more := len(ns) - maxNamed; more > 1 {
		return fmt.Sprintf("%s and %d more variables", strings.Join(ns[:maxNamed], ", "), more)
	}
	return strings.Join(ns, ", ")
}
