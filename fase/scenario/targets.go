package scenario

import (
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/eve-emulation/eve/fase/service"
)

// A Target is a real server under test, attached to or started.
type Target struct {
	Name    string
	Node    int // index of server and service alike: see Plan
	Service int
	URL     string // http://HOST:PORT or https://HOST:PORT; port 0 is any free one
	Address string // HOST:PORT of URL
	// Host is what its callers call it: the host and port of URL as written, where that is a name; empty: its address.
	Host string
	TLS  *TLS // of https; nil for http
	// Kind is one of TargetKinds, which bring a command line and a configuration; empty for Exec, or for a server that runs
	// already.
	Kind    string
	Engine  string     // of kind eve
	Workers int        // processes or threads that the kind is configured for; at least 1
	Folder  string     // of files that the kind serves below /files/; empty for none
	Site    []SiteFile // files of these sizes that the kind serves there instead
	Exec    []string
	Files   map[string]string // written to the target's own folder first, by plain name
	Ready   Ready
	PID     int    // of a server that runs already; 0: whoever listens at its address
	Via     string // the module through which it is reached; empty: directly
	// Serve says that Eve's own server takes its place where the program is not installed.
	Serve bool

	keys map[string]*node // where its keys are written; "" for its name
}

// TLS says how a target's certificate is checked, as load.TLS does.
type TLS struct {
	Insecure bool
	CA       []byte
	Name     string
}

// Ready says when a target is ready.
type Ready struct {
	HTTP   string // the path that it answers, with a status below 500; empty: it takes a connection
	Within time.Duration
}

// Started reports whether Eve starts the target.
func (t Target) Started() bool { return t.Kind != "" || len(t.Exec) > 0 }

// TargetKinds lists the kinds of targets that Eve has a configuration of. The last is Eve's own server.
func TargetKinds() []string {
	return []string{"nginx", "lighttpd", "apache", "yaws", "node", "tornado", "eve"}
}

// Mistake is what is wrong with a target where it turned out later, positioned at the first of keys that is written, or at
// its name.
func (t Target) Mistake(msg, fix string, keys ...string) Errors {
	for _, k := range append(keys, "") {
		if n := t.keys[k]; n != nil {
			return Errors{n.src.errorAt(n.line, n.col, msg, fix)}
		}
	}
	return Errors{{File: "scenario", Line: 1, Col: 1, Msg: msg, Fix: fix}}
}

// Expand replaces {address}, {port} and {dir} in an argument or a file of the target.
func (t Target) Expand(s, address, dir string) string {
	port := address[strings.LastIndexByte(address, ':')+1:]
	return strings.NewReplacer("{address}", address, "{port}", port, "{dir}", dir).Replace(s)
}

type rawTarget struct {
	url, fallback, kind, engine, folder spot[string]
	workers, pid                        spot[int]
	exec                                []spot[string]
	files                               []spotFile
	site                                []SiteFile
	http                                spot[string]
	within                              spot[time.Duration]
	via                                 spot[string]
	ca, name                            spot[string]
	insecure                            spot[bool]
}

type spotFile struct{ name, content string }

