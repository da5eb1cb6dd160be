package bench

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/eve-emulation/eve/fase/engine"
	"github.com/eve-emulation/eve/internal/mono"
)

// A web is a process that serves HTTP: one of our engines, or a peer.
type web struct {
	name    string
	peer    bool
	pid     int
	address string
	stop    func()
	part    *part // nil for a program
}

// settle has a server in Go give back memory that it does not use.
func (w *web) settle() error {
	if w.part == nil {
		return nil
	}
	return w.part.call("settle", struct{}{}, nil)
}

// loopSource is the raw epoll loop that engines are compared with.
//
//go:embed loop/loop.c
var loopSource []byte

// The peers among servers.
const (
	nginx    = "nginx"
	gnetPeer = "gnet"
	loopPeer = "loop"
	netHTTP  = "nethttp"
	lighttpd = "lighttpd"
)

// WebPeerNames lists the servers that engines may be compared with.
func WebPeerNames() []string { return []string{nginx, gnetPeer, loopPeer, netHTTP, lighttpd} }

// needs is the program without which a peer cannot be had, and the Debian package that has it.
func needs(peer string) (program, pkg string) {
	switch peer {
	case nginx:
		return "nginx", "nginx-light"
	case lighttpd:
		return "lighttpd", "lighttpd"
	case loopPeer:
		return "cc", "gcc libc6-dev"
	}
	return "", ""
}

// program finds a program in the PATH, or where Debian keeps servers.
func program(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		if alone, sbin := exec.LookPath("/usr/sbin/" + name); sbin == nil {
			return alone, nil
		}
	}
	return path, err
}

// CheckWebPeers tells why a server cannot be had, before anything is started.
func CheckWebPeers(names []string) error {
	for _, n := range names {
		if !slices.Contains(WebPeerNames(), n) {
			return fmt.Errorf("peer %q: unknown; known are %s", n, strings.Join(WebPeerNames(), ", "))
		}
		if n == gnetPeer {
			if said, err := exec.Command("go", "list", gnetPackage).CombinedOutput(); err != nil {
				return fmt.Errorf("peer %s: it is compiled by go, in Eve's source: %w: %s", n, err, lastLine(string(said)))
			}
		}
		if p, pkg := needs(n); p != "" {
			if _, err := program(p); err != nil {
				return fmt.Errorf("peer %s: no %s in the PATH (Debian: apt install %s)", n, p, pkg)
			}
		}
	}
	return nil
}

// InstalledWebPeers lists the servers that can be had here.
func InstalledWebPeers() []string {
	return slices.DeleteFunc(WebPeerNames(), func(n string) bool { return CheckWebPeers([]string{n}) != nil })
}

