package scenario

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/trace"
	"github.com/eve-emulation/eve/fase/user"
	"github.com/eve-emulation/eve/rdr"
)

// rawTrace is `trace:` of a group.
type rawTrace struct {
	at                          *node
	file, format, unit          spot[string]
	time, method, path, request spot[string]
	speed, skip                 spot[float64]
	from, spread                spot[time.Duration]
	sort                        spot[bool]
	target                      spot[string]
	routes                      []rawRoute
	routesAt                    *node
}

// rawRoute is one entry of `map:`.
type rawRoute struct {
	pattern string
	at      *node
	request spot[string]
}

func traceFields(t *rawTrace) []field {
	return []field{
		{key: "file", value: text(&t.file), need: true, help: "CSV or access log in the scenario's folder, plain or gzip'd"},
		{key: "format", value: choice(&t.format, trace.Formats()...), def: trace.Auto, help: "of the file; auto: as its first line looks"},
		{key: "columns", value: object("columns", []field{
			{key: "time", value: text(&t.time), help: "when: a number of seconds, or a date"},
			{key: "method", value: text(&t.method), help: "the method; without one GET"},
			{key: "path", value: text(&t.path), help: "the path, with its query"},
			{key: "request", value: text(&t.request), help: "method and path in one, as `GET / HTTP/1.1`"},
		}), help: "csv: names of the header or positions from 1; json: keys, as request.uri; without them the usual names"},
		{key: "unit", value: choice(&t.unit, "s", "ms", "us", "ns"), help: "of times that are plain numbers; without it s, or what makes the first a Unix time of our days"},
		{key: "speed", value: amount(&t.speed, plainUnit(), bounds{1e-3, 1e6, "from 0.001 to 1000000"}), def: "1", help: "2 replays twice as fast"},
		{key: "from", value: duration(&t.from, 0, false), def: "0s", help: "what the file has before it is left out; in its own time"},
		{key: "spread", value: duration(&t.spread, 0, true), help: "lines that share a time are spread over so much of the file's time; without it 1s where all times are dates of whole seconds, else none"},
		{key: "sort", value: truth(&t.sort), def: "false", help: "put lines into the order of their times; without it an earlier one is wrong"},
		{key: "skip", value: tolerance(&t.skip), def: "false", help: "whether lines that are wrong are left out and counted: true, or at most such a share of them, as 1%; without it each is a mistake"},
		{key: "target", value: text(&t.target), help: "each line's own method and path are asked of this target"},
		{key: "map", value: routes(&t.routes, &t.routesAt), help: "requests by pattern of the line's method and path, the first that fits: {\"GET /static/*\": static, \"*\": page}"},
	}
}

// tolerance is true, false or a share.
func tolerance(dst *spot[float64]) value {
	s := shape{name: "true · false · percentage", json: map[string]any{"type": []any{"boolean", "string"}}}
	return value{s, func(r *reader, n *node) {
		t, ok := r.scalar(n, "true, false or a percentage")
		if !ok {
			return
		}
		switch t {
		case "true":
			put(dst, n, 1)
			return
		case "false":
			put(dst, n, 0)
			return
		}
		if !strings.HasSuffix(t, "%") {
			r.at(n, fmt.Sprintf("%q is neither true nor false nor a percentage", clip(t)), "write true, false or 1%")
		} else if x, ok := r.level(n); ok && x >= 0 && x <= 1 {
			put(dst, n, x)
		} else if ok {
			r.at(n, fmt.Sprintf("%s is out of range", clip(t)), "it is from 0% to 100%")
		}
	}}
}

