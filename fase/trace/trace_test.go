package trace_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/eve-emulation/eve/fase/trace"
)

const (
	ms = int64(time.Millisecond)
	s  = int64(time.Second)
)

func TestFormats(t *testing.T) {
	get := func(paths ...string) []trace.Ask {
		var asks []trace.Ask
		for _, p := range paths {
			method, path, ok := strings.Cut(p, " ")
			if !ok {
				method, path = "GET", p
			}
			asks = append(asks, trace.Ask{Method: method, Path: path})
		}
		return asks
	}
	for _, tt := range []struct {
		name, text string
		cfg        trace.Config
		at         []int64
		asks       []trace.Ask // of each line
		resolution time.Duration
		relative   bool
	}{
		{
			name: "common", text: `10.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326
10.0.0.2 - - [10/Oct/2000:13:55:36 -0700] "POST /cart?x=1 HTTP/1.1" 302 -

10.0.0.1 - - [10/Oct/2000:20:55:38 +0000] "GET /apache_pb.gif HTTP/1.0" 304 0
`, at: []int64{0, 0, 2 * s}, asks: get("/apache_pb.gif", "POST /cart?x=1", "/apache_pb.gif"), resolution: time.Second,
		},
		{
			name: "combined with a fraction, CRLF and no last line end", text: "::1 - - [10/Oct/2000:13:55:36.250 +0000] \"GET / HTTP/1.1\" 200 1 \"http://x/ \\\"y\\\"\" \"Mozilla [en] (X)\"\r\n::1 - - [10/Oct/2000:13:55:37.000 +0000] \"HEAD /b HTTP/1.1\" 200 1 \"-\" \"-\"",
			cfg: trace.Config{Format: trace.Combined}, at: []int64{0, 750 * ms}, asks: get("/", "HEAD /b"),
		},
		{
			name: "what must not stand in a path", text: `h - - [10/Oct/2000:13:55:36 +0000] "GET /a b\"\\\xc3\xa9#top HTTP/1.1" 200 1
h - - [10/Oct/2000:13:55:36 +0000] "GET http://example.com:80/abs?q=1 HTTP/1.1" 200 1
h - - [10/Oct/2000:13:55:36 +0000] "GET https://example.com HTTP/1.1" 200 1
h - - [10/Oct/2000:13:55:36 +0000] "GET /old" 200 1
`, at: []int64{0, 0, 0, 0}, asks: get(`/a%20b%22\%C3%A9`, "/abs?q=1", "/", "/old"), resolution: time.Second,
		},
		{
			name: "json of nginx", text: `{"time_iso8601":"2026-11-22T12:00:00+01:00","request":"GET /x?y=\"z\" HTTP/1.1","status":200}
{"time_iso8601":"2026-11-22T11:00:01Z","request":"PUT /x HTTP/2.0","status":200}
`, at: []int64{0, s}, asks: get("/x?y=%22z%22", "PUT /x"), resolution: time.Second,
		},
		{
			name: "json of caddy", text: `{"level":"info","ts":1700000000.125,"request":{"method":"GET","uri":"/a","headers":{"A":["b"]}},"status":200}
{"level":"info","ts":1700000000.5,"request":{"method":"DELETE","uri":"/b"},"status":200}
`, at: []int64{0, 375 * ms}, asks: get("/a", "DELETE /b"),
		},
		{
			name: "json by keys", text: `{"t":1700000000123,"q":{"m":"GET","p":"/k"}}`, cfg: trace.Config{Format: trace.JSON, Columns: trace.Columns{Time: "t", Method: "q.m", Path: "q.p"}},
			at: []int64{0}, asks: get("/k"),
		},
		{
			name: "csv with a header", text: "\xef\xbb\xbfpath,Time,method\n/a,0.5,GET\n\"/b,c\",0.500000001,POST\n/a,1e1,GET\n",
			at: []int64{500 * ms, 500*ms + 1, 10 * s}, asks: get("/a", "POST /b,c", "/a"), relative: true,
		},
		{
			name: "csv without one", text: "0;GET;/a\n1;GET;/b\n", at: []int64{0, s}, asks: get("/a", "/b"), relative: true,
		},
		{
			name: "csv by positions", text: "# made by hand\nx,/a,1700000000\nx,/b,1700000002\n", cfg: trace.Config{Columns: trace.Columns{Time: "3", Path: "2"}},
			at: []int64{0, 2 * s}, asks: get("/a", "/b"), resolution: time.Second,
		},
		{
			name: "csv of times", text: "0\n0.001\n0.001\n", cfg: trace.Config{TimesOnly: true}, at: []int64{0, ms, ms}, relative: true,
		},
		{
			name: "csv in milliseconds", text: "time\n100\n250.5\n", cfg: trace.Config{TimesOnly: true, Unit: time.Millisecond},
			at: []int64{100 * ms, 250*ms + 500_000}, relative: true,
		},
		{
			name: "csv of dates", text: "time,path\n2026-01-01 00:00:00,/a\n2026-01-01 00:00:00.5,/b\n", at: []int64{0, 500 * ms}, asks: get("/a", "/b"),
		},
		{
			name: "sorted", text: "3,GET,/c\n1,GET,/a\n2,GET,/b\n1,GET,/d\n", cfg: trace.Config{Sort: true}, at: []int64{s, s, 2 * s, 3 * s},
			asks: get("/a", "/d", "/b", "/c"), relative: true,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, text := range []string{tt.text, zipped(t, tt.text)} {
				g, err := trace.Read("log", strings.NewReader(text), tt.cfg)
				if err != nil {
					t.Fatal(err)
				}
				if !reflect.DeepEqual(g.At, tt.at) || !reflect.DeepEqual(asked(g), tt.asks) {
					t.Errorf("got %v %v, want %v %v", g.At, asked(g), tt.at, tt.asks)
				}
				if g.Resolution != tt.resolution || g.Relative != tt.relative || g.Lines != len(tt.at) || g.Skipped != 0 {
					t.Errorf("got resolution %v, relative %v, %d lines, want %v, %v, %d", g.Resolution, g.Relative, g.Lines, tt.resolution, tt.relative, len(tt.at))
				}
			}
		})
	}
}

