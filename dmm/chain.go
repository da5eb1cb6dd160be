package dmm

import (
	"fmt"

	"github.com/eve-emulation/eve/dsv"
)

// Merges says whether a manipulator of the second kind and rule merges deltas of the first, and does not take each of
// them for one sample: where both are the same, and not the latest value.
func Merges(kind dsv.Kind, rule dsv.Merge, intoKind dsv.Kind, intoRule dsv.Merge) bool {
	return kind == intoKind && rule == intoRule && rule != dsv.Last
}

// Chain returns nil when a manipulator that makes what into declares can stand behind one that makes what from declares;
// else an error that wraps [dsv.ErrKind].
func Chain(from, into dsv.Declaration) error {
	number := from.Kind == dsv.Float || from.Kind == dsv.Int
	text := into.Kind == dsv.Text || into.Kind == dsv.Bytes
	switch {
	case Merges(from.Kind, from.Merge, into.Kind, into.Merge):
	case into.Merge == dsv.Append:
		return fmt.Errorf("records take records, not %v: %w", from.Kind, dsv.ErrKind)
	case text && from.Kind != into.Kind:
		return fmt.Errorf("%v takes no %v: %w", into.Kind, from.Kind, dsv.ErrKind)
	case !text && !number:
		return fmt.Errorf("it takes numbers, and what comes is %v: %w", from.Kind, dsv.ErrKind)
	}
	return nil
}
