package report_test

import (
	"bytes"
	"encoding/csv"
	"encoding/xml"
	"errors"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/report"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/runs/runstest"
)

const evil = `<img src=x onerror="alert(1)">&'` + "\x1b[2J\x00"

// crowd is drawn once: it takes seconds under the race detector.
var crowd = sync.OnceValues(func() (*runstest.Memory, error) {
	m := runstest.NewMemory()
	plan, err := runstest.FlashCrowd(m, dsv.Never)
	m.Plan = plan
	return m, err
})

func flashCrowd(t *testing.T) (*runs.Summary, *runstest.Memory) {
	t.Helper()
	m, err := crowd()
	if err != nil {
		t.Fatal(err)
	}
	return runs.Summarise(m.Plan, m, runs.Extras{Version: "1", Kind: runs.Real}), m
}

// wellFormed reads XML to its end and returns its words and its elements.
func wellFormed(t *testing.T, name string, b []byte) (words string, elements map[string]int) {
	t.Helper()
	elements = map[string]int{}
	var all strings.Builder
	d := xml.NewDecoder(bytes.NewReader(b))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return all.String(), elements
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		switch x := token.(type) {
		case xml.CharData:
			all.Write(x)
			all.WriteByte('\n')
		case xml.StartElement:
			elements[x.Name.Local]++
		}
	}
}

func TestPictures(t *testing.T) {
	s, m := flashCrowd(t)
	d := report.Read(m, s)
	want := map[string][]string{
		"adaptation":    {"Arrival rate (1/s)", "Response time of crowd (s)", "Utilisation of server_2 (%)", "move static to cdn", "replicate app to server_2", "p95", "warm-up", "time since the start of the run (s)"},
		"clients-crowd": {"issued", "finished", "planned", "p99", "100 ms", "none"},
		"servers":       {"Jobs at server_1", "Utilisation of cdn (%)", "link"},
		"mapping":       {"app on server_1", "static on cdn", "serving", "copying", "draining"},
		"distribution":  {"crowd", "1 %", "100 ms"},
	}
	for _, p := range d.Pictures() {
		svg, err := p.SVG()
		if err != nil {
			t.Fatal(err)
		}
		words, elements := wellFormed(t, p.Name, svg)
		for _, w := range want[p.Name] {
			if !strings.Contains(words, w) {
				t.Errorf("%s: %q is missing", p.Name, w)
			}
		}
		if elements["path"] == 0 || elements["script"] != 0 || p.Caption == "" {
			t.Errorf("%s: got %v with caption %q", p.Name, elements, p.Caption)
		}
		again, err := p.SVG()
		if err != nil || !bytes.Equal(svg, again) {
			t.Errorf("%s: drawn twice it differs (%v)", p.Name, err)
		}
		delete(want, p.Name)
		if p.Name != "adaptation" {
			continue // the others go through the same code
		}
		b, err := p.PNG()
		if err != nil {
			t.Fatal(err)
		}
		if img, err := png.Decode(bytes.NewReader(b)); err != nil || img.Bounds().Dx() != 1440 {
			t.Errorf("%s: %v, not 1440 pixels wide", p.Name, err)
		}
	}
	if len(want) > 0 {
		t.Errorf("not drawn: %v", want)
	}
}

func TestPageIsSelfContained(t *testing.T) {
	s, m := flashCrowd(t)
	e := runs.Here("1", time.Unix(0, 0))
	page, err := report.Read(m, s).HTML(report.Page{Environment: &e, Scenario: []byte("eve: 1\n")})
	if err != nil {
		t.Fatal(err)
	}
	checkPage(t, page)
	for _, w := range []string{"flash-crowd", "p95(static.latency) = 131", "✗ fail", "replicate app to server_2", "Environment"} {
		if !bytes.Contains(page, []byte(w)) {
			t.Errorf("%q is missing", w)
		}
	}
}

