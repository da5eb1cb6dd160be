package adapt_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/eve-emulation/eve/dmm/expr"
	"github.com/eve-emulation/eve/fase/adapt"
)

func TestParseAction(t *testing.T) {
	for _, tc := range []struct {
		text string
		want adapt.Action
	}{
		{"move static to cdn", adapt.Action{Verb: adapt.Move, Service: 0, Server: 2, Text: "move static to cdn"}},
		{" move  app\tto server_2 stopped ", adapt.Action{Verb: adapt.Move, Service: 1, Server: 1, Stopped: true, Text: "move app to server_2 stopped"}},
		{"replicate app to server_2", adapt.Action{Verb: adapt.Replicate, Service: 1, Server: 1, Text: "replicate app to server_2"}},
		{"retire app from server_1", adapt.Action{Verb: adapt.Retire, Service: 1, Server: 0, Text: "retire app from server_1"}},
		{"degrade app to lite", adapt.Action{Verb: adapt.Degrade, Service: 1, Server: -1, Level: "lite", Text: "degrade app to lite"}},
		{"scale app to 3", adapt.Action{Verb: adapt.Scale, Service: 1, Server: -1, Count: 3, Text: "scale app to 3"}},
		{"scale app to 0", adapt.Action{Verb: adapt.Scale, Service: 1, Server: -1, Text: "scale app to 0"}},
		{"scale app to = ceil(crowd.rate / 50)", adapt.Action{Verb: adapt.Scale, Service: 1, Server: -1, Formula: "ceil(crowd.rate / 50)", Col: 16, Text: "scale app to = ceil(crowd.rate / 50)"}},
		{"limit app 80/s", adapt.Action{Verb: adapt.Limit, Service: 1, Server: -1, Value: 80, Unit: "1/s", Text: "limit app 80/s"}},
		{"limit app = knob", adapt.Action{Verb: adapt.Limit, Service: 1, Server: -1, Unit: "1/s", Formula: "knob", Col: 13, Text: "limit app = knob"}},
		{"limit app none", adapt.Action{Verb: adapt.Limit, Service: 1, Server: -1, Unit: "1/s", Text: "limit app none"}},
		{"pause app", adapt.Action{Verb: adapt.Pause, Service: 1, Server: -1, Text: "pause app"}},
		{"resume static", adapt.Action{Verb: adapt.Resume, Service: 0, Server: -1, Text: "resume static"}},
		{"set crowd.rate 80/s", adapt.Action{Verb: adapt.Assign, Service: -1, Server: -1, Var: "crowd.rate", Value: 80, Unit: "1/s", Text: "set crowd.rate 80/s"}},
		{"set knob -200ms", adapt.Action{Verb: adapt.Assign, Service: -1, Server: -1, Var: "knob", Value: -0.2, Unit: "s", Text: "set knob -200ms"}},
	} {
		got, err := adapt.ParseAction(tc.text, topology())
		if err != nil || got != tc.want {
			t.Errorf("%q: got %+v, %v, want %+v", tc.text, got, err, tc.want)
		}
	}
}

