package target_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/eve-emulation/eve/cmd/eve/app"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel"
	"github.com/eve-emulation/eve/evekernel/egs"
	"github.com/eve-emulation/eve/fase/adapt"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/usage"
	"github.com/eve-emulation/eve/modules"
	"github.com/eve-emulation/eve/modules/target"
)

// TestMain lets the test binary be what the module starts: the keeper, and Eve's own server.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == "keep" || os.Args[1] == "serve") {
		app.Main()
	}
	os.Exit(m.Run())
}

// A run is a kernel in this process with the module of one target, web.
type run struct {
	t       *testing.T
	kernel  *evekernel.Kernel
	plan    *scenario.Plan
	dir     string
	address string
	ended   chan evekernel.ModuleEvent
}

// begin starts a target and waits until it is ready, or has failed: then the run has no address.
func begin(t *testing.T, yaml string) *run {
	t.Helper()
	plan, err := scenario.Load("test.yaml", []byte("eve: 1\nduration: 60s\nrequests: |\n  request r { http web GET \"/\" }\nclients: {c: {request: r, users: 1}}\ntargets:\n  web: "+yaml+"\n"), scenario.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := target.Installed(plan.Targets[0]); err != nil && !plan.Targets[0].Serve {
		t.Skip(err)
	}
	r := &run{t: t, plan: plan, dir: t.TempDir(), ended: make(chan evekernel.ModuleEvent, 1)}
	k, err := evekernel.New(evekernel.Config{Run: "test", Token: "token", OnModule: func(e evekernel.ModuleEvent) {
		if e.State == evekernel.Failed || e.State == evekernel.Exited {
			r.ended <- e
		}
	}, Log: func(l evekernel.Line) { t.Log(l.Text) }})
	if err != nil {
		t.Fatal(err)
	}
	r.kernel = k
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	t.Cleanup(func() {
		r.stop()
		cancel()
		wg.Wait()
		_ = k.Close()
	})
	if err := errors.Join(k.Listen(), k.Hub().Expect(egs.StartBarrier, "web")); err != nil {
		t.Fatal(err)
	}
	wg.Go(func() {
		if err := k.Run(ctx); err != nil {
			t.Errorf("kernel: %v", err)
		}
	})
	for _, d := range append(plan.Declarations(), dsv.Declaration{Name: adapt.AddressName("web"), Kind: dsv.Text}) {
		if err := k.Space().Create(ctx, d); err != nil {
			t.Fatal(err)
		}
	}
	if err := scenario.Publish(ctx, k.Space(), plan); err != nil {
		t.Fatal(err)
	}
	cfg, err := json.Marshal(target.ModuleConfig{Target: "web", Dir: filepath.Join(r.dir, "web")})
	if err != nil {
		t.Fatal(err)
	}
	err = k.Start(ctx, evekernel.ModuleSpec{Name: "web", Config: cfg, ReadyTimeout: 30 * time.Second, Func: func(ctx context.Context, reach evekernel.Reach) error {
		return modules.Run(ctx, target.Spec.New(), modules.Link{Name: reach.Name, URL: reach.URL, Token: reach.Token, Dial: reach.Dial})
	}})
	if err != nil {
		t.Fatal(err)
	}
	w, err := k.Space().Watch(ctx, dsv.WatchRequest{Pattern: string(adapt.AddressName("web"))})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	wctx, stop := context.WithCancel(ctx)
	defer stop()
	wg.Go(func() {
		select {
		case e := <-r.ended:
			stop()
			r.ended <- e
		case <-wctx.Done():
		}
	})
	if u, err := w.Next(wctx); err == nil {
		r.address = u.Reading.Value.Text
	}
	return r
}

func (r *run) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := r.kernel.Stop(ctx); err != nil {
		r.t.Errorf("stop: %v", err)
	}
}

// death returns how the module ended.
func (r *run) death() string {
	r.t.Helper()
	select {
	case e := <-r.ended:
		r.ended <- e
		return e.Status
	case <-time.After(30 * time.Second):
		r.t.Fatal("the module has not ended within 30 s")
		return ""
	}
}

// above waits until a variable of the target is above a bound.
func (r *run) above(leaf string, bound float64) {
	r.t.Helper()
	var x float64
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		v, err := r.kernel.Space().Read(context.Background(), dsv.Name("web."+leaf))
		if err == nil {
			if x, _ = v.Value.Number(); x > bound {
				return
			}
		}
	}
	r.t.Errorf("web.%s: got %v, want more than %v", leaf, x, bound)
}