func targetFields(t *rawTarget) []field {
	return []field{
		{key: "url", value: text(&t.url), help: "where it is, such as http://127.0.0.1:8080 or https://shop.example; of one that Eve starts port 0, the default there, is any free one"},
		{key: "kind", value: choice(&t.kind, TargetKinds()...), help: "the server that is started, with a configuration that Eve brings; eve is Eve's own"},
		{key: "engine", value: choice(&t.engine, Engines()...), def: Engines()[0], help: "kind eve: its I/O engine"},
		{key: "workers", value: whole(&t.workers, 1, 256), def: "1", help: "kind: its workers, where the server has a notion of them"},
		{key: "folder", value: text(&t.folder), help: "kind: a folder of files that it serves below /files/"},
		{key: "site", value: site(&t.site), help: "kind: files of these sizes that are made for the run and served below /files/: {home.html: 12KiB, item_{1..50}.html: 8KiB}"},
		{key: "exec", value: texts(&t.exec, "word", many), help: "the program that is started instead, and its arguments; {address}, {port} and {dir} stand for the target's address and its own folder"},
		{key: "files", value: files(&t.files), help: "files written to that folder first, by name; the same words are replaced; of a kind, one of the same name takes the place of Eve's"},
		{key: "ready", value: object("ready", []field{
			{key: "http", value: text(&t.http), help: "the path that it answers, with a status below 500; a kind's default is /, and without one it is ready when it takes a connection"},
			{key: "within", value: duration(&t.within, time.Millisecond, false), def: "10s", help: "how long that may take"},
		}), help: "when it is ready"},
		{key: "tls", value: object("tls", []field{
			{key: "ca", value: text(&t.ca), help: "a file of certificates in PEM form, in the scenario's folder, that are trusted instead of the host's"},
			{key: "insecure", value: truth(&t.insecure), def: "false", help: "any certificate will do"},
			{key: "name", value: text(&t.name), help: "the name that is asked for (SNI) and verified; without it the URL's"},
		}), help: "https: how its certificate is checked"},
		{key: "pid", value: whole(&t.pid, 1, 1<<30), help: "the process to measure, of a server that runs already; without it whoever listens at the address on this host"},
		{key: "via", value: text(&t.via), help: "a module through which clients reach it, such as a relay; without it they reach it directly"},
		{key: "fallback", value: choice(&t.fallback, "none", "serve"), def: "none", help: "where the program is not installed: an error, or Eve's own server in its place"},
	}
}

// targets numbers the real servers behind the emulated ones.
func (c *compiler) targets() {
	topo, p := c.plan.Topology, c.plan
	for _, n := range c.raw.targets {
		t := Target{
			Name: n.name, Node: len(topo.Servers), Service: len(topo.Services), URL: n.v.url.v, Kind: n.v.kind.v,
			Engine: n.v.engine.v, Workers: n.v.workers.v, Folder: n.v.folder.v, Site: n.v.site, PID: n.v.pid.v,
			Ready: Ready{HTTP: n.v.http.v, Within: n.v.within.v},
			Serve: n.v.fallback.v == "serve", Exec: plainTexts(n.v.exec), Files: map[string]string{}, keys: map[string]*node{"": n.at},
		}
		for _, e := range n.node.entries {
			t.keys[e.key.text] = e.value
		}
		for _, f := range n.v.files {
			t.Files[f.name] = f.content
		}
		if t.Kind != "" && t.Ready.HTTP == "" {
			t.Ready.HTTP = "/"
		}
		if t.URL == "" && t.Started() {
			t.URL = "http://127.0.0.1:0"
		}
		t.Via = c.via(n.v.via)
		c.target(&n, &t)
		topo.Servers = append(topo.Servers, n.name)
		topo.Services = append(topo.Services, n.name)
		p.Services = append(p.Services, service.Config{Name: n.name, On: []int{t.Node}})
		p.Targets = append(p.Targets, t)
	}
	named := c.fair() || c.hashed()
	for i := range p.Servers {
		p.Servers[i].Services, p.Servers[i].Named = p.Services, named
	}
}

