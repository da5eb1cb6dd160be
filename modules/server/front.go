package server

import (
	"errors"
	"strconv"
	"strings"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/engine"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/internal/mono"
	"github.com/eve-emulation/eve/rdr"
)

func noVars(dsv.Name) *dmm.Var { return nil }

// front is the handler of a loop that does not own the host. It answers what needs no machine and passes the rest on.
type front struct {
	s       *Server
	blocks  rdr.Cache
	known   *rdr.Block // the latest whose services were found to be known
	counter uint64
	record  [service.HostRecordSize]byte
}

// greeting is what a plain GET gets.
var greeting = []byte("Eve emulates this server. POST a resource demand request to /rdr.\n")

// gets reports whether a request is a GET, or a HEAD, of which the engine sends no body.
func gets(r *engine.Request) bool { return r.Is("GET") || r.Is("HEAD") }

// plain reports whether a request is answered as a GET of no file is.
func (f *front) plain(r *engine.Request) bool {
	return gets(r) || f.s.cfg.Any && !isRDR(r.Path())
}

// simple answers whatever needs no machine: a GET of no file, and what is neither GET nor RDR.
func (f *front) simple(l engine.Loop, ref engine.Ref, r *engine.Request) bool {
	switch {
	case gets(r) && f.asksFile(r):
		return false
	case f.plain(r) && f.s.cfg.Get != nil:
		return false
	case f.plain(r):
		l.Respond(ref, engine.Response{Body: greeting})
	case !r.Is("POST"):
		l.Respond(ref, engine.Response{Status: 405, Header: allow, Body: []byte("GET, HEAD or POST\n")})
	case !isRDR(r.Path()):
		l.Respond(ref, engine.Response{Status: 404, Body: []byte("POST goes to /rdr or /rdr/SERVICE\n")})
	default:
		return false
	}
	return true
}

var allow = []byte("Allow: GET, HEAD, POST\r\n")

func isRDR(path []byte) bool {
	p, ok := strings.CutPrefix(string(path), "/rdr")
	return ok && (p == "" || p[0] == '/')
}

// Request implements engine.Handler.
func (f *front) Request(l engine.Loop, ref engine.Ref, r *engine.Request) {
	if !f.simple(l, ref, r) && !f.quick(l, ref, r) && !l.Pass(0, ref, r) {
		l.Respond(ref, engine.Response{Status: 503, Body: []byte("too many requests wait for this server\n")})
	}
}

// quick answers a request that nobody has to wait for. One that it cannot answer may be decoded again.
func (f *front) quick(l engine.Loop, ref engine.Ref, r *engine.Request) bool {
	at, ok := f.s.instant(l.Now())
	if f.s.quick == nil || !ok || len(r.Body) > quickBody {
		return false
	}
	req, refusal := f.decode(r)
	if refusal.Status != 0 {
		return false
	}
	n, ok := f.s.quick.Answer(at, &req, &f.record)
	if ok {
		l.Respond(ref, engine.Response{Filler: n})
	}
	return ok
}

// quickBody is how long a block may be that a front decodes to find out.
const quickBody = 64

// decode reads a request of a resource demand; a response with a status says what is wrong with it.
func (f *front) decode(r *engine.Request) (req service.Request, refusal engine.Response) {
	req.Service = -1
	switch {
	case gets(r) && f.asksFile(r):
		return f.decodeFile(r)
	case f.plain(r):
		req.Block, req.Key = f.s.cfg.Get, f.key()
		return req, engine.Response{}
	}
	if name := string(r.Path()[len("/rdr"):]); len(name) > 1 {
		req.Service = f.s.cfg.Host.Topology.Service(name[1:])
		if req.Service < 0 {
			return req, engine.Response{Status: 404, Body: []byte("no service " + name[1:] + "\n")}
		}
	}
	block, n, err := f.blocks.Block(r.Body)
	if err != nil {
		status := 400
		if errors.Is(err, rdr.ErrLimit) {
			status = 413
		}
		return req, engine.Response{Status: status, Body: []byte(pretty(err))}
	}
	if what := f.unknown(block); what != "" {
		return req, engine.Response{Status: 400, Body: []byte(what)}
	}
	req.Block, req.Send = block, int64(len(r.Body)-n)
	req.Key = f.key()
	if k, ok := r.Header("eve-key"); ok {
		key, err := strconv.ParseUint(string(k), 16, 64)
		if err != nil {
			return req, engine.Response{Status: 400, Body: []byte("Eve-Key is not a number in hex\n")}
		}
		req.Key = rdr.Key(key)
	}
	req.Epoch = uint32(header(r, "eve-epoch"))
	req.Priority = int(header(r, "eve-priority"))
	req.Deadline = dsv.Instant(header(r, "eve-deadline"))
	if f.s.cfg.Host.Named {
		h, _ := r.Header("eve-client")
		req.Client, _ = strconv.ParseUint(string(h), 16, 64)
	}
	if len(f.s.cfg.Host.Topology.Servers) > 1 {
		_, req.Forwarded = r.Header("eve-forwarded")
	}
	return req, engine.Response{}
}

// unknown says which service a block calls, or which file set it names, that the scenario does not have; "" for none. The same block, which is what comes most of
// the time, is looked at once.
func (f *front) unknown(b *rdr.Block) string {
	if b == f.known {
		return ""
	}
	for _, name := range b.Services() {
		if f.s.cfg.Host.Topology.Service(name) < 0 {
			return "call " + name + ": this server knows no service of that name\n"
		}
	}
	for _, name := range b.Files() {
		if f.s.set(name) < 0 {
			return "file " + name + ": this server has no file set of that name\n"
		}
	}
	f.known = b
	return ""
}

func header(r *engine.Request, name string) int64 {
	h, ok := r.Header(name)
	if !ok {
		return 0
	}
	n, _ := strconv.ParseInt(string(h), 10, 64)
	return n
}

func pretty(err error) string {
	if es, ok := errors.AsType[rdr.Errors](err); ok {
		return es.Pretty()
	}
	return err.Error() + "\n"
}

// Closed implements engine.Handler: what was passed on is closed at its owner by the engine.
func (f *front) Closed(engine.Loop, engine.Ref) {}

// Answer implements engine.Handler: a front calls nobody.
func (f *front) Answer(engine.Loop, engine.CallRef, *engine.Answer) {}

// Next implements engine.Handler.
func (f *front) Next() int64 { return mono.Never }

// Advance implements engine.Handler.
func (f *front) Advance(engine.Loop, int64) {}
