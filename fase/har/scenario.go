package har

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/eve-emulation/eve/rdr"
)

// A Result is a scenario made of an archive.
type Result struct {
	Text  []byte   // the scenario file
	Notes []string // what of the archive is not in it, or is there otherwise than it was
	Pages int
	Calls int // requests of one visit
	Hosts []string
}

// ErrEmpty reports an archive without a request that a scenario could have.
var ErrEmpty = errors.New("the archive has no request that can be sent again")

// Scenario writes the visit as a scenario called name: each host is a target, each page a request of the session `visit`.
func (a *Archive) Scenario(name string) (*Result, error) {
	w := writer{a: a, targets: map[string]string{}, taken: map[string]bool{"exit": true}, left: map[string]int{}}
	w.notes = append(w.notes, a.Notes...)
	keep := w.keep()
	if len(keep) == 0 {
		return nil, ErrEmpty
	}
	stops := a.stops(keep)
	for i := range stops {
		w.page(&stops[i])
	}
	w.leftOut()
	return &Result{Text: w.text(name, stops), Notes: w.notes, Pages: len(stops), Calls: len(keep), Hosts: w.hosts}, nil
}

type writer struct {
	a       *Archive
	urls    []*url.URL // of the entries that are kept, by their index
	targets map[string]string
	hosts   []string // scheme://host:port, in the order of the targets
	names   []string // of targets
	taken   map[string]bool
	pages   []string
	rdr     strings.Builder
	notes   []string
	left    map[string]int // header fields that were left out, by name
	secrets bool
}

func (w *writer) note(format string, args ...any) {
	w.notes = append(w.notes, fmt.Sprintf(format, args...))
}

// keep lists the entries that can be sent again, and tells of the others.
func (w *writer) keep() []int {
	var keep []int
	others := map[string]int{}
	newer := map[string]int{}
	w.urls = make([]*url.URL, len(w.a.Entries))
	for i := range w.a.Entries {
		e := &w.a.Entries[i]
		u, err := url.Parse(e.URL)
		switch {
		case err != nil:
			others["requests whose URL cannot be read"]++
		case e.Socket:
			others["WebSockets"]++
		case u.Scheme != "http" && u.Scheme != "https":
			others[u.Scheme+": URLs, which no server answers"]++
		case u.Hostname() == "" || !token(e.Method) || e.Method == "CONNECT":
			others["requests without a host, or of method CONNECT"]++
		default:
			w.urls[i] = u
			keep = append(keep, i)
			if p := strings.ToUpper(e.Protocol); p != "" && !strings.HasPrefix(p, "HTTP/1") {
				newer[p]++
			}
		}
	}
	for _, what := range sorted(others) {
		w.note("left out: %d %s", others[what], what)
	}
	for _, p := range sorted(newer) {
		w.note("%d requests were sent over %s: they are sent over HTTP/1.1", newer[p], p)
	}
	return keep
}

func sorted(m map[string]int) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

func token(s string) bool {
	return s != "" && len(s) <= 32 && !strings.ContainsFunc(s, func(r rune) bool {
		return r > 0x7e || r <= ' ' || strings.ContainsRune("\"(),/:;<=>?@[\\]{}", r)
	})
}

// target is the name of the target of a URL.
func (w *writer) target(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	at := u.Scheme + "://" + net.JoinHostPort(strings.ToLower(u.Hostname()), port)
	if name, ok := w.targets[at]; ok {
		return name
	}
	name := w.name(strings.TrimPrefix(u.Hostname(), "www."), "site")
	w.targets[at] = name
	w.hosts, w.names = append(w.hosts, at), append(w.names, name)
	return name
}

// name makes a name that is not taken of a text.
func (w *writer) name(from, otherwise string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(from) {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9' && b.Len() > 0:
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "_"):
			b.WriteByte('_')
		}
	}
	base := strings.Trim(b.String()[:min(b.Len(), 32)], "_")
	if base == "" || slices.Contains(reserved(), base) {
		base = strings.Trim(otherwise+"_"+base, "_")
	}
	name := base
	for n := 2; w.taken[name]; n++ {
		name = fmt.Sprintf("%s_%d", base, n)
	}
	w.taken[name] = true
	return name
}

// reserved are names that scenarios have a use for.
func reserved() []string {
	return []string{
		"run", "map", "config", "eve", "adapt", "and", "or", "not", "in", "true", "false", "nil", "cpu", "disk", "memory", "link", "in_flight",
		"lag", "admit", "process", "users", "visit", "exit",
	}
}

// page writes the request of a page.
func (w *writer) page(s *stop) {
	first := w.urls[s.entries[0]]
	path := strings.Trim(first.Path, "/")
	path = path[strings.LastIndexByte(path, '/')+1:]
	path, _, _ = strings.Cut(path, ".")
	if path == "" {
		path = "home"
	}
	name := w.name(path, "page")
	w.pages = append(w.pages, name)
	fmt.Fprintf(&w.rdr, "request %s {\n", name)
	for _, p := range w.a.phases(*s) {
		w.wait("  ", p.wait)
		if len(p.lanes) == 1 {
			w.lane("  ", p.lanes[0])
			continue
		}
		w.rdr.WriteString("  par {\n")
		for _, l := range p.lanes {
			if len(l) == 1 && l[0].wait == 0 {
				w.lane("    ", l)
				continue
			}
			w.rdr.WriteString("    {\n")
			w.lane("      ", l)
			w.rdr.WriteString("    }\n")
		}
		w.rdr.WriteString("  }\n")
	}
	w.rdr.WriteString("}\n")
}

func (w *writer) wait(indent string, d time.Duration) {
	if d > 0 {
		fmt.Fprintf(&w.rdr, "%swait %dms\n", indent, d.Milliseconds())
	}
}

