package eve_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/eve-emulation/eve/"

// The import table: what the packages of a folder may import of this module. A pattern ends in /... for a folder and all
// below it. What a test imports is free.
var layout = []struct {
	folder string
	may    []string
}{
	{"rdr", nil},
	{"dsv", nil},
	{"dsv/dsvbolt", []string{"dsv"}},
	{"dsv/dsvtest", []string{"dsv"}},
	{"dmm", []string{"dsv"}},
	{"dmm/recipe", []string{"dsv", "dmm", "dmm/expr", "dmm/wasm"}},
	{"dmm/...", []string{"dsv", "dmm"}},
	{"evekernel", []string{"dsv", "dmm", "dmm/expr", "dmm/recipe", "dmm/wasm", "internal/mono", "internal/child", "evekernel/..."}},
	{"evekernel/egs", []string{"dsv", "dmm", "dmm/expr", "dmm/wasm"}},
	{"evekernel/link", []string{"dsv", "evekernel/egs"}},
	{"evekernel/wire", []string{"dsv", "dmm", "evekernel/egs"}},
	{"evekernel/wire/wiretest", nil},
	{"modules", []string{"dsv", "dmm", "evekernel/link", "dmm/expr", "dmm/recipe", "dmm/wasm", "evekernel/wire", "evekernel/egs", "internal/mono"}},
	{"modules/...", []string{"dsv", "dmm", "modules", "evekernel/wire", "evekernel/egs", "internal/mono", "fase/...", "rdr"}},
	{"modules/program", []string{"evekernel/wire", "internal/child"}},
	{"modules/adapter", []string{"dsv", "dmm", "modules", "modules/program", "evekernel/wire", "fase/adapt", "fase/scenario", "fase/step"}},
	{"modules/target", []string{"dsv", "dmm", "modules", "internal/child", "fase/scenario", "fase/adapt", "fase/usage"}},
	{"modules/relay", []string{"dsv", "dmm", "dmm/wasm", "modules", "evekernel/wire", "evekernel/egs", "internal/mono", "internal/netpoll", "fase/...", "rdr"}},
	{"modules/resource/resourcetest", []string{"dsv", "modules/resource"}},
	{"fase/step", []string{"dsv"}},
	{"fase/trace", nil},
	{"fase/stat", []string{"dsv"}},
	{"fase/exact", []string{"dsv"}},
	{"fase/qn", nil},
	{"fase/lqn", []string{"fase/qn"}},
	{"fase/usl", nil},
	{"fase/solve", []string{"dsv", "rdr", "fase/machine", "fase/admit", "fase/service", "fase/user", "fase/session", "fase/scenario", "fase/files", "fase/exact", "fase/qn", "fase/lqn"}},
	{"fase/find", []string{"dsv", "fase/stat"}},
	{"fase/machine", []string{"dsv", "fase/step"}},
	{"fase/admit", []string{"dsv", "fase/step", "fase/stat"}},
	{"fase/files", []string{"rdr"}},
	{"fase/service", []string{"dsv", "dmm", "dmm/expr", "rdr", "fase/step", "fase/machine", "fase/admit", "fase/stat", "fase/files"}},
	{"fase/bpel", []string{"rdr"}},
	{"fase/har", []string{"rdr"}},
	{"fase/spans", nil},
	{"fase/session", []string{"dsv", "dmm/expr"}},
	{"fase/user", []string{"dsv", "dmm", "rdr", "fase/step", "fase/stat", "fase/service", "fase/session"}},
	{"fase/adapt", []string{"dsv", "dmm", "dmm/expr", "rdr", "evekernel/egs", "fase/step", "fase/stat", "fase/admit", "fase/service"}},
	{"fase/adapt/adapttest", []string{"dsv", "fase/adapt"}},
	{"fase/scenario", []string{"dsv", "dmm", "dmm/expr", "dmm/recipe", "dmm/wasm", "rdr", "fase/step", "fase/machine", "fase/admit", "fase/service", "fase/user", "fase/session", "fase/adapt", "fase/files", "fase/trace", "fase/usage"}},
	{"fase/runs", []string{"dsv", "dsv/dsvbolt", "dmm", "dmm/expr", "rdr", "fase/stat", "fase/machine", "fase/service", "fase/user", "fase/session", "fase/adapt", "fase/scenario", "fase/usage"}},
	{"fase/runs/runstest", []string{"dsv", "dsv/dsvbolt", "dmm", "dmm/expr", "rdr", "fase/service", "fase/user", "fase/adapt", "fase/scenario", "fase/runs"}},
	{"fase/sim", []string{"dsv", "dmm", "rdr", "fase/step", "fase/machine", "fase/admit", "fase/service", "fase/user", "fase/adapt", "fase/scenario", "fase/runs", "fase/files"}},
	{"fase/campaign", []string{"dsv", "dmm", "dmm/expr", "fase/stat", "fase/service", "fase/user", "fase/scenario", "fase/runs", "fase/sim"}},
	{"fase/plan", []string{"dsv", "dmm", "fase/stat", "fase/find", "fase/service", "fase/user", "fase/scenario", "fase/runs", "fase/campaign", "fase/solve", "fase/usl"}},
	{"fase/sweep", []string{"dmm/expr", "fase/stat", "fase/runs", "fase/scenario"}},
	{"fase/judge", []string{"dsv", "dmm", "dmm/expr", "rdr", "fase/stat", "fase/machine", "fase/service", "fase/user", "fase/adapt", "fase/scenario", "fase/runs", "fase/sim", "fase/campaign"}},
	{"fase/replay", []string{"dsv", "fase/adapt", "fase/user", "fase/scenario", "fase/runs", "fase/sim", "fase/campaign", "fase/judge"}},
	{"fase/report", []string{"fase/solve", "fase/plan", "fase/find", "fase/replay", "dsv", "dmm", "fase/stat", "fase/service", "fase/user", "fase/adapt", "fase/scenario", "fase/runs", "fase/judge", "fase/campaign", "fase/sweep", "fase/usage"}},
	{"fase/fit", []string{"dsv", "dmm", "rdr", "fase/stat", "fase/machine", "fase/service", "fase/user", "fase/adapt", "fase/scenario", "fase/runs"}},
	{"fase/usage", []string{"dsv", "dmm", "internal/mono"}},
	{"fase/burn", []string{"internal/..."}},
	{"fase/engine", []string{"dsv", "rdr", "internal/...", "fase/engine/stage", "fase/admit"}},
	{"fase/engine/...", []string{"dsv", "rdr", "internal/...", "fase/engine"}},
	{"fase/load", []string{"dsv", "dmm", "rdr", "fase/step", "fase/service", "fase/user", "internal/..."}},
	{"scenarios", nil},
	{"scenarios/accesslog", nil},
	{"cmd/...", []string{"..."}},
	{"internal/mono", nil},
	{"internal/netpoll", []string{"internal/mono"}},
	{"internal/http1", nil},
	{"internal/child", nil},
}

