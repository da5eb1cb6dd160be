package rdr_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/eve-emulation/eve/rdr"
)

func TestFormat(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"empty", "", ""},
		{"blank", " \n\n ", ""},
		{"comments only", "# a\n\n\n\n#b  \n", "# a\n\n#b\n"},
		{"short on one line", "request  a{wait 5ms\twait   6ms}", "request a { wait 5ms  wait 6ms }\n"},
		{"empty body", "request a {\n\n}", "request a { }\n"},
		{
			"indent", "request a {\nwait 5ms wait 6ms\n   call web {\ncpu 1ms}\n}",
			"request a {\n  wait 5ms\n  wait 6ms\n  call web {\n    cpu 1ms\n  }\n}\n",
		},
		{
			"comments stay",
			"# top\nrequest a { # open\n# before\nwait 5ms # after\n\n\n# last\n} # closed\n# end",
			"# top\nrequest a {  # open\n  # before\n  wait 5ms  # after\n\n  # last\n}  # closed\n# end\n",
		},
		{
			"comment inside a statement moves before it",
			"request a { wait # why\n 5ms\n}", "request a {\n  # why\n  wait 5ms\n}\n",
		},
		{
			"blank lines", "request a { wait 1ms\n\n\n\nwait 2ms\n\n}\n\n\nrequest b { }\nrequest c { }",
			"request a {\n  wait 1ms\n\n  wait 2ms\n}\n\nrequest b { }\nrequest c { }\n",
		},
		{
			"choose and level", "request a { choose {0.9:{wait 5ms}0.1:{call web.search send exp( 5KiB )}} }",
			"request a { choose { 0.9: { wait 5ms }  0.1: { call web.search send exp(5KiB) } } }\n",
		},
		{
			"too long", "request a { wait uniform(1ms,2ms) wait uniform(1ms,2ms) wait uniform(1ms,2ms) call web { cpu 1ms reply 5KiB } wait 1ms }",
			"request a {\n  wait uniform(1ms, 2ms)\n  wait uniform(1ms, 2ms)\n  wait uniform(1ms, 2ms)\n  call web { cpu 1ms  reply 5KiB }\n  wait 1ms\n}\n",
		},
		{"micro", "request a { wait 5µs wait 6μs }", "request a { wait 5us  wait 6us }\n"},
		{"carriage returns", "request a {\r\n  wait 5ms # x\r\n}\r\n", "request a {\n  wait 5ms  # x\n}\n"},
		{"group", "request a { par {{wait 1ms wait 2ms}wait 3ms} }", "request a { par { { wait 1ms  wait 2ms }  wait 3ms } }\n"},
		{
			"http", "request a { http site  POST \"/a\" header \"A: b\"\n   header `C: \"d\"` body `x\n  y`   send 5KiB }",
			"request a {\n  http site POST \"/a\" header \"A: b\" header `C: \"d\"` body `x\n  y` send 5KiB\n}\n",
		},
		{"empirical", `request a { wait empirical( "x y.txt" ) }`, "request a { wait empirical(\"x y.txt\") }\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := rdr.Format("test", []byte(tt.in))
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
			if again, err := rdr.Format("test", got); err != nil || !bytes.Equal(again, got) {
				t.Errorf("again: %v\n%s", err, again)
			}
		})
	}
}

func TestFormatBlock(t *testing.T) {
	got, err := rdr.FormatBlock("test", []byte("cpu 5ms reply 10KiB # x\ncall web{cpu 1ms}"))
	want := "cpu 5ms\nreply 10KiB  # x\ncall web { cpu 1ms }\n"
	if err != nil || string(got) != want {
		t.Errorf("got %v\n%s\nwant\n%s", err, got, want)
	}
	if _, err := rdr.FormatBlock("test", []byte("cpu 5")); err == nil {
		t.Error("a mistake was formatted")
	}
}

