package sim_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/sim"
)

func TestNotes(t *testing.T) {
	for _, tt := range []struct {
		set  []string
		want []string // the beginning of each
	}{
		{nil, nil},
		{[]string{"clients.crowd.idle=10", "clients.crowd.requests_per_connection=5"}, []string{"client crowd: in virtual time connections cost nothing, so requests_per_connection, idle have no effect"}},
		{[]string{"servers.server_1.engine=seda"}, nil},
		{
			[]string{"servers.server_1.engine=seda", "servers.server_1.run=burn"},
			[]string{"server server_1: in virtual time the stages of seda are the processors and the disk, so queue, threads and batches have no effect"},
		},
		{
			[]string{"servers.server_1.engine={kind: seda, control: {kind: threshold, target: 1s}}", "servers.server_1.run=burn"},
			[]string{"server server_1: in virtual time the stages of seda are the processors and the disk, so control, queue"},
		},
	} {
		got := sim.Notes(load(t, "notes.yaml", regular("5s", "cpu 4ms", ""), scenario.Options{Set: tt.set}))
		if !slices.EqualFunc(got, tt.want, strings.HasPrefix) {
			t.Errorf("with %v: got %q, want %q", tt.set, got, tt.want)
		}
	}
}

// An answer that is longer than a group takes is cut off.
func TestMaxResponse(t *testing.T) {
	for most, want := range map[string]service.Cause{"1000B": service.Oversized, "1024B": service.OK} {
		p := load(t, "most.yaml", regular("2s", "cpu 4ms reply 1KiB", ""), scenario.Options{Set: []string{"clients.crowd.max_response=" + most}})
		if got := simulate(t, p).causes(t); len(got) != 1 || got[want] == 0 {
			t.Errorf("max_response %s: got %v, want only %v", most, got, want)
		}
	}
}
