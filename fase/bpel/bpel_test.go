package bpel_test

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/eve-emulation/eve/fase/bpel"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/rdr"
)

const head = `<process name="p" xmlns="http://docs.oasis-open.org/wsbpel/2.0/process/executable" xmlns:x="urn:x">`

// process is one whose sequence begins with a receive.
func process(body string) string {
	return head + "<sequence>\n<receive partnerLink=\"c\" operation=\"go\" createInstance=\"yes\"/>\n" + body + "</sequence></process>"
}

func invoke(op string) string {
	return `<invoke partnerLink="s" operation="` + op + `" inputVariable="i" outputVariable="o"/>`
}

func convert(t *testing.T, src string) *bpel.Result {
	t.Helper()
	p, err := bpel.Read(strings.NewReader(src))
	if err != nil {
		t.Fatal(err)
	}
	r, err := p.Scenario("p")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := scenario.Load("p.yaml", r.Text, scenario.Options{}); err != nil {
		t.Fatalf("%v\n%s", err, r.Text)
	}
	return r
}

// block is the body of the first operation of the process, without comments and in one line.
func block(r *bpel.Result) string {
	var out []string
	in := false
	for line := range strings.Lines(string(r.Text)) {
		code, _, _ := strings.Cut(line, "#")
		switch {
		case strings.HasPrefix(line, "      request "):
			in = true
		case strings.HasPrefix(line, "      }"):
			return strings.Join(out[2:], " ") // without the engine's own demand
		case in:
			out = append(out, strings.Fields(code)...)
		}
	}
	return ""
}