// checkPage fails for a page that is not well formed, runs scripts, or refers to anything outside itself.
func checkPage(t *testing.T, page []byte) {
	t.Helper()
	// The page avoids what HTML allows and XML does not, but for the elements without an end.
	x := regexp.MustCompile(`(?i)<!doctype html>`).ReplaceAll(page, nil)
	x = regexp.MustCompile(`<meta ([^>]*)>`).ReplaceAll(x, []byte("<meta $1/>"))
	_, elements := wellFormed(t, "page", x)
	for _, forbidden := range []string{"script", "img", "link", "iframe", "object", "a"} {
		if elements[forbidden] > 0 {
			t.Errorf("the page has <%s>", forbidden)
		}
	}
	own := regexp.MustCompile(`xmlns(:[a-z]+)?="http://www\.w3\.org/[^"]*"`).ReplaceAll(page, nil)
	if found := regexp.MustCompile(`(?i)(https?:)?//[a-z]|url\(|@import|javascript:|<[^>]* on[a-z]+\s*=`).Find(own); found != nil {
		t.Errorf("the page refers outside itself, or runs something: %s", found)
	}
}

func TestNamesAreEscaped(t *testing.T) {
	s, m := flashCrowd(t)
	s.Scenario, s.About, s.Error = evil, evil, evil
	s.Clients[evil] = s.Clients["crowd"]
	s.Servers[evil] = s.Servers["server_1"]
	s.Services[evil] = s.Services["app"]
	s.Variables[evil+".x"] = runs.Variable{Unit: evil, Sum: &runs.Sum{Total: 1, Rate: 1}}
	s.Variables[evil+".y"] = runs.Variable{Unit: evil, Sum: &runs.Sum{}}
	s.Checks = append(s.Checks, runs.Check{Law: evil, Of: evil, Verdict: "pass"})
	for i := range s.Decisions {
		s.Decisions[i].Action, s.Decisions[i].Rule = evil, evil
	}
	s.Decisions[0].Reading = map[string]runs.Number{evil: 1}
	s.Expect = append(s.Expect, runs.Expect{Text: evil, Verdict: "fail", Reason: evil})
	s.Modules = append(s.Modules, runs.Module{Name: evil, State: evil, Exit: evil})
	s.Warnings = append(s.Warnings, evil)
	d := report.Read(m, s)
	page, err := d.HTML(report.Page{Scenario: []byte(evil)})
	if err != nil {
		t.Fatal(err)
	}
	checkPage(t, page)
	if bytes.Contains(page, []byte("<img")) {
		t.Error("the page has an element that a name brought in")
	}
	for _, p := range d.Pictures() {
		if !regexp.MustCompile(`^[a-z0-9_-]+$`).MatchString(p.Name) {
			t.Errorf("got file name %q", p.Name)
		}
		svg, err := p.SVG()
		if err != nil {
			t.Fatal(err)
		}
		if _, elements := wellFormed(t, p.Name, svg); elements["img"] > 0 {
			t.Errorf("%s has an element that a name brought in", p.Name)
		}
	}
	var b strings.Builder
	if err := report.Text(&b, s, ""); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(b.String(), "\x1b\x00") {
		t.Error("a name can steer the terminal")
	}
}

func TestText(t *testing.T) {
	s, _ := flashCrowd(t)
	var b strings.Builder
	if err := report.Text(&b, s, "runs/x/report.html"); err != nil {
		t.Fatal(err)
	}
	for _, w := range []string{
		"flash-crowd  run, seed 7, 55 s measured", "clients", "crowd", "27.4 s  grow", "✓ p95(crowd.latency) < 2s",
		"✗ p99(app.residence) < 10ms", "report  runs/x/report.html",
	} {
		if !strings.Contains(b.String(), w) {
			t.Errorf("%q is missing in\n%s", w, b.String())
		}
	}
	// Columns are aligned: "utilisation" ends where its figures end.
	lines := strings.Split(b.String(), "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, "servers") {
			end := strings.Index(l, "utilisation") + len("utilisation")
			if row := lines[i+1]; !strings.HasSuffix(row[:end], " %") {
				t.Errorf("not aligned:\n%s\n%s", l, row)
			}
		}
	}
}