// TestFormatKeepsMeaning formats all that parses in testdata.
func TestFormatKeepsMeaning(t *testing.T) {
	n := 0
	for file, start := range map[string]rdr.Start{
		"testdata/requests.rdr": rdr.StartRequest, "testdata/operations.rdr": rdr.StartBlock,
	} {
		for _, chunk := range chunks(t, file) {
			before, err := rdr.ParseFile("test", []byte(chunk), start)
			if err != nil {
				continue
			}
			n++
			text, err := rdr.Format("test", []byte(chunk))
			if err != nil {
				t.Fatal(err)
			}
			if got, want := strings.Count(string(text), "#"), strings.Count(chunk, "#"); got != want {
				t.Errorf("%d comments of %d:\n%s", got, want, text)
			}
			after, err := rdr.ParseFile("test", text, start)
			if err != nil {
				t.Fatal(err)
			}
			op := func(_, _ string) (*rdr.Block, bool) { return block(t, "cpu 1ms"), true }
			if err := rdr.Link(before, op, nil); err != nil {
				t.Fatal(err)
			}
			if err := rdr.Link(after, op, nil); err != nil {
				t.Fatal(err)
			}
			for _, name := range before.Names() {
				a, _ := before.Request(name)
				b, _ := after.Request(name)
				if !bytes.Equal(a.Compact(), b.Compact()) {
					t.Errorf("%s changed:\n%s", name, text)
				}
			}
		}
	}
	if n < 4 {
		t.Errorf("only %d texts parse", n)
	}
}

func TestPositions(t *testing.T) {
	text := "request a {\n\twait 5\n}"
	_, err := rdr.ParseFile("a.rdr", []byte(text), rdr.StartRequest)
	errs, ok := err.(rdr.Errors)
	if !ok || len(errs) != 1 {
		t.Fatalf("got %v", err)
	}
	if got, want := errs.Pretty(), "a.rdr:2:7: `5` has no unit; write 5ms, 5us or 5s\n  \twait 5\n  \t     ^\n"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got, want := errs.Shift(10, 4).Error(), "a.rdr:12:11: `5` has no unit; write 5ms, 5us or 5s"; got != want {
		t.Errorf("shifted: got %s, want %s", got, want)
	}
	_, err = rdr.Config{Base: rdr.Position{Line: 11, Col: 5}}.ParseFile("a.rdr", []byte(text), rdr.StartRequest)
	if err == nil || err.Error() != errs.Shift(10, 4).Error() {
		t.Errorf("with a base: got %v, want %v", err, errs.Shift(10, 4))
	}
	_, err = rdr.ParseBlock("b", []byte("wait µ5ms"), rdr.Limits{})
	if err == nil || !strings.HasPrefix(err.Error(), "b:1:6: unexpected character 'µ'") {
		t.Errorf("got %v", err)
	}
	_, err = rdr.ParseBlock("b", []byte("wait 5µs fail \"x"), rdr.Limits{})
	if err == nil || !strings.HasPrefix(err.Error(), "b:1:15: a string does not end on its line") {
		t.Errorf("got %v", err)
	}
}

func TestAtMostTenMistakes(t *testing.T) {
	_, err := rdr.ParseBlock("b", []byte(strings.Repeat("cpu 5\n", 40)), rdr.Limits{})
	if errs, ok := err.(rdr.Errors); !ok || len(errs) != 10 || errs[9].Line != 10 {
		t.Errorf("got %v", err)
	}
}

func TestParseBlockMistakes(t *testing.T) {
	tests := map[string]string{
		"cpu 5ms }":             "b:1:9: a `}` without its `{`",
		"call app.search":       "b:1:1: operation app.search is not known here; write what it does: call app { … }",
		`http site GET "/"`:     "b:1:1: `http` runs at the client",
		"call a { cpu 5ms":      "b:1:8: this `{` has no `}`",
		"request a { cpu 5ms }": "b:1:1: unknown statement `request`",
		"reply 1KiB reply 2KiB": "b:1:12: a second `reply`",
	}
	for text, want := range tests {
		_, err := rdr.ParseBlock("b", []byte(text), rdr.Limits{})
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}