// engineNames resolves the names of engines; a bare mechanism stands for the single loop on it, as epoll-et for
// sped-epoll-et. Without names it is all.
func engineNames(wanted []string) ([]string, error) {
	all := engine.Shipped().Names()
	if len(wanted) == 0 {
		return all, nil
	}
	var names []string
	for _, w := range wanted {
		name := w
		if slices.Contains(all, "sped-"+w) {
			name = "sped-" + w
		}
		if !slices.Contains(all, name) {
			return nil, fmt.Errorf("engine %q: unknown; known are %s", w, strings.Join(all, ", "))
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, nil
}

// CheckEngines tells which of the names is no engine.
func CheckEngines(names []string) error {
	_, err := engineNames(names)
	return err
}

// onProcessor runs f on a thread that is confined to a processor, so that the processes which f starts are too. On a
// machine with one processor, and on any of them, it just runs it.
func onProcessor(cpu int, f func() error) (err error) {
	cpus, err := mono.Processors()
	if err != nil || len(cpus) < 2 || cpu == anyCPU {
		return errors.Join(err, f())
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		if err = mono.Pin(cpus[min(cpu, len(cpus)-1)]); err == nil {
			err = f()
		}
	})
	wg.Wait()
	return err
}

// The processor of the server under test, and that of those who ask.
const (
	serverCPU = 0
	clientCPU = 1
	anyCPU    = -1
)

// partOn starts a part on a processor.
func (c Config) partOn(ctx context.Context, cpu int, role string, env ...string) (p *part, err error) {
	err = onProcessor(cpu, func() error {
		p, err = c.start(ctx, role, env...)
		return err
	})
	return p, err
}

// openWeb starts one of our engines, or a peer, on the processor of servers.
func (c Config) openWeb(ctx context.Context, name string, peer bool) (w *web, err error) {
	switch {
	case !peer:
		return c.openEngine(ctx, name, serverCPU)
	case name == netHTTP:
		w, err = c.openServerPart(ctx, serverCPU, serverSpec{Peer: name})
	default:
		err = onProcessor(serverCPU, func() error {
			w, err = openProgram(ctx, name)
			return err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	w.name, w.peer = name, peer
	return w, nil
}

// openEngine starts one of our engines as modules are started: the runtime keeps a processor for its own work beside the loop's
// locked thread.
func (c Config) openEngine(ctx context.Context, name string, cpu int) (*web, error) {
	w, err := c.openServerPart(ctx, cpu, serverSpec{Engine: name}, "GOMAXPROCS=4")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	w.name = name
	return w, nil
}

func (c Config) openServerPart(ctx context.Context, cpu int, s serverSpec, env ...string) (*web, error) {
	p, err := c.partOn(ctx, cpu, "server", env...)
	if err != nil {
		return nil, err
	}
	var d door
	if err := p.call("open", s, &d); err != nil {
		p.stop()
		return nil, err
	}
	return &web{pid: p.pid(), address: d.TCP, stop: p.stop, part: p}, nil
}

// openProgram starts a server that is a program of its own.
func openProgram(ctx context.Context, name string) (*web, error) {
	var s *server
	var err error
	switch name {
	case nginx:
		s, err = openConfigured(ctx, "nginx", nginxConfig, "-p", "{dir}", "-e", "stderr", "-c", "{file}")
	case lighttpd:
		s, err = openConfigured(ctx, "lighttpd", lighttpdConfig, "-D", "-f", "{file}")
	case loopPeer:
		s, err = openLoop(ctx)
	case gnetPeer:
		s, err = openGnet(ctx)
	default:
		return nil, errors.New("no such server")
	}
	if err != nil {
		return nil, err
	}
	return &web{pid: s.cmd.Process.Pid, address: s.addr, stop: s.stop}, nil
}

// openConfigured starts a program with a configuration file and one page.
func openConfigured(ctx context.Context, name, config string, args ...string) (*server, error) {
	path, err := program(name)
	if err != nil {
		return nil, err
	}
	var failed error
	s, err := serve(ctx, path, func(port, dir string) []string {
		file := filepath.Join(dir, "conf")
		fill := strings.NewReplacer("{port}", port, "{dir}", dir, "{file}", file)
		failed = errors.Join(
			os.WriteFile(file, []byte(fill.Replace(config)), 0o600),
			os.WriteFile(filepath.Join(dir, "index.html"), []byte("ok\n"), 0o600))
		out := make([]string, len(args))
		for i, a := range args {
			out[i] = fill.Replace(a)
		}
		return out
	})
	return s, errors.Join(failed, err)
}

// One process that answers three bytes, without a log, and keeps connections as long as they are wanted.
const nginxConfig = `daemon off;
master_process off;
pid {dir}/pid;
worker_rlimit_nofile 19990;
error_log stderr crit;
events { worker_connections 40000; multi_accept on; }
http {
  access_log off;
  client_body_temp_path {dir}/body;
  proxy_temp_path {dir}/proxy;
  fastcgi_temp_path {dir}/fastcgi;
  uwsgi_temp_path {dir}/uwsgi;
  scgi_temp_path {dir}/scgi;
  keepalive_timeout 1h;
  keepalive_requests 1000000000;
  reset_timedout_connection on;
  server {
    listen 127.0.0.1:{port} backlog=4096;
    location / { default_type text/plain; return 200 "ok\n"; }
  }
}
`

const lighttpdConfig = `server.document-root = "{dir}"
server.port = {port}
server.bind = "127.0.0.1"
server.max-fds = 19990
server.max-connections = 19980
server.listen-backlog = 4096
server.max-keep-alive-requests = 65535
server.max-keep-alive-idle = 3600
index-file.names = ( "index.html" )
mimetype.assign = ( ".html" => "text/plain" )
`

// openLoop compiles the raw loop, and starts it.
func openLoop(ctx context.Context) (*server, error) {
	return compiled(ctx, func(dir, bin string) ([]string, error) {
		src := filepath.Join(dir, "loop.c")
		return []string{"cc", "-O2", "-o", bin, src}, os.WriteFile(src, loopSource, 0o600)
	})
}

const gnetPackage = "github.com/eve-emulation/eve/cmd/eve/bench/gnet"

// openGnet compiles the server on gnet, and starts it.
func openGnet(ctx context.Context) (*server, error) {
	return compiled(ctx, func(_, bin string) ([]string, error) { return []string{"go", "build", "-o", bin, gnetPackage}, nil })
}

// compiled starts what a command compiles into a folder that does not outlast it.
func compiled(ctx context.Context, command func(dir, bin string) ([]string, error)) (*server, error) {
	dir, err := os.MkdirTemp("", "eve-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // a program that runs needs no file
	bin := filepath.Join(dir, "server")
	words, err := command(dir, bin)
	if err != nil {
		return nil, err
	}
	if said, err := exec.CommandContext(ctx, words[0], words[1:]...).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s: %w: %s", strings.Join(words[:2], " "), err, lastLine(string(said)))
	}
	return serve(ctx, bin, func(port, _ string) []string { return []string{port} })
}
