package har_test

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/eve-emulation/eve/fase/har"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/rdr"
)

func sample(t *testing.T) *har.Result {
	t.Helper()
	f, err := os.Open("testdata/shop.har")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	a, err := har.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	r, err := a.Scenario("shop")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// calls steps a request whose every call is answered in the order in which they were made, and returns the calls that were
// under way together: one line for each time that the request waited.
func calls(t *testing.T, b *rdr.Block) []string {
	t.Helper()
	var task rdr.Task
	task.Start(b, 1, "")
	var out []string
	var waiting []rdr.Demand
	for d := new(rdr.Demand); ; {
		for task.Next(d) {
			waiting = append(waiting, *d)
		}
		if len(waiting) == 0 {
			return out
		}
		var together []string
		for _, w := range waiting {
			switch w.Op {
			case rdr.OpHTTP:
				together = append(together, w.Name+" "+w.Method+" "+w.Path)
			case rdr.OpWait:
				together = append(together, "wait")
			}
		}
		out = append(out, strings.Join(together, ", "))
		first := waiting[0]
		waiting = waiting[1:]
		task.Met(first.ID, rdr.OK)
	}
}

// TestImportKeepsCallsOrderAndParallelism loads the scenario that is made of the sample and steps its requests.
func TestImportKeepsCallsOrderAndParallelism(t *testing.T) {
	r := sample(t)
	plan, err := scenario.Load("shop.yaml", r.Text, scenario.Options{})
	if err != nil {
		t.Fatalf("%v\n%s", err, r.Text)
	}
	s := plan.Clients[0].Sessions
	shop, cdn := "shop_example_test", "cdn_example_test"
	want := map[string][]string{
		"home": {
			shop + " GET /",
			shop + " GET /style.css, " + shop + " GET /app.js, " + cdn + " GET /logo.png, " + cdn + " GET /hero.jpg?w=800&q=80",
			shop + " GET /app.js, " + cdn + " GET /logo.png, " + cdn + " GET /hero.jpg?w=800&q=80, " + cdn + " GET /font.woff2",
			cdn + " GET /logo.png, " + cdn + " GET /hero.jpg?w=800&q=80, " + cdn + " GET /font.woff2",
			cdn + " GET /hero.jpg?w=800&q=80, " + cdn + " GET /font.woff2",
			cdn + " GET /font.woff2",
			"wait",
			shop + " GET /api/offers?limit=3",
		},
		"list": {
			shop + " GET /list?page=2&sort=price", "wait",
			cdn + " GET /thumb1.jpg, " + cdn + " GET /thumb2.jpg", cdn + " GET /thumb2.jpg",
		},
		"cart":     {shop + " POST /cart"},
		"checkout": {shop + " POST /checkout", shop + " GET /thanks.html"},
	}
	var names []string
	for i, p := range s.Pages {
		names = append(names, p.Name)
		if got := calls(t, p.Request); !slices.Equal(got, want[p.Name]) {
			t.Errorf("page %s: got\n\t%s\nwant\n\t%s", p.Name, strings.Join(got, "\n\t"), strings.Join(want[p.Name], "\n\t"))
		}
		pauses := []int64{3795, 4919, 5940, 0}
		if got := thinkOf(p.Think != nil, func() int64 { return p.Think.Mean.Milliseconds() }); got != pauses[i] {
			t.Errorf("page %s: the pause behind it is %d ms, want %d", p.Name, got, pauses[i])
		}
	}
	if got, want := strings.Join(names, " "), "home list cart checkout"; got != want {
		t.Errorf("pages: got %s, want %s", got, want)
	}
	if v, err := plan.Clients[0].Visits(); err != nil || v.Length != 4 || slices.Contains(v.Once, false) {
		t.Errorf("got a session of %v pages (%v), want the four once each", v.Length, err)
	}
}

func thinkOf(some bool, ms func() int64) int64 {
	if !some {
		return 0
	}
	return ms()
}

func TestImportKeepsWhatMatters(t *testing.T) {
	r := sample(t)
	text := string(r.Text)
	for _, want := range []string{
		`POST "/cart" header "Accept: */*" header "Origin: http://shop.example.test" header "Content-Type: application/json" body ` + "`{\"item\": 7, \"name\": \"o'clock\"}`",
		`body "card=none+at+all&ok=yes"`,
		`header "X-Requested-With: XMLHttpRequest" header "Cookie: sid=made-up"`,
		`shop_example_test: {url: "http://shop.example.test:80"}`,
		`cdn_example_test: {url: "http://cdn.example.test:8081"}`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the scenario has no %s:\n%s", want, text)
		}
	}
	if strings.Contains(text, "User-Agent:") || strings.Contains(text, "Host:") || strings.Contains(text, "/socket") {
		t.Errorf("the scenario has what was to be left out:\n%s", text)
	}
	notes := strings.Join(r.Notes, "\n")
	for _, want := range []string{"1 WebSockets", "1 data: URLs", "1 requests were sent over H2", "User-Agent", "Cookie and Authorization"} {
		if !strings.Contains(notes, want) {
			t.Errorf("no note tells of %q: %s", want, notes)
		}
	}
	if r.Pages != 4 || r.Calls != 13 || len(r.Hosts) != 2 {
		t.Errorf("got %d pages, %d calls and hosts %v, want 4, 13 and 2", r.Pages, r.Calls, r.Hosts)
	}
}