// asked is what each line asks for.
func asked(g *trace.Log) []trace.Ask {
	var asks []trace.Ask
	for _, a := range g.Ask {
		asks = append(asks, g.Asks[a])
	}
	return asks
}

func zipped(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestMistakesNameTheLine(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		cfg        trace.Config
		want       string
	}{
		{"unsorted", "0,GET,/\n2,GET,/\n1,GET,/\n", trace.Config{}, "log:3: the line is 1s earlier than the one before it; write sort: true to put the lines in order"},
		{"negative", "time\n0\n-1\n", trace.Config{TimesOnly: true}, "log:3: the time -1 is negative; mend or remove it, or write skip: 1% to leave out so many"},
		{"garbage", "0,GET,/\n\x00\x01\x02\n", trace.Config{}, "log:2: the line has 1 columns; its method should be in column 2"},
		{"no time", "0,GET,/\nnow,GET,/\n", trace.Config{}, `log:2: "now" is not a time`},
		{"not a number", "0\nNaN\n", trace.Config{TimesOnly: true}, `log:2: "NaN" is not a time`},
		{"infinite", "0\n1e999\n", trace.Config{TimesOnly: true}, `log:2: "1e999" is not a time`},
		{"far", "0\n1e10\n", trace.Config{TimesOnly: true}, `log:2: the time 1e10 is after the year 2261`},
		{"mixed", "0\n1700000000\n", trace.Config{TimesOnly: true}, `log:2: the time 1700000000 is of another kind than those before it: some count from the start, some from 1970`},
		{"no such day", "h - - [31/Feb/2000:13:55:36 +0000] \"GET / HTTP/1.1\" 200 1\n", trace.Config{}, `log:1: "31/Feb/2000:13:55:36 +0000" is not a time`},
		{"tls on a plain port", "h - - [10/Oct/2000:13:55:36 +0000] \"\\x16\\x03\\x01\" 400 1\n", trace.Config{}, `log:1: the request "\x16\x03\x01" is not METHOD PATH PROTOCOL`},
		{"method", "0,get,/\n", trace.Config{}, `log:1: "get" is not a method`},
		{"path", "0,GET,x\n", trace.Config{}, `log:1: "x" is not a path`},
		{"long path", "0,GET,/" + strings.Repeat("x", 2048) + "\n", trace.Config{}, `log:1: a path of 2049 bytes, more than 2048`},
		{"long line", "0,GET,/\n" + strings.Repeat("x", 100_000) + "\n1,GET,/\n", trace.Config{}, `log:2: the line has more than 65536 bytes`},
		{"no status", "h - - [10/Oct/2000:13:55:36 +0000] \"GET / HTTP/1.1\" - 1\n", trace.Config{}, `log:1: the line has no status behind its request`},
		{"broken off", "h - - [10/Oct/2000:13:55:36 +0000] \"GET / HT", trace.Config{}, `log:1: the line has no "request" behind its time`},
		{"json", "{\"time\":1,\"path\":\"/\"}\n{\"time\":2,\n", trace.Config{}, `log:2: the line is not a JSON object`},
		{"json of another kind", "{\"time\":1,\"path\":\"/\"}\n{\"time\":2,\"path\":5}\n{\"path\":\"/\"}\n", trace.Config{}, `log:3: the line has no time`},
		{"quote", "0,GET,\"/\n", trace.Config{}, `log:1: a quote of the line does not end`},
		{"no such column", "time,path\n0,/\n", trace.Config{Columns: trace.Columns{Time: "when"}}, `log:1: the first line has no column "when"`},
		{"nothing", "\n\n", trace.Config{}, `log:1: the file has no line with a time`},
		{"header alone", "time,path\n", trace.Config{}, `log:1: the file has no line with a time`},
		{"too many", "0\nx\ny\n1\n", trace.Config{TimesOnly: true, Skip: 0.25}, `log:2: 2 of 4 lines are wrong, more than skip: 25% allows; this is the first: "x" is not a time`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g, err := trace.Read("log", strings.NewReader(tt.text), tt.cfg)
			if err == nil {
				t.Fatalf("got %v, want the mistake %s", g, tt.want)
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestSkippedLinesAreCounted(t *testing.T) {
	text := "0,GET,/\nx\n-1,GET,/\n3,GET,/\n2,GET,/\n4,GET,/\n" + strings.Repeat("y", 70_000) + "\n5,GET,/\n"
	g, err := trace.Read("log", strings.NewReader(text), trace.Config{Skip: 0.5})
	if err != nil {
		t.Fatal(err)
	}
	if want := []int64{0, 3 * s, 4 * s, 5 * s}; !reflect.DeepEqual(g.At, want) || len(g.Ask) != len(want) {
		t.Errorf("times: got %v, want %v", g.At, want)
	}
	if g.Lines != 8 || g.Skipped != 4 || g.First.Line != 2 {
		t.Errorf("got %d of %d skipped, the first in line %d, want 4 of 8, line 2", g.Skipped, g.Lines, g.First.Line)
	}
}

func TestManyMistakesEndTheReading(t *testing.T) {
	_, err := trace.Read("log", strings.NewReader("0\n"+strings.Repeat("x\n", 1000)), trace.Config{TimesOnly: true})
	if ms, ok := err.(trace.Mistakes); !ok || len(ms) != 20 {
		t.Errorf("got %T of %v, want 20 mistakes", err, err)
	}
}

func TestDamagedZip(t *testing.T) {
	z := zipped(t, strings.Repeat("0,GET,/\n", 10_000))
	for _, text := range []string{z[:len(z)/2], z[:5], z[:len(z)/2] + "xxxx" + z[len(z)/2:]} {
		if g, err := trace.Read("log.gz", strings.NewReader(text), trace.Config{}); err == nil || !strings.Contains(err.Error(), "log.gz") {
			t.Errorf("got %v, %v, want an error that names the file", g, err)
		}
	}
}

func TestEncodeDecode(t *testing.T) {
	for _, cfg := range []trace.Config{{Skip: 1}, {Skip: 1, TimesOnly: true}} {
		g, err := trace.Read("log", strings.NewReader(sample(1000)+"x\n"), cfg)
		if err != nil {
			t.Fatal(err)
		}
		var b, again bytes.Buffer
		if err := g.Encode(&b); err != nil {
			t.Fatal(err)
		}
		if err := g.Encode(&again); err != nil || !bytes.Equal(b.Bytes(), again.Bytes()) {
			t.Errorf("encoded twice: got different bytes, %v", err)
		}
		back, err := trace.Decode(&b)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(back, g) {
			t.Errorf("decoded: got %+v, want %+v", back, g)
		}
	}
	for _, text := range []string{"", "x", zipped(t, ""), zipped(t, "#eve-trace {}\n-1 GET /\n"), zipped(t, "time\n0\n"), zipped(t, "#eve-trace {}\n1 GET /")} {
		if g, err := trace.Decode(strings.NewReader(text)); err == nil {
			t.Errorf("decode %q: got %v, want an error", text, g)
		}
	}
}

func TestWindow(t *testing.T) {
	g, err := trace.Read("log", strings.NewReader("0,GET,/a\n1,GET,/b\n2,GET,/c\n2.5,GET,/b\n3,GET,/a\n"), trace.Config{})
	if err != nil {
		t.Fatal(err)
	}
	g.Window(time.Second, 3*time.Second)
	if want := []int64{s, 2 * s, 2500 * ms}; !reflect.DeepEqual(g.At, want) {
		t.Errorf("times: got %v, want %v", g.At, want)
	}
	if got := fmt.Sprint(asked(g), len(g.Asks)); got != "[{GET /b} {GET /c} {GET /b}] 2" {
		t.Errorf("requests: got %s", got)
	}
	g.Window(time.Hour, time.Minute)
	if len(g.At) != 0 || len(g.Asks) != 0 {
		t.Errorf("an empty window: got %v", g)
	}
}

// sample is an access log of n lines, a second each hundred.
func sample(n int) string {
	var b strings.Builder
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for i := range n {
		fmt.Fprintf(&b, "192.0.2.%d - - [%s] \"GET /articles/%d?page=%d HTTP/1.1\" 200 5120 \"https://example.com/\" \"Mozilla/5.0 (X11; Linux x86_64)\"\n",
			i%250, at.Add(time.Duration(i/100)*time.Second).Format("02/Jan/2006:15:04:05 -0700"), i%5000, i%7)
	}
	return b.String()
}

func FuzzRead(f *testing.F) {
	f.Add(sample(3), uint8(0))
	f.Add("time,path\n0,/\n1.5,/b\n", uint8(1))
	f.Add(`{"ts":1700000000.1,"request":{"method":"GET","uri":"/"}}`, uint8(2))
	f.Add("h [1] \"\\x", uint8(3))
	f.Fuzz(func(t *testing.T, text string, how uint8) {
		g, err := trace.Read("log", strings.NewReader(text), trace.Config{
			Format: trace.Formats()[how%5], Sort: how&8 != 0, TimesOnly: how&16 != 0, Skip: float64(how >> 7),
		})
		if err != nil {
			return
		}
		for i := range g.At {
			if g.At[i] < 0 || i > 0 && g.At[i] < g.At[i-1] {
				t.Fatalf("times: got %v", g.At)
			}
		}
		var b bytes.Buffer
		if err := g.Encode(&b); err != nil {
			t.Fatal(err)
		}
		back, err := trace.Decode(&b)
		if err != nil || !reflect.DeepEqual(back.At, g.At) || !reflect.DeepEqual(asked(back), asked(g)) {
			t.Fatalf("decoded: got %v, %v, want %v", back, err, g)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	const lines = 100_000
	log := sample(lines)
	var j strings.Builder
	for i := range lines {
		fmt.Fprintf(&j, "{\"time\":\"2026-03-01T00:%02d:%02dZ\",\"remote\":\"192.0.2.1\",\"method\":\"GET\",\"path\":\"/articles/%d\",\"status\":200,\"bytes\":5120,\"agent\":\"Mozilla/5.0\"}\n", i/2000, i/100%20, i%5000)
	}
	var c strings.Builder
	for i := range lines {
		fmt.Fprintf(&c, "%d.%03d,GET,/articles/%d\n", i/100, i%100*10, i%5000)
	}
	for _, bb := range []struct{ name, text string }{{"combined", log}, {"json", j.String()}, {"csv", c.String()}} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := trace.Read("log", strings.NewReader(bb.text), trace.Config{Sort: true}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/lines, "ns/line")
		})
	}
}
