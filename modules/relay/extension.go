package relay

import (
	"embed"
	"path"
	"slices"
	"strings"
)

//go:embed guests/*.wasm
var guests embed.FS

// Extensions lists the extensions that come with Eve; the text of each is in modules/relay/guests.
func Extensions() []string {
	files, err := guests.ReadDir("guests")
	if err != nil {
		panic(err) // embedded
	}
	var names []string
	for _, f := range files {
		names = append(names, strings.TrimSuffix(f.Name(), ".wasm"))
	}
	slices.Sort(names)
	return names
}

// Extension returns the WebAssembly of a shipped extension.
func Extension(name string) ([]byte, bool) {
	if strings.ContainsAny(name, "/.") {
		return nil, false
	}
	b, err := guests.ReadFile(path.Join("guests", name+".wasm"))
	return b, err == nil
}