// servers are the living processes that run in the run's folder, but for this one.
func (r *run) servers() []int {
	var pids []int
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		cwd, _ := os.Readlink("/proc/" + e.Name() + "/cwd")
		if strings.HasPrefix(cwd, r.dir) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// empty waits until none of the target's processes is left.
func (r *run) empty() {
	r.t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if len(r.servers()) == 0 {
			return
		}
	}
	r.t.Errorf("left behind: processes %v", r.servers())
}

func get(t *testing.T, client *http.Client, url string) (status int, body string) {
	t.Helper()
	a, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return a.StatusCode, string(b)
}

// TestKinds starts each kind of server, asks it over one connection, has it measured, and stops it.
func TestKinds(t *testing.T) {
	pages := readable(t)
	if err := os.WriteFile(filepath.Join(pages, "a.txt"), []byte("a file"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Dir(pages))
	pages = filepath.Base(pages) // as a user writes it, who is in the folder above
	for _, kind := range scenario.TargetKinds() {
		t.Run(kind, func(t *testing.T) {
			yaml := "{kind: " + kind + ", folder: " + pages + ", ready: {within: 30s}}"
			if kind == "eve" {
				yaml = "{kind: eve, engine: sped-epoll-et}"
			}
			r := begin(t, yaml)
			if r.address == "" {
				t.Fatal(r.death())
			}
			var opened int
			client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				opened++
				return (&net.Dialer{}).DialContext(ctx, network, addr)
			}}}
			defer client.CloseIdleConnections()
			for range 20 {
				if status, body := get(t, client, "http://"+r.address+"/"); status != 200 || body == "" {
					t.Fatalf("got %d %q, want a page", status, body)
				}
			}
			if status, body := get(t, client, "http://"+r.address+"/files/a.txt"); kind != "eve" && (status != 200 || body != "a file") {
				t.Errorf("file: got %d %q", status, body)
			}
			if opened != 1 {
				t.Errorf("21 requests took %d connections, want 1: it keeps them", opened)
			}
			r.above("memory", 1<<16)
			r.above("memory.resident", 1<<16)
			r.above("descriptors", 3)
			r.above("threads", 0.99)
			r.above("processes", 0.99)
			r.stop()
			if e := r.death(); strings.Contains(e, "killed") || strings.Contains(e, "status") {
				t.Errorf("it ended as %q, want in order", e)
			}
			r.empty()
		})
	}
}

// TestIPv6 starts a server that wants brackets around its address.
func TestIPv6(t *testing.T) {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skip(err)
	}
	_ = l.Close()
	r := begin(t, `{kind: lighttpd, url: "http://[::1]:0"}`)
	if r.address == "" {
		t.Fatal(r.death())
	}
	if status, _ := get(t, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, "http://"+r.address+"/"); status != 200 {
		t.Errorf("got status %d, want 200", status)
	}
}

// readable is a folder that other users can read, too: servers that root starts become those.
func readable(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "eve-pages-")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func TestKindsAreThoseOfScenarios(t *testing.T) {
	for _, kind := range scenario.TargetKinds() {
		_, err := target.Installed(scenario.Target{Kind: kind})
		if _, missing := errors.AsType[*target.NotInstalledError](err); err != nil && !missing {
			t.Errorf("%s: %v", kind, err)
		}
	}
	_, err := target.Installed(scenario.Target{Exec: []string{"no-such-server"}})
	if e, ok := errors.AsType[*target.NotInstalledError](err); !ok || e.Program != "no-such-server" {
		t.Errorf("got %v, want that no-such-server is not installed", err)
	}
}