func (w *writer) lane(indent string, l lane) {
	for _, t := range l {
		w.wait(indent, t.wait)
		w.call(indent, t.entry)
	}
}

// call writes one request.
func (w *writer) call(indent string, i int) {
	e, u := &w.a.Entries[i], w.urls[i]
	method := e.Method
	if method != strings.ToUpper(method) || strings.ContainsFunc(method, func(r rune) bool { return r < 'A' || r > 'Z' }) {
		method = `"` + method + `"`
	}
	fmt.Fprintf(&w.rdr, `%shttp %s %s "%s"`, indent, w.target(u), method, requestPath(u))
	for _, h := range e.Headers {
		w.header(h)
	}
	switch body, ok := quote(e.Body); {
	case e.Body != "" && ok:
		w.rdr.WriteString(" body " + body)
	case e.Body != "":
		w.note("the body of %s %s holds what a scenario cannot: %d bytes are sent in its place", e.Method, clip(e.URL), len(e.Body))
		fmt.Fprintf(&w.rdr, " send %dB", len(e.Body))
	case e.BodySize > 0 && e.Method != "GET" && e.Method != "HEAD":
		fmt.Fprintf(&w.rdr, " send %dB", e.BodySize)
	}
	w.rdr.WriteByte('\n')
}

// requestPath is the path and the query as they are sent, without what no request line can hold.
func requestPath(u *url.URL) string {
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	if u.RawQuery != "" || u.ForceQuery {
		path += "?" + u.RawQuery
	}
	var b strings.Builder
	for i := range len(path) {
		if c := path[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '#' || c == '`' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// header writes a field that matters to a server's answer; the others are counted.
func (w *writer) header(h Header) {
	name := strings.ToLower(h.Name)
	switch {
	case strings.HasPrefix(name, ":"), name == "host", name == "connection", name == "content-length", name == "transfer-encoding",
		name == "keep-alive", name == "proxy-connection":
		return // what every connection says for itself
	case !matters(name):
		w.left[h.Name]++
		return
	}
	s := h.Name + ": " + strings.TrimSpace(h.Value)
	q, ok := quote(s)
	if !ok || strings.Contains(s, "\n") || !token(h.Name) {
		w.left[h.Name]++
		return
	}
	w.secrets = w.secrets || name == "cookie" || name == "authorization"
	w.rdr.WriteString(" header " + q)
}

// matters reports whether servers commonly answer otherwise by a field.
func matters(name string) bool {
	switch name {
	case "accept", "accept-language", "accept-encoding", "content-type", "authorization", "cookie", "origin", "referer", "range", "soapaction":
		return true
	}
	return strings.HasPrefix(name, "x-") || strings.HasPrefix(name, "if-")
}

// quote writes a text as a string of RDR that YAML keeps as it is.
func quote(s string) (string, bool) {
	if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }) {
		return "", false
	}
	if strings.Contains(s, "\n") && (strings.HasSuffix(s, "\n") || strings.Contains(s, " \n")) {
		return "", false
	}
	return rdr.Quote(s)
}

func clip(s string) string {
	if len(s) > 80 {
		return strings.ToValidUTF8(s[:80], "") + "…"
	}
	return s
}

func (w *writer) leftOut() {
	if len(w.left) > 0 {
		w.note("left out: header fields that seldom matter: %s", strings.Join(sorted(w.left), ", "))
	}
	if w.secrets {
		w.note("Cookie and Authorization are sent as they were recorded: think before you share the file")
	}
}

// text writes the scenario.
func (w *writer) text(name string, stops []stop) []byte {
	var b strings.Builder
	by := ""
	if w.a.Creator != "" {
		by = " by " + strings.Map(printable, w.a.Creator)
	}
	fmt.Fprintf(&b, "# A visit of %d pages and %s, recorded%s.\n", len(stops), count(len(w.entriesOf(stops)), "request"), by)
	b.WriteString("# Each user repeats it, with its pauses, on connections of its own: raise `users`, or give a `rate` in their place.\n")
	for _, n := range w.notes {
		fmt.Fprintf(&b, "# %s\n", strings.Map(printable, n))
	}
	length := stops[len(stops)-1].end.Sub(stops[0].start)
	duration := max(30*time.Second, (3*length).Round(10*time.Second)+10*time.Second)
	fmt.Fprintf(&b, "eve: 1\nname: %s\nabout: A recorded visit of %d pages.\nduration: %ds\nrequests: |\n", name, len(stops), int(duration.Seconds()))
	for line := range strings.SplitSeq(strings.TrimSuffix(w.rdr.String(), "\n"), "\n") {
		if line != "" {
			line = "  " + line
		}
		b.WriteString(line + "\n")
	}
	b.WriteString("targets:\n")
	for i, t := range w.names {
		fmt.Fprintf(&b, "  %s: {url: %q}\n", t, w.hosts[i])
	}
	b.WriteString("sessions:\n  visit:\n    pages:\n")
	for i, p := range w.pages {
		next, pause := "exit", ""
		if i+1 < len(stops) {
			next = w.pages[i+1]
			if d := worth(stops[i+1].start.Sub(stops[i].end)); d > 0 {
				pause = fmt.Sprintf("think: %dms, ", d.Milliseconds())
			}
		}
		fmt.Fprintf(&b, "      %s: {%snext: %s}\n", p, pause, next)
	}
	b.WriteString("clients:\n  users: {sessions: visit, users: 1, connections: own}\n")
	return []byte(b.String())
}

func (w *writer) entriesOf(stops []stop) []int {
	var all []int
	for _, s := range stops {
		all = append(all, s.entries...)
	}
	return all
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func printable(r rune) rune {
	if unicode.IsPrint(r) {
		return r
	}
	return -1
}
