package rdr_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/eve-emulation/eve/rdr"
)

// demandOf returns the one demand of a request.
func demandOf(t *testing.T, b *rdr.Block) rdr.Demand {
	t.Helper()
	var task rdr.Task
	var d, more rdr.Demand
	task.Start(b, rdr.Root(1, 2, 3, 4), "")
	if !task.Next(&d) || task.Next(&more) {
		t.Fatalf("got %+v and %+v, want one demand", d, more)
	}
	return d
}

func TestHTTP(t *testing.T) {
	tests := []struct {
		text, method, path, fields, body string
		n                                int64
	}{
		{`http site GET "/a?b=1"`, "GET", "/a?b=1", "", "", 0},
		{`http site "M-SEARCH" "*"`, "M-SEARCH", "*", "", "", 0},
		{`http site PUT "/" header "A:  b " header "C:"`, "PUT", "/", "A: b\r\nC: \r\n", "", 0},
		{"http site POST \"/\" body `{\"a\":\n1}`", "POST", "/", "", "{\"a\":\n1}", 0},
		{`http site POST "/" body "x" send 3KiB`, "POST", "/", "", "x", 3072},
		{`http site PATCH "/" send 7B`, "PATCH", "/", "", "", 7},
		{`http header POST "/" header "body: send" body "header" send 1B`, "POST", "/", "body: send\r\n", "header", 1},
	}
	for _, test := range tests {
		b := request(t, test.text)
		again, err := rdr.DecodeBlock(b.Compact(), rdr.Limits{})
		if err != nil {
			t.Fatalf("%s: decode: %v", test.text, err)
		}
		if !bytes.Equal(again.Compact(), b.Compact()) {
			t.Errorf("%s: encoded again: got %x, want %x", test.text, again.Compact(), b.Compact())
		}
		for _, b := range []*rdr.Block{b, again} {
			d := demandOf(t, b)
			var more rdr.HTTP
			if d.HTTP != nil {
				more = *d.HTTP
			}
			if d.Op != rdr.OpHTTP || d.Method != test.method || d.Path != test.path || d.N != test.n ||
				more != (rdr.HTTP{Fields: test.fields, Body: test.body}) {
				t.Errorf("%s: got %+v with %+v", test.text, d, more)
			}
		}
	}
}

// What was encoded before an http could say more is what it was.
func TestHTTPCompactIsStable(t *testing.T) {
	got := request(t, `http site GET "/"`).Compact()
	want := []byte{0x9e, 1, 13, 8, 4, 's', 'i', 't', 'e', 3, 'G', 'E', 'T', 1, '/', 0}
	if !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
}

func TestHTTPBodyFromFile(t *testing.T) {
	cfg := rdr.Config{Load: func(file string) ([]byte, error) {
		switch file {
		case "order.json":
			return []byte("{\"id\": 7}\n"), nil
		case "large":
			return make([]byte, 2<<20), nil
		}
		return nil, errors.New("open " + file + ": no such file")
	}}
	parse := func(text string) (*rdr.Block, error) {
		f, err := cfg.ParseFile("test", []byte("request r { "+text+" }"), rdr.StartRequest)
		if err != nil {
			return nil, err
		}
		b, _ := f.Request("r")
		return b, nil
	}
	b, err := parse(`http site POST "/" body file "order.json" send 1B`)
	if err != nil {
		t.Fatal(err)
	}
	if d := demandOf(t, b); d.HTTP.Body != "{\"id\": 7}\n" || d.N != 1 {
		t.Errorf("got %q and %d more, want the file and 1", d.HTTP.Body, d.N)
	}
	if m, err := b.Mean(); err != nil || m.Of("site").SendBytes != 11 {
		t.Errorf("mean: got %+v, %v, want 11 bytes sent", m, err)
	}
	if _, err := parse(`http site POST "/" body file "none"`); err == nil || !strings.Contains(err.Error(), "test:1:42: open none: no such file") {
		t.Errorf("got %v, want the position of the name", err)
	}
	if _, err := parse("http site POST \"/\" body `{"); err == nil || !strings.Contains(err.Error(), "test:1:37: a string does not end; close it with `") {
		t.Errorf("got %v, want the position of the quote", err)
	}
	if _, err := parse(`http site POST "/" body file "large"`); !errors.Is(err, rdr.ErrLimit) {
		t.Errorf("got %v, want over the limit", err)
	}
}

func TestQuote(t *testing.T) {
	for s, want := range map[string]string{"": `""`, "a `b`": "\"a `b`\"", `{"a":1}`: "`{\"a\":1}`", "a\nb": "`a\nb`", "\"`": "", "a\x00": ""} {
		got, ok := rdr.Quote(s)
		if ok != (want != "") || ok && got != want {
			t.Errorf("%q: got %q, %v, want %q", s, got, ok, want)
		}
		if !ok {
			continue
		}
		if d := demandOf(t, request(t, "http site POST \"/\" body "+got+" send 1B")); s != "" && d.HTTP.Body != s {
			t.Errorf("%q: read back as %q", s, d.HTTP.Body)
		}
	}
}