func TestExport(t *testing.T) {
	s, m := flashCrowd(t)
	var b bytes.Buffer
	if err := report.Export(m, &b); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&b).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(rows[0], ","); got != "t0,t1,name,value,weight,p50,p95,p99" {
		t.Errorf("got head %s", got)
	}
	number := func(s string) float64 {
		x, err := strconv.ParseFloat(s, 64)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	requests, samples, area, seconds := 0.0, 0.0, 0.0, 0.0
	for _, r := range rows[1:] {
		if number(r[1]) <= 5 {
			continue
		}
		switch r[2] {
		case "crowd.requests":
			requests += number(r[3])
		case "crowd.latency":
			samples += number(r[4])
			if r[3] != "" && !(number(r[5]) <= number(r[7])) {
				t.Errorf("p50 above p99 in %v", r)
			}
		case "server_1.cpu.utilisation":
			area += number(r[3]) * number(r[4])
			seconds += number(r[4])
		}
	}
	c := s.Clients["crowd"]
	if requests != float64(c.Requests) || samples != float64(c.Response.Count) {
		t.Errorf("got %v requests and %v samples, want %d and %d", requests, samples, c.Requests, c.Response.Count)
	}
	if want := float64(s.Servers["server_1"]["cpu"].Utilisation); math.Abs(area/seconds-want) > 1e-6 {
		t.Errorf("got utilisation %v, want %v", area/seconds, want)
	}

	b.Reset()
	if err := report.ExportRecords(m, []string{"crowd"}, &b); err != nil {
		t.Fatal(err)
	}
	rows, err = csv.NewReader(&b).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := int64(len(rows)-1), c.Accounting.OK+c.Accounting.Errors; got != want || rows[1][6] != "ok" {
		t.Errorf("got %d records, the first %v, want %d", got, rows[1], want)
	}
}

func TestBrokenHistoryStillGivesAReport(t *testing.T) {
	s, m := flashCrowd(t)
	m.Broken["crowd.latency"] = errors.New("chunk 7: file is damaged")
	defer delete(m.Broken, "crowd.latency")
	d := report.Read(m, s)
	page, err := d.HTML(report.Page{})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(page, []byte("chunk 7: file is damaged")) {
		t.Error("the page does not tell of the damage")
	}
	if err := report.Export(m, io.Discard); err == nil || !strings.Contains(err.Error(), "crowd.latency") {
		t.Errorf("got %v, want the damage", err)
	}
}

func TestWriteFromFolders(t *testing.T) {
	for name, stop := range map[string]dsv.Instant{"interrupted": dsv.At(26 * time.Second), "cut short": dsv.At(6 * time.Second)} {
		t.Run(name, func(t *testing.T) {
			plan := runstest.Plan(time.Minute, 0, nil, nil, nil)
			dir := filepath.Join(t.TempDir(), "run")
			f, err := runs.Create(dir, plan, time.Unix(0, 0))
			if err != nil {
				t.Fatal(err)
			}
			plan, err = runstest.FlashCrowd(f.Store(), stop)
			if err != nil {
				t.Fatal(err)
			}
			s := runs.Summarise(plan, f.History(), runs.Extras{Interrupted: true})
			if err := errors.Join(f.Finish(s), f.Close()); err != nil {
				t.Fatal(err)
			}
			if name == "cut short" {
				if err := os.Truncate(filepath.Join(dir, runs.StoreFile), 20000); err != nil {
					t.Fatal(err)
				}
			}
			checkFolder(t, dir, name == "cut short")
		})
	}
}

// checkFolder writes the report of a folder and looks at what is there.
func checkFolder(t *testing.T, dir string, damaged bool) {
	t.Helper()
	f, err := runs.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s, err := f.Summary()
	if err != nil {
		t.Fatal(err)
	}
	path, err := report.Write(f, s)
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	checkPage(t, page)
	if got := bytes.Contains(page, []byte("cannot be read")); got != damaged {
		t.Errorf("tells of damage: got %v, want %v", got, damaged)
	}
	for _, name := range []string{"adaptation.svg", "adaptation.png", "clients-crowd.svg", "servers.png"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() < 1000 {
			t.Errorf("%s: %v, or almost empty", name, err)
		}
	}
}