func TestConstructs(t *testing.T) {
	a, b, c := invoke("a"), invoke("b"), invoke("c")
	linked := func(op, ends string) string {
		return strings.Replace(invoke(op), "/>", ">"+ends+"</invoke>", 1)
	}
	from, to := `<sources><source linkName="l"/></sources>`, `<targets><target linkName="l"/></targets>`
	for _, tt := range []struct{ name, src, want, note string }{
		{"sequence", a + b, "call s.a call s.b", ""},
		{"flow", "<flow>" + a + "<sequence>" + b + c + "</sequence></flow>", "par { { call s.a } { call s.b call s.c } }", ""},
		{"links", `<flow><links><link name="l"/></links>` + linked("a", to) + linked("b", from) + c + "</flow>", "par { { call s.b call s.a } { call s.c } }", ""},
		{"links in a circle", `<flow><links><link name="l"/><link name="m"/></links>` + linked("a", from+`<targets><target linkName="m"/></targets>`) +
			linked("b", to+`<sources><source linkName="m"/></sources>`) + "</flow>", "par { call s.a call s.b }", "in a circle"},
		{"link without an end", `<flow><links><link name="l"/></links>` + linked("a", to) + b + "</flow>", "par { call s.a call s.b }", "not one source and one target"},
		{"if", "<if><condition>x</condition>" + a + "<elseif><condition>y</condition>" + b + "</elseif></if>", "choose { 0.3334: { call s.a } 0.3333: { call s.b } 0.3333: { } }", ""},
		{"switch", `<switch><case condition="x">` + a + "</case><otherwise>" + b + "</otherwise></switch>", "choose { 0.5: { call s.a } 0.5: { call s.b } }", ""},
		{"while", "<while><condition>x</condition>" + a + "</while>", "repeat 3 { call s.a }", ""},
		{"repeatUntil", "<repeatUntil>" + a + b + "<condition>x</condition></repeatUntil>", "repeat 3 { call s.a call s.b }", ""},
		{"forEach", `<forEach parallel="no"><startCounterValue>2</startCounterValue><finalCounterValue>6</finalCounterValue><scope>` + a + "</scope></forEach>", "repeat 5 { call s.a }", ""},
		{"parallel forEach", `<forEach parallel="yes"><startCounterValue>1</startCounterValue><finalCounterValue>2</finalCounterValue><scope>` + a + "</scope></forEach>", "par { call s.a call s.a }", ""},
		{"wait for", "<wait><for>'PT1M1.5S'</for></wait>", "wait 61500ms", ""},
		{"wait for days", "<wait><for>'P3D'</for></wait>", "wait 1s", "longer than"},
		{"wait until", "<wait><until>'2030-01-01'</until></wait>", "wait 1s", "a run has no date"},
		{"one way", `<invoke partnerLink="s" operation="a" inputVariable="i"/>`, "fork { call s.a }", ""},
		{"receive", `<receive partnerLink="s" operation="back"/>` + a, "wait 100ms call s.a", ""},
		{
			"pick", `<pick><onMessage operation="m">` + a + "</onMessage><onAlarm><for>'PT2S'</for>" + b + "</onAlarm></pick>",
			"choose { 0.9: { wait 100ms call s.a } 0.1: { wait 2000ms call s.b } }", "",
		},
		{
			"throw to a handler", `<scope><faultHandlers><catch faultName="x:f">` + b + `</catch></faultHandlers><sequence><if><condition>x</condition><throw faultName="x:f"/></if>` + a + "</sequence></scope>" + c,
			"choose { 0.5: { call s.b } 0.5: { call s.a } } call s.c", "",
		},
		{
			"fault of an invoke", "<scope><faultHandlers><catchAll>" + c + "</catchAll></faultHandlers><sequence>" + a + b + "</sequence></scope>",
			"call s.a choose { 0.99: { call s.b } 0.01: { call s.c } }", "",
		},
		{"catch at an invoke", linked("a", `<catch faultName="x:f">`+b+"</catch>") + c, "call s.a choose { 0.99: { } 0.01: { call s.b } } call s.c", ""},
		{"rethrow", "<scope><faultHandlers><catchAll><rethrow/></catchAll></faultHandlers>" + a + "</scope>" + b, "call s.a choose { 0.99: { call s.b } 0.01: { fail 1 } }", ""},
		{"exit", "<if><condition>x</condition><exit/></if>" + a, "choose { 0.5: { } 0.5: { call s.a } }", ""},
		{"throw out of a flow", `<flow><throw faultName="x:f"/>` + a + "</flow>", "par { fail 1 call s.a }", "cannot be left"},
		{"reply in a flow", `<flow><reply partnerLink="c" operation="go"/>` + a + "</flow>" + b, "call s.a reply 1KiB call s.b", "sent after the flow"},
		{"two replies", `<reply partnerLink="c" operation="go"/><reply partnerLink="c" operation="go"/>`, "reply 1KiB", "a request has one"},
		{"compensation", "<compensate/>" + a, "call s.a", "3:1: compensate: left out"},
		{"an unknown activity", "<dance>" + b + "</dance>" + a, "call s.a", "3:1: dance is no activity that is known"},
		{"another namespace", "<x:log/>" + a, "call s.a", "3:1: log is of another namespace"},
		{"event handlers", "<scope><eventHandlers/>" + a + "</scope>", "call s.a", "start nothing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := convert(t, process(tt.src))
			if got := block(r); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			notes := strings.Join(r.Notes, "\n")
			if tt.note == "" && notes != "" || !strings.Contains(notes, tt.note) {
				t.Errorf("notes: got %q, want %q", notes, tt.note)
			}
			if !strings.Contains(string(r.Text), notes) && len(r.Notes) == 1 {
				t.Errorf("the note does not stand in the scenario")
			}
		})
	}
}

// waves steps a block whose every demand is met in the order in which they were made: one line for each time that it waited.
func waves(t *testing.T, b *rdr.Block, key uint64) []string {
	t.Helper()
	var task rdr.Task
	task.Start(b, rdr.Key(key), "")
	var out []string
	var waiting []rdr.Demand
	for d := new(rdr.Demand); ; {
		for task.Next(d) {
			waiting = append(waiting, *d)
		}
		if len(waiting) == 0 {
			return out
		}
		var calls []string
		for _, w := range waiting {
			if w.Op == rdr.OpCall {
				calls = append(calls, w.Name)
			}
		}
		if len(calls) > 0 {
			out = append(out, strings.Join(calls, " "))
		}
		first := waiting[0]
		waiting = waiting[1:]
		task.Met(first.ID, rdr.OK)
	}
}