// TestDeath has a server that leaves processes behind end in several ways.
func TestDeath(t *testing.T) {
	const two = `[sh, -c, "sh -c 'while :; do sleep 60; done' & setsid sleep 61 & echo started >&2; exec ` // and the server
	for _, c := range []struct {
		name, yaml string
		kill       func(t *testing.T, r *run)
		want       string
	}{
		{"by itself", `[sh, -c, "sleep 61 & (while [ ! -e stop ]; do sleep 0.05; done; echo out of luck >&2; exit 7) & p=$!; EVE serve --listen {address} & wait $p"]`, func(t *testing.T, r *run) {
			if err := os.WriteFile(filepath.Join(r.dir, "web", "stop"), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}, "exited with status 7; its last words: "},
		{"killed", two + `EVE serve --listen {address}"]`, func(t *testing.T, r *run) { signal(t, r, "serve", syscall.SIGKILL) }, "was killed by signal 9 (killed)"},
		{"keeper killed", two + `EVE serve --listen {address}"]`, func(t *testing.T, r *run) { signal(t, r, "keep", syscall.SIGKILL) }, "was killed with its keeper"},
	} {
		t.Run(c.name, func(t *testing.T) {
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			r := begin(t, "{exec: "+strings.ReplaceAll(c.yaml, "EVE", self)+"}")
			if r.address == "" {
				t.Fatal(r.death())
			}
			r.above("processes", 2)
			c.kill(t, r)
			if e := r.death(); !strings.Contains(e, c.want) {
				t.Errorf("got %q, want %q in it", e, c.want)
			}
			r.empty()
		})
	}
}

// signal sends a signal to a process of the run by the first word of its arguments.
func signal(t *testing.T, r *run, word string, s syscall.Signal) {
	t.Helper()
	for _, pid := range r.servers() {
		line, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
		words := strings.Split(string(line), "\x00")
		if len(words) > 1 && words[1] == word {
			if err := syscall.Kill(pid, s); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("no process of %s", word)
}

func TestNeverReady(t *testing.T) {
	for _, c := range []struct{ name, yaml, want string }{
		{"silent", `{exec: [sh, -c, "echo thinking; sleep 60"], ready: {within: 300ms}}`, "was not ready within 300ms: "},
		{"broken", `{exec: [SELF, serve, --listen, "{address}"], ready: {http: /status, within: 300ms}}`, ""},
		{"ends", `{exec: [sh, -c, "echo no luck; exit 4"]}`, "ended before it was ready: exited with status 4; its last words: no luck"},
		{"not a program", `{exec: [/etc/passwd]}`, "permission denied"},
	} {
		t.Run(c.name, func(t *testing.T) {
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			if c.name == "not a program" { // Installed tells it, too
				if _, err := target.Installed(scenario.Target{Exec: []string{"/etc/passwd"}}); err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("got %v, want %q", err, c.want)
				}
				return
			}
			r := begin(t, strings.ReplaceAll(c.yaml, "SELF", self))
			if c.want == "" { // any status below 500 will do
				if r.address == "" {
					t.Error(r.death())
				}
				return
			}
			if e := r.death(); !strings.Contains(e, c.want) {
				t.Errorf("got %q, want %q in it", e, c.want)
			}
			r.empty()
		})
	}
}

// TestAttach measures a server that it did not start, and leaves it alone.
func TestAttach(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, by := range []string{"listening", "pid"} {
		t.Run(by, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			address := l.Addr().String()
			_ = l.Close()
			server := exec.Command(self, "serve", "--listen", address)
			if err := server.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() {
				_ = server.Process.Kill()
				_ = server.Wait()
			}()
			yaml := `{url: "http://` + address + `", ready: {http: /, within: 20s}}`
			if by == "pid" {
				yaml = `{url: "http://` + address + `", ready: {http: /, within: 20s}, pid: ` + strconv.Itoa(server.Process.Pid) + "}"
			}
			r := begin(t, yaml)
			if r.address != address {
				t.Fatal(r.death())
			}
			r.above("memory", 1<<16)
			r.above("descriptors", 3)
			u, err := usage.NewTree(server.Process.Pid).Read(true)
			if err != nil || u.Processes != 1 {
				t.Fatalf("the server has %d processes, %v", u.Processes, err)
			}
			if by == "listening" {
				r.stop()
				if err := server.Process.Signal(syscall.Signal(0)); err != nil {
					t.Errorf("the server after the run: %v, want it alive", err)
				}
				return
			}
			_ = server.Process.Kill()
			_ = server.Wait()
			if e := r.death(); !strings.Contains(e, "has ended") {
				t.Errorf("got %q, want that it has ended", e)
			}
		})
	}
	r := begin(t, `{url: "http://127.0.0.1:1"}`)
	if e := r.death(); !strings.Contains(e, "connection refused; start it, or say what Eve is to start") {
		t.Errorf("got %q", e)
	}
}

func TestFree(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := scenario.Target{Address: l.Addr().String(), Exec: []string{"x"}}
	if err := target.Free(taken); err == nil || !strings.Contains(err.Error(), "something listens on") {
		t.Errorf("got %v, want that something listens", err)
	}
	if err := target.Free(scenario.Target{Address: "127.0.0.1:0"}); err != nil {
		t.Errorf("any port: %v", err)
	}
	if !slices.Contains(scenario.TargetKinds(), "eve") {
		t.Error("Eve's own server is no kind")
	}
}
