package app

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel/wire"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/internal/mono"
	"github.com/eve-emulation/eve/modules"
)

// liveFile is in a run folder while the run goes: how to reach its kernel. Nobody but its owner can read it.
const liveFile = "live.json"

// A live is what liveFile holds.
type live struct {
	Run   string `json:"run"`
	URL   string `json:"url"` // ws://HOST:PORT/eve
	Token string `json:"token"`
	// The kernel's process, which is known again by its start, in clock ticks since the boot.
	PID   int    `json:"pid"`
	Start uint64 `json:"start"`
	Boot  string `json:"boot"`
}

// announce writes the liveFile of a run folder whose kernel is this process, whole or not at all. withdraw removes it.
func announce(dir, run, url, token string) (withdraw func() error, err error) {
	l := live{Run: run, URL: url, Token: token, PID: os.Getpid()}
	if l.Boot, err = mono.BootID(); err != nil {
		return nil, err
	}
	if l.Start, err = startOf(l.PID); err != nil {
		return nil, err
	}
	b, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, liveFile)
	if err := writeSecret(path, append(b, '\n')); err != nil {
		return nil, fmt.Errorf("write %s: %w", path, cause(err))
	}
	return func() error {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove %s: %w", path, cause(err))
		}
		return nil
	}, nil
}

// writeSecret writes a file that only its owner can read, whole or not at all.
func writeSecret(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// startOf returns when a process began, in clock ticks since the boot.
func startOf(pid int) (uint64, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, err
	}
	// What follows the program's name, which may hold anything, begins with field 3; the start is field 22.
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(fields) < 20 {
		return 0, fmt.Errorf("read start of process %d: %d fields", pid, len(fields))
	}
	return strconv.ParseUint(string(fields[19]), 10, 64)
}

// alive reports whether the kernel that wrote l still runs.
func (l *live) alive() bool {
	boot, err := mono.BootID()
	if err != nil || boot != l.Boot {
		return false
	}
	start, err := startOf(l.PID)
	return err == nil && start == l.Start
}

// readLive reads a run folder's liveFile.
func readLive(dir string) (*live, error) {
	b, err := os.ReadFile(filepath.Join(dir, liveFile))
	if err != nil {
		return nil, err
	}
	var l live
	if err := json.Unmarshal(b, &l); err != nil {
		return nil, fmt.Errorf("read %s: %w", filepath.Join(dir, liveFile), err)
	}
	return &l, nil
}

// liveIn returns the live run of a folder; the error tells why there is none.
func liveIn(dir string) (*live, error) {
	l, err := readLive(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if _, serr := os.Stat(filepath.Join(dir, runs.ScenarioFile)); serr != nil {
			return nil, wrong(fmt.Errorf("%s: %w", dir, runs.ErrNotRun))
		}
		return nil, fmt.Errorf("%s: the run is over", dir)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, cause(err))
	}
	if !l.alive() {
		return nil, fmt.Errorf("%s: the kernel is gone (it was process %d): the run was cut off", dir, l.PID)
	}
	return l, nil
}

// latestLive returns the folder below root of the live run that began last.
func latestLive(root string) (string, *live, error) {
	files, err := filepath.Glob(filepath.Join(root, "*", liveFile))
	if err != nil {
		return "", nil, err
	}
	type candidate struct {
		dir   string
		l     *live
		began time.Time
	}
	var found []candidate
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			continue // it ended just now
		}
		if l, err := liveIn(filepath.Dir(f)); err == nil {
			found = append(found, candidate{filepath.Dir(f), l, info.ModTime()})
		}
	}
	if len(found) == 0 {
		return "", nil, fmt.Errorf("no run is live below %s; begin one with eve run, or name one: --run DIR, or --kernel URL with --token-file FILE", root)
	}
	latest := slices.MaxFunc(found, func(a, b candidate) int { return cmp.Or(a.began.Compare(b.began), cmp.Compare(a.dir, b.dir)) })
	return latest.dir, latest.l, nil
}

// A reach is the flags that say which live run is meant.
type reach struct {
	run, kernel, tokenFile string
	patience               time.Duration // to reach the kernel; 0 for guestPatience
}

func (r *reach) flags(c *cobra.Command) {
	c.Flags().StringVar(&r.run, "run", "", "the live run of the run folder `DIR`; default the latest below runs")
	c.Flags().StringVar(&r.kernel, "kernel", "", "the kernel at `URL`: ws://HOST:PORT/eve, or HOST:PORT")
	c.Flags().StringVar(&r.tokenFile, "token-file", "", "the token that --kernel wants, in `FILE`; default the environment's EVE_TOKEN")
}