func TestParseActionMistakes(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		{"", "col 1: the action is empty; write move SERVICE to SERVER, or move SERVICE to SERVER stopped"},
		{"mvoe static to cdn", `col 1: no such action "mvoe"; did you mean move?`},
		{"explode", `col 1: no such action "explode"; the actions are move, replicate, retire, scale, degrade, limit, pause, resume, set`},
		{"move", "col 5: a service is missing; write move SERVICE to SERVER, or move SERVICE to SERVER stopped"},
		{"move sttic to cdn", `col 6: no such service "sttic"; did you mean static?`},
		{"move zebra to cdn", `col 6: no such service "zebra"; the services are static, app`},
		{"move static cdn", `col 13: "cdn" where "to" is expected; write move SERVICE to SERVER, or move SERVICE to SERVER stopped`},
		{"move static to", "col 15: a server is missing; write move SERVICE to SERVER, or move SERVICE to SERVER stopped"},
		{"  move static to server2", `col 18: no such server "server2"; did you mean server_2?`},
		{"move static to cdn now", `col 20: unexpected "now"; write move SERVICE to SERVER, or move SERVICE to SERVER stopped`},
		{"replicate static to cdn stopped", `col 25: unexpected "stopped"; write replicate SERVICE to SERVER`},
		{"retire app to server_1", `col 12: "to" where "from" is expected; write retire SERVICE from SERVER`},
		{"degrade app to Lite", `col 16: "Lite" is not a name; a name is made of [a-z][a-z0-9_]*`},
		{"degrade app", `col 12: "to" is missing; write degrade SERVICE to LEVEL`},
		{"scale app 3", `col 11: "3" where "to" is expected; write scale SERVICE to NUMBER, or scale SERVICE to = EXPRESSION`},
		{"scale app to", "col 13: a number is missing; write scale SERVICE to NUMBER, or scale SERVICE to = EXPRESSION"},
		{"scale app to -1", `col 14: "-1" is not a number of replicas; write scale SERVICE to NUMBER, or scale SERVICE to = EXPRESSION`},
		{"scale app to =", "col 15: an expression is missing; write scale SERVICE to NUMBER, or scale SERVICE to = EXPRESSION"},
		{"scale zebra to 2", `col 7: no such service "zebra"; the services are static, app`},
		{"limit app", "col 10: a rate is missing; write limit SERVICE RATE, limit SERVICE = EXPRESSION, or limit SERVICE none"},
		{"limit app 80", `col 11: "80" is not a rate; a rate is written like 80/s`},
		{"limit app fast", `col 11: read quantity "fast": it starts with a number; a rate is written like 80/s`},
		{"limit app 0/s", "col 11: nobody is let in at a rate of 0; write pause SERVICE, or limit SERVICE none for no limit"},
		{"limit app 80/s now", `col 16: unexpected "now"; write limit SERVICE RATE, limit SERVICE = EXPRESSION, or limit SERVICE none`},
		{"pause", "col 6: a service is missing; write pause SERVICE"},
		{"resume app server_1", `col 12: unexpected "server_1"; write resume SERVICE`},
		{"set Knob 3", `col 5: "Knob" is not a variable name; a name is made of parts [a-z][a-z0-9_]* joined by dots`},
		{"set knob", "col 9: a value is missing; write set VARIABLE VALUE"},
		{"set knob fast", `col 10: read quantity "fast": it starts with a number; a value is written like 80/s, 200ms or 64MiB`},
		{"set knob 5 6", `col 12: unexpected "6"; write set VARIABLE VALUE`},
		{"déplace app", `col 1: no such action "déplace"; the actions are move, replicate, retire, scale, degrade, limit, pause, resume, set`},
	} {
		_, err := adapt.ParseAction(tc.text, topology())
		if err == nil || err.Error() != tc.want {
			t.Errorf("%q: got %v, want %s", tc.text, err, tc.want)
		}
		if _, ok := errors.AsType[*expr.Error](err); !ok {
			t.Errorf("%q: got %T", tc.text, err)
		}
	}
}

func FuzzParseAction(f *testing.F) {
	for _, s := range []string{"move static to cdn stopped", "set a.b 80/s", "retire app from", "degrade app to é"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := adapt.ParseAction(text, topology())
		if err != nil {
			if e, ok := errors.AsType[*expr.Error](err); !ok || e.Col < 1 || e.Col > len([]rune(text))+1 {
				t.Fatalf("%q: got %v", text, err)
			}
			return
		}
		again, err := adapt.ParseAction(a.Text, topology())
		if err != nil || again != a || strings.Join(strings.Fields(text), " ") != a.Text {
			t.Fatalf("%q: got %+v, then %+v, %v", text, a, again, err)
		}
	})
}