// entry is an archive of one entry.
func entry(fields string) string {
	return "{\"log\": {\n\"entries\": [\n{" + fields + "}\n]}}"
}

const begun = `"startedDateTime": "2026-01-01T00:00:00Z", "time": 5, `

func TestReadTellsWhereItIsWrong(t *testing.T) {
	for _, tt := range []struct{ name, src, want string }{
		{"empty", "", "1:1: the file ends in the middle of the archive"},
		{"cut off", "{\"log\": {\n \"entries\": [", "2:14: the file ends in the middle of the archive"},
		{"no JSON", "{\"log\": {\n  \"entries\": [}", "2:15: this is not JSON"},
		{"an entry without anything", "{\"log\": {\"entries\": [\n{},\n{\"time\": x}]}}", "2:1: entry 1: startedDateTime"},
		{"no JSON in an entry's request", entry(begun + "\n\"request\": {\"method\": GET}"), "4:23: this is not JSON"},
		{"another JSON", `{"scenario": 1}`, "1:16: an archive has a \"log\", and this has none"},
		{"no object", `[1]`, "1:2: an archive is an object in braces"},
		{"no entries", `{"log": {"pages": []}}`, `1:22: the "log" has no "entries"`},
		{"entries of another kind", `{"log": {"entries": 7}}`, `1:22: "entries" is a list in brackets`},
		{"a time that is none", entry(`"startedDateTime": "yesterday", "request": {"method": "GET", "url": "http://a/"}`), `entry 1: startedDateTime: "yesterday" is no time`},
		{"no time", entry(`"request": {"method": "GET", "url": "http://a/"}`), "entry 1: startedDateTime: there is none"},
		{"no request", entry(begun + `"response": {}`), "entry 1 has no request with a method and a url"},
		{"a number for a text", entry(begun + `"request": {"method": 7}`), "3:79: request.method is a number, which an archive does not have there"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := har.Read(strings.NewReader(tt.src))
			e, ok := errors.AsType[*har.Error](err)
			if !ok || !strings.Contains(e.Error(), tt.want) || e.Line < 1 || e.Col < 1 {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
	if _, err := har.Read(failing{}); err == nil || !strings.Contains(err.Error(), "disk on fire") {
		t.Errorf("a reader that fails: got %v", err)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("disk on fire") }

func TestScenarioOfOddArchives(t *testing.T) {
	get := func(url string) string { return begun + `"request": {"method": "GET", "url": "` + url + `"}` }
	for _, tt := range []struct {
		name, src string
		want      []string // in the scenario or the notes
		empty     bool
	}{
		{"nothing to send", entry(get("data:,x")), nil, true},
		{"no entries", `{"log": {"entries": []}}`, nil, true},
		{"null lists", `{"log": {"pages": null, "entries": null}}`, nil, true},
		{"a URL full of odd characters", entry(get("http://a.test/x y/ü?q=\\\"1\\\"&r=`#part")), []string{`"/x%20y/%C3%BC?q=%221%22&r=%60"`}, false},
		{"a host that is a number", entry(get("http://127.0.0.1:9090")), []string{`site`, `url: "http://127.0.0.1:9090"`, `GET "/"`}, false},
		{"a page called like a word", entry(get("http://a.test/exit")), []string{"request page_exit {"}, false},
		{"a binary body", entry(begun + `"request": {"method": "POST", "url": "http://a.test/", "postData": {"text": "AAEC", "encoding": "base64"}}`), []string{"send 3B", "3 bytes are sent in its place"}, false},
		{"a multipart form", entry(begun + `"request": {"method": "POST", "url": "http://a.test/", "bodySize": 321, "postData": {"mimeType": "multipart/form-data", "params": [{"name": "f", "fileName": "x"}]}}`), []string{"send 321B", "multipart/form-data"}, false},
		{"a body of lines", entry(begun + `"request": {"method": "POST", "url": "http://a.test/", "postData": {"text": "one\n  two\nthree"}}`), []string{"`one\n    two\n  three`"}, false},
		{"a method of its own", entry(begun + `"request": {"method": "M-SEARCH", "url": "http://a.test/"}`), []string{`"M-SEARCH"`}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, err := har.Read(strings.NewReader(tt.src))
			if err != nil {
				t.Fatal(err)
			}
			r, err := a.Scenario("odd")
			if tt.empty {
				if !errors.Is(err, har.ErrEmpty) {
					t.Errorf("got %v, want %v", err, har.ErrEmpty)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := scenario.Load("odd.yaml", r.Text, scenario.Options{}); err != nil {
				t.Errorf("%v\n%s", err, r.Text)
			}
			all := string(r.Text) + strings.Join(r.Notes, "\n")
			for _, want := range tt.want {
				if !strings.Contains(all, want) {
					t.Errorf("no %s in\n%s", want, all)
				}
			}
		})
	}
}

// TestEntriesWithoutPagesAreDividedByGaps has three requests, of which the last begins two seconds after the others ended.
func TestEntriesWithoutPagesAreDividedByGaps(t *testing.T) {
	one := func(at, path string) string {
		return `{"startedDateTime": "2026-01-01T00:00:` + at + `Z", "time": 100, "request": {"method": "GET", "url": "http://a.test/` + path + `"}}`
	}
	src := `{"log": {"entries": [` + one("03.0", "c") + "," + one("00.0", "a") + "," + one("00.9", "b") + `]}}`
	a, err := har.Read(strings.NewReader(src))
	if err != nil {
		t.Fatal(err)
	}
	r, err := a.Scenario("gaps")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"request a {\n    http a_test GET \"/a\"\n    wait 800ms\n    http a_test GET \"/b\"\n  }", "a: {think: 2000ms, next: c}", "c: {next: exit}"} {
		if !strings.Contains(string(r.Text), want) {
			t.Errorf("no %s in\n%s", want, r.Text)
		}
	}
}

// FuzzImport has whatever can be read make a scenario that loads.
func FuzzImport(f *testing.F) {
	src, err := os.ReadFile("testdata/shop.har")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(src))
	f.Add(entry(begun + `"request": {"method": "POST", "url": "http://a.test/x?\u0000", "headers": [{"name": "X-é", "value": "\""}], "postData": {"text": "` + "`" + `\"'"}}`))
	f.Fuzz(func(t *testing.T, src string) {
		a, err := har.Read(strings.NewReader(src))
		if err != nil {
			return
		}
		r, err := a.Scenario("fuzz")
		if err != nil || len(r.Text) > 200_000 {
			return
		}
		if _, err := scenario.Load("fuzz.yaml", r.Text, scenario.Options{}); err != nil {
			t.Errorf("%v\n%s", err, r.Text)
		}
	})
}
