package main

import (
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/eve-emulation/eve/cmd/eve/app"
	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/modules"
	"github.com/eve-emulation/eve/modules/examples/ladder"
)

var long = flag.Bool("long", false, "run the scripts that take long, too")

// TestMain lets the test binary be eve, for scripts and for the modules that it starts. This eve knows two kinds of modules more,
// one that never becomes ready and one that counts, and a kind of controller.
func TestMain(m *testing.M) {
	// Scripts wait more than they work. -parallel, which is parsed later, still wins.
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	testscript.Main(m, map[string]func(){"eve": func() {
		idle := modules.Spec{
			Name: "idle", Help: "never becomes ready",
			New: func() modules.Module {
				return modules.Func(func(ctx context.Context, _ *modules.Env) error {
					<-ctx.Done()
					return nil
				})
			},
		}
		beats := modules.Spec{
			Name: "beats", Help: "counts ten times a second, in NAME.beats",
			New: func() modules.Module { return modules.Func(beat) },
		}
		app.Main(append(app.Shipped(), idle, beats, ladder.Spec)...)
	}})
}

// beat is the module that counts.
func beat(ctx context.Context, env *modules.Env) error {
	name := dsv.Name(env.Name + ".beats")
	if err := env.Measure(dmm.Spec{Name: name, Manipulator: "count", Sync: dmm.Trigger{Every: 100 * time.Millisecond}}); err != nil {
		return err
	}
	if err := env.Ready(ctx); err != nil {
		return err
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			env.Var(name).Write(env.Now(), 1)
		}
	}
}

// TestScripts runs the commands as users do. The files in testdata/script each test one command or one fault; those
// whose name begins with long_ only behind -long.
func TestScripts(t *testing.T) {
	testscript.Run(t, params(*long))
}

func params(long bool) testscript.Params {
	return testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			work, err := newWorkbench(env.WorkDir)
			if err != nil {
				return err
			}
			examples, err := filepath.Abs("../../modules/examples")
			if err != nil {
				return err
			}
			env.Setenv("EXAMPLES", examples)
			env.Setenv("PYTHON", pythonWithWebsocket())
			env.Values[workbenchKey{}] = work
			env.Defer(work.close)
			return nil
		},
		Cmds: commands(),
		Condition: func(name string) (bool, error) {
			switch name {
			case "long":
				return long, nil
			case "root":
				return os.Geteuid() == 0, nil
			case "websocket":
				return pythonWithWebsocket() != "", nil
			}
			return false, nil
		},
	}
}

// pythonWithWebsocket is an interpreter that has python3-websocket; empty when there is none.
func pythonWithWebsocket() string {
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(python, "-c", "import websocket").Run() == nil {
			return python
		}
	}
	return ""
}