// given reports whether a run was named.
func (r *reach) given() bool { return r.run != "" || r.kernel != "" }

// link finds the kernel. said is how the run is called in messages.
func (r *reach) link() (link modules.Link, said string, err error) {
	switch {
	case r.run != "" && r.kernel != "":
		return link, "", wrong(errors.New("--run and --kernel: say one of them"))
	case r.kernel == "" && r.tokenFile != "":
		return link, "", wrong(errors.New("--token-file goes with --kernel"))
	case r.kernel != "":
		if link.URL, err = kernelURL(r.kernel); err != nil {
			return link, "", wrong(err)
		}
		link.Token, err = r.token()
		return link, link.URL, err
	}
	dir, l := r.run, (*live)(nil)
	if dir == "" {
		dir, l, err = latestLive(runs.DefaultRoot)
	} else {
		l, err = liveIn(dir)
	}
	if err != nil {
		return link, "", err
	}
	return modules.Link{URL: l.URL, Token: l.Token}, dir, nil
}

// kernelURL makes a kernel's URL of what a user writes.
func kernelURL(s string) (string, error) {
	if !strings.Contains(s, "://") {
		s = "ws://" + s
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "ws" || u.Port() == "" || u.Path != "" && u.Path != wire.Path || u.User != nil || u.RawQuery != "" {
		return "", fmt.Errorf("--kernel %s: want ws://HOST:PORT%s, or HOST:PORT", s, wire.Path)
	}
	return "ws://" + u.Host + wire.Path, nil
}

// token is what the kernel wants to be shown.
func (r *reach) token() (string, error) {
	if r.tokenFile != "" {
		return readToken(r.tokenFile)
	}
	if t := os.Getenv("EVE_TOKEN"); t != "" {
		return t, nil
	}
	return "", wrong(errors.New("--kernel: its token is not known: say --token-file FILE, or set EVE_TOKEN"))
}

// readToken reads a token from a file that others cannot read.
func readToken(file string) (string, error) {
	b, err := readFile(file, 4096)
	if err != nil {
		return "", wrong(fmt.Errorf("read token %w", err))
	}
	info, err := os.Stat(file)
	if err != nil {
		return "", wrong(fmt.Errorf("read token %q: %w", file, cause(err)))
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", wrong(fmt.Errorf("read token %q: others can read it: chmod 600 %[1]s", file))
	}
	t := strings.TrimSpace(string(b))
	if len(t) < 16 || strings.ContainsAny(t, " \t\r\n") {
		return "", wrong(fmt.Errorf("read token %q: want one word of 16 characters or more", file))
	}
	return t, nil
}

// A guest is a connection to a live run that is no module of it.
type guest struct {
	*modules.Proxy
	said string // how the run is called in messages
	run  string // its name
	t0   int64  // on this host's clock; 0 while not announced
}

// guestPatience is how long a command tries to reach a kernel, at first and after a loss.
const guestPatience = 2 * time.Second

// visit connects to a live run for the time of f. When the run ends meanwhile, what f is doing fails with dsv.ErrClosed;
// when its kernel is lost, that is the error, whatever f returns.
func (a *App) visit(ctx context.Context, r *reach, f func(ctx context.Context, g *guest) error) error {
	link, said, err := r.link()
	if err != nil {
		return err
	}
	link.GiveUp = cmp.Or(r.patience, guestPatience)
	p := modules.NewProxy(link, nil)
	pctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var wg sync.WaitGroup
	var lost error
	wg.Go(func() { lost = p.Run(pctx) })
	err = func() error {
		w, err := p.Welcome(ctx)
		if err != nil {
			return err
		}
		g := &guest{Proxy: p, said: said, run: w.Run}
		if w.T0 != 0 {
			offset, _, err := p.Offset(ctx)
			if err != nil {
				return err
			}
			g.t0 = int64(w.T0) - int64(offset)
		}
		return f(ctx, g)
	}()
	_ = p.Close(nil)
	cancel()
	wg.Wait()
	switch {
	case errors.Is(lost, wire.ErrUnauthorized):
		return fmt.Errorf("%s: the kernel refuses the token", said)
	case lost != nil:
		return fmt.Errorf("%s: the kernel is gone: %w", said, lost)
	}
	return err
}

// now is the present instant of the run; 0 before its start.
func (g *guest) now() dsv.Instant {
	if g.t0 == 0 {
		return 0
	}
	return dsv.Instant(mono.Now() - g.t0)
}
