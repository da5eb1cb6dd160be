package scenario_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eve-emulation/eve/fase/scenario"
)

// Servers bring their measurements up to date as often as any of them is told: seldom where all are told seldom, more often for one.
func TestServersMeasureAsOftenAsTheyTell(t *testing.T) {
	const text = `eve: 1
name: seldom
duration: 20s
requests: |
  request page { call app { cpu 1ms } }
servers: {server_1: {}, server_2: {}}
services:
  app: {on: [server_1, server_2], balance: %s}
clients:
  crowd: {request: page, arrive: constant, rate: 10/s}
%s`
	plain := load(t, fmt.Sprintf(text, "random", ""), scenario.Options{})
	var all strings.Builder
	all.WriteString("measure:\n")
	for i := range plain.Measures {
		m := &plain.Measures[i]
		if m.Sync.Every > 0 && m.Manipulator != "records" && slices.ContainsFunc(m.Owners, func(o string) bool { return strings.HasPrefix(o, "server") }) {
			fmt.Fprintf(&all, "  %s: {sync: {every: 5s}}\n", m.Name)
		}
	}
	one := "  server_2.cpu.utilisation: {sync: {every: 5s}}\n"
	for _, tt := range []struct {
		name, balance, measure string
		want                   [2]time.Duration
	}{
		{"as is standard", "random", "", [2]time.Duration{100 * time.Millisecond, 100 * time.Millisecond}},
		{"one of many seldom", "random", "measure:\n" + one, [2]time.Duration{100 * time.Millisecond, 100 * time.Millisecond}},
		{"all seldom", "random", all.String(), [2]time.Duration{5 * time.Second, 5 * time.Second}},
		{"one more often", "random", strings.Replace(all.String(), one, "  server_2.cpu.utilisation: {sync: {every: 50ms}}\n", 1), [2]time.Duration{5 * time.Second, 50 * time.Millisecond}},
		{"one that is looked at", "random", strings.Replace(all.String(), one, "  server_2.cpu.utilisation: {sync: {every: 5s, above: 0.5}}\n", 1), [2]time.Duration{5 * time.Second, 100 * time.Millisecond}},
		{"one that balancers read", "{kind: shortest, by: in_flight}", strings.Replace(all.String(), "  server_2.in_flight: {sync: {every: 5s}}\n", "  server_2.in_flight: {sync: {every: 200ms}}\n", 1), [2]time.Duration{5 * time.Second, 200 * time.Millisecond}},
	} {
		plan := load(t, fmt.Sprintf(text, tt.balance, tt.measure), scenario.Options{})
		if got := [2]time.Duration{plan.Servers[0].Accrue, plan.Servers[1].Accrue}; got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}
