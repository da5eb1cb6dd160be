package engine_test

import (
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/eve-emulation/eve/fase/engine"
	"github.com/eve-emulation/eve/fase/engine/enginetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEngines(t *testing.T) {
	for _, kind := range engine.Shipped() {
		t.Run(kind.Name, func(t *testing.T) {
			switch kind.Name {
			case "sped-select", "sped-poll", "sped-epoll-et":
				if testing.Short() {
					t.Skip("sped-epoll-lt is the same loop over another call of the system")
				}
			}
			enginetest.Run(t, kind)
		})
	}
}

func TestUnknownEngine(t *testing.T) {
	_, err := engine.Shipped().Listen(engine.Config{Listen: "127.0.0.1:0", Name: "apache"}, nil)
	if err == nil || !strings.Contains(err.Error(), `"apache"`) || !strings.Contains(err.Error(), "reactors") {
		t.Errorf("listen: got %v, want an error that names the engine and those that exist", err)
	}
}
