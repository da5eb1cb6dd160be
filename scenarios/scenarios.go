// Package scenarios holds the scenario files that Eve ships. Each opens with what it shows and what to expect.
package scenarios

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

//go:embed *.yaml *.log.gz
var files embed.FS

// ErrNotFound reports a name under which no scenario is shipped.
var ErrNotFound = errors.New("no shipped scenario of that name")

// A Shipped is one scenario file.
type Shipped struct {
	Name  string
	About string // one sentence, from the file's `about:`
}

// FS returns the files: NAME.yaml, what they read beside them, and NAME.OTHER.yaml: other adaptations, for `eve replay`.
func FS() fs.FS { return files }

// List returns what is shipped, by name.
func List() []Shipped {
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		panic(err) // embedded
	}
	var list []Shipped
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".yaml")
		if !ok || strings.Contains(name, ".") { // an adaptation of the scenario before the dot
			continue
		}
		src, err := Open(name)
		if err != nil {
			panic(err) // it was listed
		}
		list = append(list, Shipped{name, about(src)})
	}
	return list
}

// Beside lists the files that a shipped scenario reads: those that are called as it is, with another ending.
func Beside(name string) []string {
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		panic(err) // embedded
	}
	var list []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), name+".") && e.Name() != name+".yaml" {
			list = append(list, e.Name())
		}
	}
	return list
}

// about returns the value of the top-level key of that name. A shipped file has it on one line, plain or in double
// quotes without escapes, which a test holds it to.
func about(src []byte) string {
	for l := range strings.SplitSeq(string(src), "\n") {
		if s, ok := strings.CutPrefix(l, "about: "); ok {
			return strings.Trim(s, `"`)
		}
	}
	return ""
}

// Open returns the text of a shipped scenario; ErrNotFound when there is none of that name.
func Open(name string) ([]byte, error) {
	if !fs.ValidPath(name) || strings.Contains(name, "/") {
		return nil, fmt.Errorf("open scenario %q: %w", name, ErrNotFound)
	}
	b, err := files.ReadFile(name + ".yaml")
	if err != nil {
		return nil, fmt.Errorf("open scenario %q: %w", name, ErrNotFound)
	}
	return b, nil
}