// importers says which packages alone may import a library; a folder stands for itself and what is below it.
var importers = map[string][]string{
	"go.etcd.io/bbolt":                {"dsv/dsvbolt"},
	"github.com/HdrHistogram":         {"cmd/eve/bench", "cmd/eve/app"}, // and tests
	"github.com/expr-lang/expr":       {"dmm/expr"},
	"github.com/gorilla/websocket":    {"evekernel/wire"},
	"github.com/fxamacker/cbor":       {"evekernel/wire"},
	"github.com/goccy/go-yaml":        {"fase/scenario"},
	"gonum.org/v1/plot":               {"fase/report"},
	"gonum.org/v1/gonum":              {"fase/stat", "fase/report"},
	"golang.org/x/sys":                {"internal"},
	"github.com/spf13/cobra":          {"cmd"},
	"golang.org/x/term":               {"cmd"},
	"github.com/vbauerster/mpb":       {"cmd"},
	"github.com/panjf2000/gnet":       {"cmd/eve/bench/gnet"},   // it starts goroutines in every program that imports it
	"github.com/tsenart/vegeta":       {"cmd/eve/bench/vegeta"}, // a module of its own
	"fortio.org":                      {"cmd/eve/bench/fortio"}, // a module of its own
	"github.com/prometheus":           {"evekernel"},
	"github.com/tetratelabs/wazero":   {"dmm/wasm"},
	"github.com/redis/go-redis":       {"cmd/eve/bench"},
	"github.com/nats-io":              {"cmd/eve/bench"},
	"github.com/rogpeppe/go-internal": {}, // tests only
}

func TestLayout(t *testing.T) {
	seen := map[string]bool{}
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && file != "."):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go"):
			return nil
		}
		folder := filepath.ToSlash(filepath.Dir(file))
		seen[folder] = true
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range f.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			checkImport(t, file, folder, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range layout {
		if !strings.HasSuffix(l.folder, "/...") && !seen[l.folder] {
			t.Errorf("layout lists %s, which has no Go files", l.folder)
		}
	}
}

func checkImport(t *testing.T, file, folder, name string) {
	t.Helper()
	own, inside := strings.CutPrefix(name, module)
	if !inside {
		for library, allowed := range importers {
			if name != library && !strings.HasPrefix(name, library+"/") {
				continue
			}
			if !slices.ContainsFunc(allowed, func(a string) bool { return matches(a+"/...", folder) || a == folder }) {
				t.Errorf("%s imports %s, which only %v may", file, name, allowed)
			}
		}
		return
	}
	may, ok := rule(folder)
	if !ok {
		t.Errorf("%s: layout has no line for %s", file, folder)
		return
	}
	if !slices.ContainsFunc(may, func(p string) bool { return matches(p, own) }) {
		t.Errorf("%s imports %s; %s may import %v", file, own, folder, may)
	}
}

// rule returns the most particular line for a folder.
func rule(folder string) (may []string, ok bool) {
	best := -1
	for _, l := range layout {
		if matches(l.folder, folder) && len(l.folder) > best && (l.folder == folder || best < 1000) {
			best, may, ok = len(l.folder), l.may, true
			if l.folder == folder {
				best = 1000
			}
		}
	}
	return may, ok
}

func matches(pattern, name string) bool {
	if pattern == "..." {
		return true
	}
	if prefix, ok := strings.CutSuffix(pattern, "/..."); ok {
		return strings.HasPrefix(name, prefix+"/")
	}
	return path.Clean(pattern) == name
}
