package dsv

import (
	"fmt"
	"strings"
)

// MaxName bounds the bytes of a Name.
const MaxName = 200

// ParseName checks that s is a variable's name; otherwise the error wraps ErrName and says what is wrong.
func ParseName(s string) (Name, error) {
	if err := checkParts(s, false); err != nil {
		return "", fmt.Errorf("name %q: %w: %w", clip(s), err, ErrName)
	}
	return Name(s), nil
}

// CheckPattern checks that s is a pattern of names, as in [WatchRequest]; otherwise the error wraps ErrName.
func CheckPattern(s string) error {
	if err := checkParts(s, true); err != nil {
		return fmt.Errorf("pattern %q: %w: %w", clip(s), err, ErrName)
	}
	return nil
}

// Match says whether the pattern matches the name: a name matches itself, "*" alone everything, a final ".*" any
// further parts, and any other '*' exactly one part.
func (n Name) Match(pattern string) bool {
	if pattern == "*" {
		return true
	}
	name := string(n)
	for {
		part, rest, more := strings.Cut(pattern, ".")
		have, left, further := strings.Cut(name, ".")
		if part != "*" && part != have {
			return false
		}
		if more && rest == "*" {
			return further
		}
		if !more || !further {
			return more == further
		}
		pattern, name = rest, left
	}
}

// Parts returns the parts between the dots.
func (n Name) Parts() []string { return strings.Split(string(n), ".") }

func checkParts(s string, stars bool) error {
	if s == "" {
		return fmt.Errorf("empty")
	}
	if len(s) > MaxName {
		return fmt.Errorf("%d bytes, at most %d are allowed", len(s), MaxName)
	}
	for part := range strings.SplitSeq(s, ".") {
		if stars && part == "*" {
			continue
		}
		if part == "" {
			return fmt.Errorf("empty part")
		}
		if part[0] < 'a' || part[0] > 'z' {
			return fmt.Errorf("part %q does not start with a-z", clip(part))
		}
		for i := range len(part) {
			if c := part[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
				return fmt.Errorf("part %q has other than a-z, 0-9 and _", clip(part))
			}
		}
	}
	return nil
}

// clip shortens what a message quotes.
func clip(s string) string {
	if len(s) > 60 {
		return s[:60] + "…"
	}
	return s
}
