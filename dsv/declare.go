package dsv

import (
	"fmt"
	"slices"
)

// kindNames and mergeNames are what files and frames write.
func kindNames() []string { return []string{"", "float", "int", "text", "bytes", "hist"} }

func mergeNames() []string {
	return []string{"last", "sum", "min", "max", "mean", "hists", "append"}
}

// String names the kind as files and frames do: float, int, text, bytes, hist.
func (k Kind) String() string { return nameAt(kindNames(), int(k), "kind") }

// MarshalText writes the kind's name.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads a kind's name.
func (k *Kind) UnmarshalText(b []byte) error {
	i := slices.Index(kindNames(), string(b))
	if i < 1 {
		return fmt.Errorf("kind %q: want one of %q", clip(string(b)), kindNames()[1:])
	}
	*k = Kind(i)
	return nil
}

// String names the rule as files and frames do: last, sum, min, max, mean, hists, append.
func (m Merge) String() string { return nameAt(mergeNames(), int(m), "merge") }

// MarshalText writes the rule's name.
func (m Merge) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads a rule's name.
func (m *Merge) UnmarshalText(b []byte) error {
	i := slices.Index(mergeNames(), string(b))
	if i < 0 {
		return fmt.Errorf("merge rule %q: want one of %q", clip(string(b)), mergeNames())
	}
	*m = Merge(i)
	return nil
}

func nameAt(names []string, i int, what string) string {
	if i < len(names) && names[i] != "" {
		return names[i]
	}
	return fmt.Sprintf("%s %d", what, i)
}

// Holds says whether variables of kind k can be merged by the rule.
func (m Merge) Holds(k Kind) bool {
	switch m {
	case Last:
		return k >= Float && k <= Histogram
	case Sum, Min, Max:
		return k == Float || k == Int
	case Mean:
		return k == Float
	case Hists:
		return k == Histogram
	case Append:
		return k == Bytes
	}
	return false
}

// Check returns nil when a variable can be declared so: its name is one (else ErrName), its rule holds for its kind, and
// its resolution is one of a history (else ErrKind).
func (d Declaration) Check() error {
	if _, err := ParseName(string(d.Name)); err != nil {
		return err
	}
	if !d.Merge.Holds(d.Kind) {
		return fmt.Errorf("merge rule %v does not hold for %v: %w", d.Merge, d.Kind, ErrKind)
	}
	if n := len(d.Unit) + len(d.Help); n > MaxHelp {
		return fmt.Errorf("unit and help of %d bytes, at most %d are allowed: %w", n, MaxHelp, ErrTooLarge)
	}
	if d.Resolution < 0 || d.Resolution > 0 && !d.History {
		return fmt.Errorf("resolution %v: want none, or a positive one of a history: %w", d.Resolution, ErrKind)
	}
	return nil
}

// MaxHelp bounds the bytes of a declaration's unit and help together.
const MaxHelp = 4 << 10
