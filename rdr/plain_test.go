package rdr_test

import (
	"testing"

	"github.com/eve-emulation/eve/rdr"
)

func TestPlain(t *testing.T) {
	for _, tt := range []struct {
		text  string
		reply int64
		ok    bool
	}{
		{"cpu 0 reply 100B", 100, true},
		{"reply 2KiB", 2048, true},
		{"cpu 0", 0, true},
		{"priority 3 deadline 1s wait 0 reply 1B cpu 0", 1, true},
		{"cpu 1ns reply 100B", 0, false},
		{"cpu exp(1ms) reply 100B", 0, false},
		{"reply uniform(1B, 2B)", 0, false},
		{"wait 1ms reply 100B", 0, false},
		{"disk read 1B reply 100B", 0, false},
		{"memory 1B { cpu 0 } reply 100B", 0, false},
		{"lock l { cpu 0 } reply 100B", 0, false},
		{"repeat 2 { cpu 0 }", 0, false},
		{"choose { 0.5: { reply 1B } 0.5: { reply 2B } }", 0, false},
		{"level full { reply 1B } level lite { reply 2B }", 0, false},
		{"fail 0.5 reply 1B", 0, false},
		{"call x { cpu 0 } reply 1B", 0, false},
		{"file web reply file", 0, false},
		{"fork { cpu 0 } reply 1B", 0, false},
	} {
		b, err := rdr.ParseBlock("test", []byte(tt.text), rdr.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := b.Plain(); got != tt.reply || ok != tt.ok {
			t.Errorf("%s: got %d, %v, want %d, %v", tt.text, got, ok, tt.reply, tt.ok)
		}
		if !tt.ok {
			continue
		}
		asked := int64(-1)
		b.Draw(1, "", func(d *rdr.Demand) {
			switch {
			case d.Op == rdr.OpReply:
				asked = d.N
			case d.N != 0:
				t.Errorf("%s: asks for %+v", tt.text, *d)
			}
		})
		if asked != tt.reply {
			t.Errorf("%s: executed it replies %d, want %d", tt.text, asked, tt.reply)
		}
	}
}
