package relay_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/modules/relay"
)

// What a scenario says is checked before anything runs.
func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		cfg  relay.ModuleConfig
		want string // empty: nothing is wrong
	}{
		{relay.ModuleConfig{To: "app"}, ""},
		{relay.ModuleConfig{To: "localhost:80", Listen: "localhost:0"}, ""},
		{relay.ModuleConfig{To: "[::1]:80"}, ""},
		{relay.ModuleConfig{}, "`to` says where it forwards to"},
		{relay.ModuleConfig{To: "127.0.0.1:http"}, "want HOST:PORT"},
		{relay.ModuleConfig{To: "127.0.0.1:99999"}, "want HOST:PORT"},
		{relay.ModuleConfig{To: "127.0.0.1:0"}, "port 0 is no port to call"},
		{relay.ModuleConfig{To: ":80"}, "want HOST:PORT"},
		{relay.ModuleConfig{To: "app", Listen: "here"}, "want HOST:PORT"},
		{relay.ModuleConfig{To: "app", Listen: ":80"}, "want HOST:PORT"},
		{relay.ModuleConfig{To: "app", Mode: "teleport"}, `mode "teleport"`},
		{relay.ModuleConfig{To: "app", Mode: relay.Wasm}, "mode wasm needs an extension"},
		{relay.ModuleConfig{To: "app", Mode: relay.Wasm, Extension: "magic"}, `extension "magic": want one of count, heads, upper`},
		{relay.ModuleConfig{To: "app", Extension: "count"}, "mode copy has no extension"},
		{relay.ModuleConfig{To: "app", Loops: -1}, "-1 loops"},
		{relay.ModuleConfig{To: "app", Connect: -time.Second}, "connect -1s"},
	} {
		err := tt.cfg.Check()
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: got %v, want %s", tt.cfg, err, tt.want)
		}
	}
}

// A relay declares what docs/scenario.md tells of, and its latency is a histogram.
func TestVariables(t *testing.T) {
	list := new(relay.ModuleConfig).Variables()
	for _, d := range list {
		if d.Help == "" || d.Unit == "" {
			t.Errorf("%s: got no help or no unit", d.Name)
		}
	}
	i := slices.IndexFunc(list, func(d dsv.Declaration) bool { return d.Name == "latency" })
	if i < 0 || list[i].Kind != dsv.Histogram || list[i].Unit != "s" {
		t.Errorf("latency: got %+v", list)
	}
}