// target checks what is written of one against itself.
func (c *compiler) target(n *named[rawTarget], t *Target) {
	v := &n.v
	written := func(key string) bool { return n.node.get(key) != nil }
	started := t.Started() || written("kind") || written("exec")
	if v.url.written() {
		c.address(v.url, started, t)
		c.tls(n, t)
	} else if t.URL != "" {
		t.Address = strings.TrimPrefix(t.URL, "http://")
	} else if !started && !written("url") {
		c.at(n.at, fmt.Sprintf("target %s has no url", n.name), "say where it is: url: http://HOST:PORT, or what is started: kind: "+strings.Join(TargetKinds(), " · ")+", or exec: [PROGRAM, …]")
	}
	if at := n.node.get("exec"); at != nil && at.kind == sequenceNode && len(at.items) == 0 {
		c.at(at, "`exec` has no program", "write exec: [PROGRAM, ARGUMENT, …]")
	}
	if at := n.node.get("files"); at != nil {
		c.reserved(at, t.Kind)
	}
	if t.Kind != "" && len(t.Exec) > 0 {
		c.at(v.exec[0].at, fmt.Sprintf("kind %s brings its own command line", t.Kind), "leave out kind, or exec")
	}
	for _, k := range []struct {
		key, with string
		ok        bool
	}{
		{"engine", "kind: eve", t.Kind == "eve"},
		{"workers", "kind", t.Kind != ""},
		{"folder", "a kind other than eve", t.Kind != "" && t.Kind != "eve"},
		{"site", "a kind other than eve", t.Kind != "" && t.Kind != "eve"},
		{"files", "kind or exec", started},
	} {
		if at := n.node.get(k.key); at != nil && !k.ok {
			c.at(at, fmt.Sprintf("`%s` goes with %s", k.key, k.with), "remove it")
		}
	}
	if v.folder.written() && len(t.Site) > 0 {
		c.at(n.node.get("site"), "`folder` and `site` are both served below /files/", "leave one out")
	}
	if v.pid.written() && started {
		c.at(v.pid.at, "`pid` is of a server that runs already, and this one is started", "remove it")
	}
	if t.Serve && !started {
		c.at(v.fallback.at, "a fallback takes the place of a program, and there is none", "write kind: nginx or exec: [PROGRAM, …] too")
	}
	if v.http.written() && !validPath(v.http.v) {
		c.at(v.http.at, fmt.Sprintf("%q is not a path", clip(v.http.v)), "it begins with / and has no spaces")
	}
}

// reserved refuses files that would be in the way of what stands in a target's folder anyway.
func (c *compiler) reserved(files *node, kind string) {
	for _, e := range files.entries {
		switch name := e.key.text; {
		case name == "output":
			c.at(e.key, "the file output is where what the target prints is kept", "choose another name")
		case (name == "pages" || name == "site") && kind != "" && kind != "eve":
			c.at(e.key, name+" is the folder of what the kind serves", "choose another name")
		}
	}
}

func validPath(s string) bool {
	return strings.HasPrefix(s, "/") && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f })
}

// address reads a target's URL.
func (c *compiler) address(s spot[string], started bool, t *Target) {
	const fix = "write it as http://HOST:PORT or https://HOST:PORT"
	u, err := url.Parse(s.v)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Path != "" && u.Path != "/" {
		c.at(s.at, fmt.Sprintf("%q is not the URL of a target", clip(s.v)), fix)
		return
	}
	port := u.Port()
	if u.Scheme == "https" {
		t.TLS = new(TLS)
		port = cmp.Or(port, "443")
	}
	port = cmp.Or(port, "80")
	if _, err := netip.ParseAddr(u.Hostname()); err != nil && !started {
		t.Host = u.Host
	}
	n, err := strconv.ParseUint(port, 10, 16)
	switch {
	case err != nil:
		c.at(s.at, fmt.Sprintf("%q is not a port", clip(port)), fix)
		return
	case n == 0 && !started:
		c.at(s.at, "port 0 is no port to call", "it stands for any free one where Eve starts the server")
		return
	}
	t.Address = net.JoinHostPort(u.Hostname(), port)
}

// tls reads how the certificate of a target is checked.
func (c *compiler) tls(n *named[rawTarget], t *Target) {
	at, v := n.node.get("tls"), &n.v
	switch {
	case t.TLS == nil && at != nil:
		c.at(at, "`tls` goes with an https URL", "write url: https://HOST:PORT, or remove it")
		return
	case t.TLS == nil:
		return
	case t.Kind != "":
		c.at(v.url.at, fmt.Sprintf("kind %s speaks http", t.Kind), "write url: http://HOST:PORT, or start a server of your own: exec: [PROGRAM, …]")
	case t.Serve:
		c.at(v.fallback.at, "Eve's own server speaks http, and cannot take the place of one that speaks https", "remove it")
	}
	t.TLS.Insecure, t.TLS.Name = v.insecure.v, v.name.v
	if !v.ca.written() {
		return
	}
	data, err := c.read(v.ca.v)
	if err == nil && !x509.NewCertPool().AppendCertsFromPEM(data) {
		err = errors.New("it has no certificate in PEM form")
	}
	if err != nil {
		c.at(v.ca.at, fmt.Sprintf("%q: %v", clip(v.ca.v), err), "name a file of the scenario's folder")
	}
	t.TLS.CA = data
}
