package spans_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/spans"
)

var update = flag.Bool("update", false, "write the samples anew")

// samples are the files in testdata, as the generator makes them.
func samples() map[string][]byte {
	shop := newShop(1, 120)
	return map[string][]byte{"testdata/shop.otlp.jsonl": asOTLP(byEnd(shop), 64), "testdata/shop.jaeger.json": asJaeger(shop)}
}

func TestSamplesAreTheGenerators(t *testing.T) {
	for file, want := range samples() {
		if *update {
			if err := os.WriteFile(file, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what the generator makes (%v): go test -update writes it", file, err)
		}
	}
}

// learn makes the scenario of files.
func learn(t testing.TB, o spans.Options, files ...[]byte) *spans.Result {
	t.Helper()
	m := spans.New(o)
	for _, f := range files {
		if err := m.Read(bytes.NewReader(f)); err != nil {
			t.Fatal(err)
		}
	}
	r, err := m.Scenario("shop")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func load(t testing.TB, text []byte) *scenario.Plan {
	t.Helper()
	plan, err := scenario.Load("shop.yaml", text, scenario.Options{})
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return plan
}

// shapeOf is an operation of a scenario without its figures.
func shapeOf(t testing.TB, text []byte, service, op string) string {
	t.Helper()
	_, rest, ok := strings.Cut(string(text), "\n  "+service+": #")
	_, rest, ok2 := strings.Cut(rest, "request "+op+" {")
	if !ok || !ok2 {
		t.Fatalf("no operation %s of %s in\n%s", op, service, text)
	}
	rest, _, _ = strings.Cut(rest, "\n      }\n")
	rest = regexp.MustCompile(`  # .*`).ReplaceAllString(rest, "")
	rest = regexp.MustCompile(`\d\.\d+:`).ReplaceAllString(rest, "p:")
	rest = regexp.MustCompile(`(cpu|wait) .*`).ReplaceAllString(rest, "$1")
	return strings.Join(strings.Fields(rest), " ")
}

// shapes are the truth of the generator: who calls whom, in which order, together, maybe, and how often.
var shapes = []struct{ service, op, want string }{
	{"front_end", "get", "cpu wait call catalogue.list"},
	{"catalogue", "list", "cpu call postgres.select_products"},
	{"front_end", "get_product", "cpu par { { wait call cart.count } { wait call catalogue.get } } " +
		"choose { p: {} p: { repeat 3 { wait call catalogue.similar } } }"},
	{"front_end", "post_checkout", "cpu wait call cart.items " +
		"par { { wait call catalogue.reserve } { wait call catalogue.reserve } { wait call payment.charge } } fork { wait call payment.settle }"},
	{"payment", "charge", "cpu call bank.authorise"},
	{"payment", "settle", "cpu"},
}

func TestCallsOrderAndParallelismAreThoseOfTheShop(t *testing.T) {
	for file, b := range samples() {
		r := learn(t, spans.Options{}, b)
		load(t, r.Text)
		for _, s := range shapes {
			got := shapeOf(t, r.Text, s.service, s.op)
			if alt := strings.Replace(got, "{ wait call catalogue.get } { wait call cart.count }", "{ wait call cart.count } { wait call catalogue.get }", 1); alt != s.want &&
				strings.Replace(alt, "{ wait call payment.charge } { wait call catalogue.reserve } { wait call catalogue.reserve }",
					"{ wait call catalogue.reserve } { wait call catalogue.reserve } { wait call payment.charge }", 1) != s.want {
				t.Errorf("%s: %s.%s: got\n\t%s\nwant\n\t%s", file, s.service, s.op, got, s.want)
			}
		}
		if r.Traces != 120 || r.Operations != 13 || len(r.Services) != 6 {
			t.Errorf("%s: got %d traces, %d operations, services %v", file, r.Traces, r.Operations, r.Services)
		}
	}
}

// TestDemandsAreThoseOfTheShop compares 3000 traces with the truth: means within four standard errors of it, and within 10 %, by the right law.
func TestDemandsAreThoseOfTheShop(t *testing.T) {
	text := learn(t, spans.Options{}, asOTLP(byEnd(newShop(5, 3000)), 64)).Text
	load(t, text)
	for _, tt := range []struct {
		service, op, law string
		mean, scv        float64 // s
	}{
		{"front_end", "get", "exp", 0.004, 1},
		{"front_end", "get_product", "lognormal", 0.006, 0.5},
		{"front_end", "post_checkout", "", 0.0052, 1}, // with the 0.2 ms of sending
		{"catalogue", "list", "2ms", 0.002, 0},
		{"catalogue", "get", "lognormal", 0.003, 0.4},
		{"catalogue", "similar", "exp", 0.001, 1},
		{"postgres", "select_products", "lognormal", 0.005, 2},
		{"payment", "charge", "exp", 0.004, 1},
		{"bank", "authorise", "30ms", 0.030, 0},
		{"cart", "items", "exp", 0.003, 1},
	} {
		_, rest, _ := strings.Cut(string(text), "\n  "+tt.service+": #")
		_, rest, _ = strings.Cut(rest, "request "+tt.op+" {")
		got := regexp.MustCompile(`cpu (\S+).*# n=(\d+) mean=(\S+) scv=(\S+)`).FindStringSubmatch(rest)
		if got == nil {
			t.Errorf("%s.%s has no demand", tt.service, tt.op)
			continue
		}
		mean, err := time.ParseDuration(got[3])
		n, err2 := strconv.Atoi(got[2])
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		within := min(4*tt.mean*math.Sqrt(tt.scv/float64(n))+1e-6, 0.1*tt.mean+1e-6)
		if d := mean.Seconds() - tt.mean; math.Abs(d) > within || !strings.HasPrefix(got[1], tt.law) {
			t.Errorf("%s.%s: got %s with a mean of %s, want %s with %gs ± %gs", tt.service, tt.op, got[1], mean, tt.law, tt.mean, within)
		}
	}
	got := regexp.MustCompile(`rate: (\S+)/s`).FindStringSubmatch(string(text))
	if rate, err := strconv.ParseFloat(got[1], 64); err != nil || math.Abs(rate-traffic) > 4*traffic/math.Sqrt(3000) {
		t.Errorf("got a rate of %s/s, want %g/s within four standard errors", got[1], traffic)
	}
}

// TestOrderOfSpansAndFilesDoesNotMatter has the spans of a trace in several files, and in any order.
func TestOrderOfSpansAndFilesDoesNotMatter(t *testing.T) {
	shop := newShop(2, 60)
	whole := learn(t, spans.Options{}, asOTLP(shop, len(shop)))
	half := len(shop) / 2
	parts := learn(t, spans.Options{}, asOTLP(shop[half:], 7), asOTLP(shop[:half], 7))
	for _, s := range shapes {
		if got, want := shapeOf(t, parts.Text, s.service, s.op), shapeOf(t, whole.Text, s.service, s.op); got != want {
			t.Errorf("%s.%s: got %s, want %s", s.service, s.op, got, want)
		}
	}
	if parts.Traces != 60 || parts.Spans != whole.Spans {
		t.Errorf("got %d traces with %d spans, want 60 with %d", parts.Traces, parts.Spans, whole.Spans)
	}
}

// TestMemoryIsBounded keeps 100 spans at most of traces whose spans come far apart: what is torn is told.
func TestMemoryIsBounded(t *testing.T) {
	shop := newShop(3, 200)
	slices.SortStableFunc(shop, func(a, b made) int { return strings.Compare(a.service, b.service) })
	r := learn(t, spans.Options{Spans: 100}, asOTLP(shop, 50))
	load(t, r.Text)
	if notes := strings.Join(r.Notes, "\n"); !strings.Contains(notes, "spans have a parent that is not in the files") {
		t.Errorf("nothing tells of torn traces: %s", notes)
	}
}

// TestNotesTell damages traces, and looks for what is told.
func TestNotesTell(t *testing.T) {
	shop := newShop(4, 300)
	failed := 0
	for i := range shop {
		if shop[i].failed {
			failed++
		}
	}
	cart := slices.IndexFunc(shop, func(m made) bool { return m.name == "Items" })
	shop[cart].open = true
	product := slices.IndexFunc(shop, func(m made) bool { return m.name == "GET /product" })
	shop = slices.Delete(shop, product, product+1)
	notes := strings.Join(learn(t, spans.Options{}, asOTLP(shop, 64)).Notes, "\n")
	for _, want := range []string{
		"1 spans are unfinished", fmt.Sprintf("%d errors of payment \"Charge\"", failed), "spans of payment stood outside of their parents, by up to 39.9",
		"spans have a parent that is not in the files",
	} {
		if !strings.Contains(notes, want) {
			t.Errorf("no note tells of %q: %s", want, notes)
		}
	}
}

// TestSkewedServersWithoutClientSpans has calls that only their servers have spans of, by clocks that are 40 ms off: two in parallel
// under one caller, two in sequence under another.
func TestSkewedServersWithoutClientSpans(t *testing.T) {
	at := func(id, parent, service, name string, start, ms int) string {
		return fmt.Sprintf(`{"traceID": "7%s", "spanID": "%s", "processID": "%s", "operationName": "%s", "startTime": %d, "duration": %d, "references": [%s]}`,
			id[:1], id, service, name, 1_000_000+1000*start, 1000*ms, parent)
	}
	child := func(of string) string { return fmt.Sprintf(`{"refType": "CHILD_OF", "spanID": "%s"}`, of) }
	r := learn(t, spans.Options{}, []byte(`{"data": [{"processes": {"a": {"serviceName": "a"}, "b": {"serviceName": "b"}}, "spans": [`+strings.Join([]string{
		at("11", "", "a", "both", 0, 30), at("12", child("11"), "b", "left", 42, 20), at("13", child("11"), "b", "right", 44, 25),
		at("21", "", "a", "one", 100, 30), at("22", child("21"), "a", "first", 100, 10), at("23", child("21"), "b", "second", 115, 10),
		at("24", `{"refType": "FOLLOWS_FROM", "spanID": "21"}`, "b", "later", 200, 10),
	}, ",")+`]}]}`))
	load(t, r.Text)
	if got, want := shapeOf(t, r.Text, "a", "both"), "cpu par { call b.left call b.right }"; got != want && got != "cpu par { call b.right call b.left }" {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := shapeOf(t, r.Text, "a", "one"), "cpu call b.second fork { call b.later }"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if notes := strings.Join(r.Notes, "\n"); !strings.Contains(notes, "clock skew: 2 spans of b stood outside of their parents, by up to 39ms") {
		t.Errorf("no note of the skew: %s", notes)
	}
}

// TestManyCountsOfParallelCalls has a caller that runs 1 to 9 calls together: five counts of them remain, and that is told.
func TestManyCountsOfParallelCalls(t *testing.T) {
	var all []string
	for k := 1; k <= 9; k++ {
		span := func(id int, parent, service, name string, start, ms int) {
			all = append(all, fmt.Sprintf(`{"traceID": "%d", "spanID": "%d", "processID": "%s", "operationName": "%s", "startTime": %d, "duration": %d, "references": [%s]}`,
				k, id, service, name, 1_000_000*k+1000*start, 1000*ms, parent))
		}
		span(1, "", "a", "all", 0, 100)
		for i := range k {
			span(2+i, `{"refType": "CHILD_OF", "spanID": "1"}`, "b", "part", 10+i, 50)
		}
	}
	r := learn(t, spans.Options{}, []byte(`{"data": [{"processes": {"a": {"serviceName": "a"}, "b": {"serviceName": "b"}}, "spans": [`+strings.Join(all, ",")+`]}]}`))
	load(t, r.Text)
	got := shapeOf(t, r.Text, "a", "all")
	var calls []int
	for _, branch := range strings.Split(got, "p:")[1:] {
		calls = append(calls, strings.Count(branch, "call b.part"))
	}
	if want := []int{2, 4, 6, 8, 9}; !slices.Equal(calls, want) {
		t.Errorf("got branches of %v calls, want %v: %s", calls, want, got)
	}
	if notes := strings.Join(r.Notes, "\n"); !strings.Contains(notes, `by a "all" run together by 9 different counts: rounded up to five of them`) {
		t.Errorf("no note tells of it: %s", notes)
	}
}

// line is a document with one span.
func line(fields string) string {
	return `{"resourceSpans": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "a"}}]},
"scopeSpans": [{"spans": [{` + fields + `}]}]}]}`
}

const ids = `"traceId": "0102030405060708090a0b0c0d0e0f10", "spanId": "0102030405060708", `

func TestReadTellsWhereItIsWrong(t *testing.T) {
	for _, tt := range []struct{ name, src, want string }{
		{"empty", "", "1:1: the file ends in the middle of the traces"},
		{"cut off", "{\"resourceSpans\": [\n {", "2:3: the file ends in the middle"},
		{"no JSON", "{\"data\": [\n  nix]}", "2:4: this is not JSON"},
		{"something else", `{"log": 1}`, `1:11: this has neither "resourceSpans"`},
		{"a list", `[]`, "1:2: a file of traces is an object in braces"},
		{"a list of another kind", `{"data": 7}`, `"data" is a list in brackets`},
		{"an id that is none", line(`"traceId": "xyz"`), `2:27: span "": its traceId is "xyz", where 32 hexadecimal digits should be`},
		{"no id of its own", line(`"traceId": "0102030405060708090a0b0c0d0e0f10"`), `its spanId is ""`},
		{"a time that is none", line(ids + `"startTimeUnixNano": "noon"`), `"noon" is no time in nanoseconds`},
		{"a time before all", line(ids + `"startTimeUnixNano": -5`), `-5 is a time before 1970`},
		{"a name that is a number", line(ids + `"name": 7`), "name is a number, which traces do not have there"},
		{"the second line", line(ids+`"name": "x"`) + "\n{]", "3:2: this is not JSON"},
		{"a Jaeger id", `{"data": [{"spans": [{"traceID": "1", "spanID": "-"}]}]}`, `its spanID is "-"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := spans.New(spans.Options{}).Read(strings.NewReader(tt.src))
			e, ok := errors.AsType[*spans.Error](err)
			if !ok || !strings.Contains(e.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
	if _, err := spans.New(spans.Options{}).Scenario("x"); !errors.Is(err, spans.ErrEmpty) {
		t.Errorf("no traces: got %v, want %v", err, spans.ErrEmpty)
	}
}

// FuzzImport has whatever can be read make a scenario that loads.
func FuzzImport(f *testing.F) {
	shop := newShop(9, 1)
	f.Add(string(asOTLP(shop, 10)))
	f.Add(string(asJaeger(shop)))
	f.Add(line(ids + `"name": "exit \u0000", "kind": "SPAN_KIND_CLIENT", "startTimeUnixNano": 1, "endTimeUnixNano": "2"`))
	f.Fuzz(func(t *testing.T, src string) {
		m := spans.New(spans.Options{})
		if err := m.Read(strings.NewReader(src)); err != nil {
			return
		}
		r, err := m.Scenario("fuzz")
		if err != nil {
			return
		}
		if _, err := scenario.Load("fuzz.yaml", r.Text, scenario.Options{}); err != nil {
			t.Errorf("%v\n%s", err, r.Text)
		}
	})
}