// TestSampleKeepsCallsOrderAndParallelism steps the sample's process, with many draws, through each of its ways.
func TestSampleKeepsCallsOrderAndParallelism(t *testing.T) {
	src, err := os.ReadFile("testdata/order.bpel")
	if err != nil {
		t.Fatal(err)
	}
	r := convert(t, string(src))
	if !slices.Equal(r.Services, []string{"warehouse", "credit_bureau", "carrier", "audit_log"}) || r.Operations != 1 {
		t.Errorf("got services %v and %d operations", r.Services, r.Operations)
	}
	text := block(r)
	for _, op := range []string{"check_stock", "reserve", "check_credit", "get_quote", "ship", "record"} {
		text = strings.ReplaceAll(text, "."+op, "_"+op+" { cpu 1ms }")
	}
	b, err := rdr.ParseBlock("p", []byte(text), rdr.Limits{})
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	ask := "warehouse_check_stock credit_bureau_check_credit carrier_get_quote | credit_bureau_check_credit carrier_get_quote | carrier_get_quote"
	want := []string{
		ask, // sold out, or rejected
		ask + " | warehouse_reserve | carrier_ship carrier_ship | carrier_ship | audit_log_record",
		ask + " | audit_log_record | audit_log_record", // a fault: the reply goes out while it is logged
	}
	seen := map[string]bool{}
	for key := range uint64(2000) {
		got := strings.Join(waves(t, b, key), " | ")
		if !slices.Contains(want, got) {
			t.Fatalf("key %d: got %s", key, got)
		}
		seen[got] = true
	}
	if len(seen) != len(want) {
		t.Errorf("ways taken: got %d, want %d", len(seen), len(want))
	}
}

func TestReadTellsWhereItIsWrong(t *testing.T) {
	for _, tt := range []struct{ name, src, want string }{
		{"empty", "", "1:1: there is no process in the file"},
		{"cut off", head + "\n<sequence>", "the file ends in the middle of the process (in the sequence that begins at 2:1)"},
		{"crossed", head + "\n<sequence></flow>", "2:"},
		{"another document", "\n<a/>", `2:1: a of namespace "" is no WS-BPEL process`},
		{"an entity bomb", "<!DOCTYPE x [<!ENTITY a \"b\">]>" + head + "</process>", "1:1: a document type stands here"},
		{"an entity", head + "&lol;</process>", "this is not XML: invalid character entity &lol;"},
		{"too deep", head + strings.Repeat("<sequence>", 100), "nested more than 64 deep"},
		{"too many", head + strings.Repeat("<empty/>", 20_001), "more than 20000 elements"},
		{"too long", head + strings.Repeat(" ", 5<<20), "more than 4 MiB"},
		{"two", head + "</process>\n" + head + "</process>", "2:1: a second document begins here"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := bpel.Read(strings.NewReader(tt.src))
			e, ok := errors.AsType[*bpel.Error](err)
			if !ok || !strings.Contains(e.Error(), tt.want) || e.Line < 1 || e.Col < 1 {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
	for name, src := range map[string]string{
		"too large":       process(strings.Repeat(invoke("a"), 4100)),
		"too deep an RDR": process(strings.Repeat("<while><condition>x</condition>", 40) + invoke("a") + strings.Repeat("</while>", 40)),
	} {
		p, err := bpel.Read(strings.NewReader(src))
		if err != nil {
			t.Fatal(err)
		}
		if _, err = p.Scenario("p"); err == nil || !strings.HasPrefix(err.Error(), "1:1: the process ") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// FuzzImport has whatever can be read make a scenario that loads.
func FuzzImport(f *testing.F) {
	src, err := os.ReadFile("testdata/order.bpel")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(src))
	f.Add(process("<flow><links><link name='l'/></links></flow><wait><for>'PT1S'</for></wait>" + invoke("a")))
	f.Fuzz(func(t *testing.T, src string) {
		p, err := bpel.Read(strings.NewReader(src))
		if err != nil {
			return
		}
		r, err := p.Scenario("fuzz")
		if err != nil {
			return
		}
		if _, err := scenario.Load("fuzz.yaml", r.Text, scenario.Options{}); err != nil {
			t.Errorf("%v\n%s", err, r.Text)
		}
	})
}