// routes is a mapping of patterns to names of requests.
func routes(dst *[]rawRoute, at **node) value {
	s := shape{name: "requests by pattern", json: map[string]any{"type": "object", "additionalProperties": map[string]any{"type": "string"}}}
	return value{s, func(r *reader, n *node) {
		if n.src == nil {
			return
		}
		*at = n
		if n.kind != mappingNode || len(n.entries) == 0 {
			r.at(n, fmt.Sprintf("a mapping of patterns to requests is due, not %s", n.what()), `write {"GET /static/*": static, "*": page}`)
			return
		}
		for _, e := range n.entries {
			x := rawRoute{pattern: e.key.text, at: e.key}
			if method, path, ok := strings.Cut(x.pattern, " "); ok && (method == "" || strings.Trim(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ*") != "" || strings.Contains(path, " ")) ||
				!ok && !strings.HasPrefix(x.pattern, "/") && !strings.HasPrefix(x.pattern, "*") {
				r.at(e.key, fmt.Sprintf("%q is no pattern", clip(x.pattern)), "write a path with * for anything, such as /static/*, and a method before it where that counts: GET /static/*")
				continue
			}
			text(&x.request).read(r, e.value)
			*dst = append(*dst, x)
		}
	}}
}

// matches reports whether a pattern, in which * stands for anything, fits a text.
func matches(pattern, s string) bool {
	parts := strings.Split(pattern, "*")
	rest, ok := strings.CutPrefix(s, parts[0])
	if !ok || len(parts) == 1 {
		return ok && rest == ""
	}
	for _, p := range parts[1 : len(parts)-1] {
		_, after, found := strings.Cut(rest, p)
		if !found {
			return false
		}
		rest = after
	}
	return strings.HasSuffix(rest, parts[len(parts)-1])
}

// fits reports whether a route is for a request.
func (r *rawRoute) fits(a trace.Ask) bool {
	method, path, ok := strings.Cut(r.pattern, " ")
	if !ok {
		return matches(r.pattern, a.Path)
	}
	return matches(method, a.Method) && matches(path, a.Path)
}

// replays reads what the arrivals of a trace ask, where the trace says that; said are the keys of the group that say it too.
func (c *compiler) replays(g *user.Config, n named[rawClient], said []string) bool {
	t := &n.v.trace
	switch {
	case t.at == nil || !t.target.written() && t.routesAt == nil:
		return false
	case t.target.written() && t.routesAt != nil:
		c.at(t.routesAt, "the trace has both a target and a map", "its lines are asked of a target as they are, or stand for requests of the scenario")
		return true
	case t.target.written() && len(said) > 0:
		c.at(t.target.at, fmt.Sprintf("client group %s has both a target of its trace and %s", n.name, said[0]), "remove one of them")
		return true
	case t.target.written():
		g.Request = c.plain(t.target)
		return true
	}
	for i := range t.routes {
		c.request(t.routes[i].request)
	}
	if len(said) > 0 && said[0] != "request" {
		c.at(t.routesAt, fmt.Sprintf("client group %s has both a map and %s", n.name, said[0]), "remove one of them")
		return true
	}
	if len(said) == 0 && len(t.routes) > 0 {
		g.Request = c.files[t.routes[0].request.v]
	}
	return len(said) == 0
}

// plain is a request of one plain call, whose method and path the lines of a trace replace.
func (c *compiler) plain(target spot[string]) *rdr.Block {
	names := c.plan.Topology.Services
	if !slices.Contains(names, target.v) {
		fix := didYouMean(target.v, names)
		c.at(target.at, fmt.Sprintf("there is no target %q", clip(target.v)), fix)
		return nil
	}
	f, err := rdr.ParseFile("trace", fmt.Appendf(nil, "request line { http %s GET \"/\" }", target.v), rdr.StartRequest)
	if err == nil {
		err = rdr.Linker{AnyFile: true}.Link(f)
	}
	if err != nil {
		c.at(target.at, err.Error(), "")
		return nil
	}
	b, _ := f.Request("line")
	return b
}

// replay makes an open group of a trace.
func (c *compiler) replay(g *user.Config, n named[rawClient]) {
	v, t := &n.v, &n.v.trace
	for _, key := range []string{"rate", "users", "arrive", "bursts", "think"} {
		if at := n.node.get(key); at != nil {
			c.at(at, fmt.Sprintf("client group %s has both a trace and `%s`", n.name, key), "a trace says when requests are due: remove it")
		}
	}
	c.starts(g, v)
	if !t.file.written() || t.speed.v == 0 {
		return // told already
	}
	g.Law = user.Replay
	until := time.Duration(math.MaxInt64)
	if last := float64(t.from.v) + float64(g.End-dsv.At(v.start.v))*t.speed.v; last < math.MaxInt64 {
		until = time.Duration(last)
	}
	log := c.log(g, t, until)
	if log == nil {
		return
	}
	g.Trace = &user.Trace{File: t.file.v, Lines: log.Lines, Skipped: log.Skipped}
	if log.First != nil {
		g.Trace.Wrong = fmt.Sprintf("line %d: %s", log.First.Line, log.First.Msg)
	}
	spread := t.spread.v
	if !t.spread.written() {
		spread = log.Resolution
	}
	if spread > 0 {
		g.Spread(log.At, spread)
	}
	g.Trace.Due = due(log.At, t, dsv.At(v.start.v))
	c.route(g, t, log)
	g.Rate = offered(g.Trace.Due, g.End)
	if log.Skipped > 0 {
		c.warn(t.file.at, fmt.Sprintf("%d of %d lines of %s are wrong and left out; the first is %s", log.Skipped, log.Lines, t.file.v, g.Trace.Wrong), "")
	}
	if len(log.At) == 0 {
		c.at(t.at, fmt.Sprintf("nothing of %s is due in the run", t.file.v), "write another `from` or `start`, or a longer duration")
	}
}

// due are the instants of a log's lines in a run.
func due(at []int64, t *rawTrace, start dsv.Instant) []dsv.Instant {
	out := make([]dsv.Instant, len(at))
	for i, x := range at {
		x -= int64(t.from.v)
		if t.speed.v != 1 {
			x = int64(math.Round(float64(x) / t.speed.v))
		}
		out[i] = start + dsv.Instant(x)
	}
	return out
}

// route gives the lines of a log what they ask for.
func (c *compiler) route(g *user.Config, t *rawTrace, log *trace.Log) {
	if !t.target.written() && t.routesAt == nil {
		return
	}
	g.Trace.Ask = log.Ask
	g.Trace.Asks = make([]user.Ask, len(log.Asks))
	lost, example := 0, ""
	for i, a := range log.Asks {
		x := &g.Trace.Asks[i]
		x.Method, x.Path = a.Method, a.Path
		if t.target.written() {
			continue
		}
		if k := slices.IndexFunc(t.routes, func(r rawRoute) bool { return r.fits(a) }); k >= 0 {
			x.Request = c.files[t.routes[k].request.v]
		} else if x.Request = g.Request; !c.hasRequest(g) {
			if lost++; lost == 1 {
				example = a.Method + " " + a.Path
			}
		}
	}
	if lost > 0 && len(t.routes) == len(t.routesAt.entries) {
		c.at(t.routesAt, fmt.Sprintf("%d distinct requests of %s fit no pattern, such as %s", lost, t.file.v, clip(example)), `add a last pattern "*" for all others, or a request: for them`)
	}
}

// hasRequest reports whether a group names a request for what fits no pattern.
func (c *compiler) hasRequest(g *user.Config) bool {
	return c.raw.clients[g.Index].v.request.written()
}

// traceInput names the input that a group's trace is kept as: what was read, encoded.
func traceInput(group string) string { return tracesFolder + group + ".gz" }

const tracesFolder = "traces/"

// log reads the file of a trace, as far as the run has use for it; nil with mistakes told. It becomes an input of the plan.
func (c *compiler) log(g *user.Config, t *rawTrace, until time.Duration) *trace.Log {
	input := traceInput(g.Name)
	if c.options.Compiled {
		b, err := c.read(input)
		if err == nil {
			var log *trace.Log
			if log, err = trace.Decode(bytes.NewReader(b)); err == nil {
				return log
			}
		}
		c.at(t.file.at, fmt.Sprintf("read %s: %v", input, err), "")
		return nil
	}
	f, err := c.open(t.file.v)
	if err != nil {
		c.at(t.file.at, fmt.Sprintf("read %s: %v", clip(t.file.v), err), "")
		return nil
	}
	defer f.Close()
	log, err := trace.Read(t.file.v, f, trace.Config{
		Format: t.format.v, Unit: map[string]time.Duration{"s": time.Second, "ms": time.Millisecond, "us": time.Microsecond, "ns": time.Nanosecond}[t.unit.v],
		Columns: trace.Columns{Time: t.time.v, Method: t.method.v, Path: t.path.v, Request: t.request.v},
		Skip:    t.skip.v, Sort: t.sort.v, TimesOnly: !t.target.written() && t.routesAt == nil,
	})
	if several, ok := errors.AsType[trace.Mistakes](err); ok {
		for _, m := range several {
			c.add(&Error{File: m.File, Line: m.Line, Col: m.Col, Msg: m.Msg, Fix: m.Fix, Text: m.Text})
		}
		return nil
	} else if err != nil {
		c.at(t.file.at, err.Error(), "")
		return nil
	}
	if !c.fits(t, log, until) {
		return nil
	}
	log.Window(t.from.v, until)
	var b bytes.Buffer
	if err := log.Encode(&b); err != nil {
		c.at(t.file.at, err.Error(), "")
		return nil
	}
	c.plan.Inputs[input] = b.Bytes()
	return log
}

// fits warns where a log and a run are not of one length; false where they have nothing in common.
func (c *compiler) fits(t *rawTrace, log *trace.Log, until time.Duration) bool {
	all := time.Duration(log.At[len(log.At)-1])
	if all < t.from.v {
		c.at(t.from.at, fmt.Sprintf("%s ends after %v", t.file.v, all.Round(time.Second)), "write an earlier `from`")
		return false
	}
	long := time.Duration(math.Min(float64(all-t.from.v)/t.speed.v, float64(maxDuration)))
	room := until - t.from.v
	switch {
	case all > until && float64(room) < 0.95*float64(all-t.from.v):
		c.warn(t.file.at, fmt.Sprintf("%s lasts %v at this speed, longer than the run: what comes later is not replayed", t.file.v, long.Round(time.Millisecond)), fmt.Sprintf("a speed of %.3g has room for all of it", t.speed.v*float64(all-t.from.v)/float64(room)))
	case float64(all-t.from.v) < 0.9*float64(room):
		c.warn(t.file.at, fmt.Sprintf("%s lasts %v at this speed, shorter than the run: nothing arrives after it", t.file.v, long.Round(time.Millisecond)), "")
	}
	return true
}

// offered is about how much a trace offers: its rate in steps of a second at least, a thousand of them at most.
func offered(due []dsv.Instant, end dsv.Instant) []user.Point {
	width := max(dsv.At(time.Second), end/1000)
	points := []user.Point{}
	for from, n := dsv.Instant(0), 0; from < end; from += width {
		to, first := min(from+width, end), n
		for n < len(due) && due[n] < to {
			n++
		}
		rate := float64(n-first) / (to - from).Seconds()
		if k := len(points); k > 1 && points[k-1].Rate == rate {
			points[k-1].At = to
			continue
		}
		points = append(points, user.Point{At: from, Rate: rate}, user.Point{At: to, Rate: rate})
	}
	return points
}

// open opens a file that the scenario names.
func (c *compiler) open(path string) (io.ReadCloser, error) {
	if path == "" || !filepath.IsLocal(path) || strings.Contains(path, "\\") {
		return nil, errors.New("it is not a path within the scenario's folder")
	}
	if c.options.OpenFile == nil {
		if c.options.ReadFile == nil {
			return nil, errors.New("there is no folder to read files from")
		}
		b, err := c.options.ReadFile(path)
		if err != nil {
			return nil, missingFile(err)
		}
		return io.NopCloser(bytes.NewReader(b)), nil
	}
	f, err := c.options.OpenFile(path)
	if err != nil {
		return nil, missingFile(err)
	}
	return f, nil
}

// missingFile says it in words where a file is not there.
func missingFile(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("there is no such file in the scenario's folder")
	}
	return err
}
