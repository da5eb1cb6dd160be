package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A rival is a load generator that is measured beside Eve's clients: a program of its own, on the processor of clients.
type rival struct {
	name string
	bin  string
	fire func(ctx context.Context, bin string, s salvo) (shot, error)
	// open says that it keeps a rate, and paced which requests share a plan with equal gaps: those of a connection, or all.
	open, paced bool
}

// A salvo is what a load generator is to do for one round.
type salvo struct {
	Address     string
	Rate        int // per second, evenly spaced; 0: closed, each connection asks again once it is answered
	Connections int
	Run         time.Duration
}

func (s salvo) url() string { return "http://" + s.Address + "/" }

// A shot is what a load generator did in one round, as it tells, and the processor time of its whole process.
type shot struct {
	Requests, Errors int64
	Seconds, CPU     float64
	P50, P99, Max    float64 // response times, s
}

// The load generators beside Eve.
const (
	wrkPeer    = "wrk"
	vegetaPeer = "vegeta"
	fortioPeer = "fortio"
)

// LoadPeerNames lists the load generators that there can be.
func LoadPeerNames() []string { return []string{wrkPeer, vegetaPeer, fortioPeer} }

// CheckLoadPeers tells which names are of no load generator.
func CheckLoadPeers(names []string) error {
	for _, n := range names {
		if !slices.Contains(LoadPeerNames(), n) {
			return fmt.Errorf("peer %q: unknown; known are %s", n, strings.Join(LoadPeerNames(), ", "))
		}
	}
	return nil
}

// modulePath is that of Eve's own module, below whose source the programs on libraries of load generators are, each a module of its own.
const modulePath = "github.com/eve-emulation/eve"

// openRivals makes the load generators ready that can be had, and tells why the others cannot. done, which is never nil, removes what
// was compiled.
func openRivals(ctx context.Context, names []string) (rs []*rival, missing []string, done func(), err error) {
	dir, err := os.MkdirTemp("", "eve-bench-")
	if err != nil {
		return nil, nil, func() {}, err
	}
	done = func() { _ = os.RemoveAll(dir) }
	for _, n := range names {
		r, err := openRival(ctx, n, dir)
		switch {
		case ctx.Err() != nil:
			return rs, missing, done, ctx.Err()
		case err != nil:
			missing = append(missing, fmt.Sprintf("%s was left out: %v", n, err))
		default:
			rs = append(rs, r)
		}
	}
	return rs, missing, done, nil
}

func openRival(ctx context.Context, name, dir string) (*rival, error) {
	if name == wrkPeer {
		bin, err := exec.LookPath("wrk")
		if err != nil {
			return nil, errors.New("no wrk in the PATH (Debian: apt install wrk)")
		}
		return &rival{name: name, bin: bin, fire: fireWrk}, nil
	}
	source, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", modulePath).Output()
	if err != nil {
		return nil, errors.New("it is compiled by go, in Eve's source")
	}
	bin := filepath.Join(dir, name)
	build := exec.CommandContext(ctx, "go", "build", "-o", bin, ".")
	build.Dir = filepath.Join(strings.TrimSpace(string(source)), "cmd", "eve", "bench", name)
	if said, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build in %s: %w: %s", build.Dir, err, lastLine(string(said)))
	}
	return &rival{name: name, bin: bin, fire: fireProgram, open: true, paced: name == fortioPeer}, nil
}

// shoot runs a rival for one round.
func (r *rival) shoot(ctx context.Context, s salvo) (f shot, err error) {
	err = onProcessor(clientCPU, func() error {
		f, err = r.fire(ctx, r.bin, s)
		return err
	})
	if err == nil && f.Requests == 0 {
		err = errors.New("no answer came")
	}
	if err != nil {
		return f, fmt.Errorf("peer %s: %w", r.name, err)
	}
	return f, nil
}

// output runs a program to its end, and returns what it printed and the processor time that it took, in s.
func output(ctx context.Context, bin string, args ...string) (string, float64, error) {
	var out, said bytes.Buffer
	c := exec.CommandContext(ctx, bin, args...)
	c.Stdout, c.Stderr, c.WaitDelay = &out, &said, time.Second
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := c.Run(); err != nil {
		return "", 0, fmt.Errorf("%w: %s", err, lastLine(said.String()))
	}
	return out.String(), (c.ProcessState.UserTime() + c.ProcessState.SystemTime()).Seconds(), nil
}

// fireProgram runs a program of ours on a library.
func fireProgram(ctx context.Context, bin string, s salvo) (f shot, err error) {
	out, _, err := output(ctx, bin, s.url(), strconv.Itoa(s.Rate), strconv.Itoa(s.Connections), s.Run.String())
	if err != nil {
		return f, err
	}
	return f, json.Unmarshal([]byte(out), &f)
}

var (
	wrkTotal   = regexp.MustCompile(`(\d+) requests in ([\d.]+)(us|ms|s|m)`)
	wrkShare   = regexp.MustCompile(`(?m)^\s+(50|99)%\s+([\d.]+)(us|ms|s|m)`)
	wrkRefused = regexp.MustCompile(`(?m)Non-2xx or 3xx responses: (\d+)|Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)`)
)

// fireWrk runs wrk, which knows whole seconds only and no rate.
func fireWrk(ctx context.Context, bin string, s salvo) (shot, error) {
	run := strconv.Itoa(max(1, int(s.Run.Round(time.Second).Seconds()))) + "s"
	out, cpu, err := output(ctx, bin, "-t1", "-c"+strconv.Itoa(s.Connections), "-d"+run, "--latency", s.url())
	if err != nil {
		return shot{}, err
	}
	f, err := readWrk(out)
	f.CPU = cpu
	return f, err
}

// readWrk reads what wrk prints.
func readWrk(out string) (f shot, err error) {
	m := wrkTotal.FindStringSubmatch(out)
	if m == nil {
		return f, fmt.Errorf("no total in what wrk says: %.200q", out)
	}
	if f.Requests, err = strconv.ParseInt(m[1], 10, 64); err != nil {
		return f, err
	}
	if f.Seconds, err = wrkSeconds(m[2], m[3]); err != nil {
		return f, err
	}
	for _, m := range wrkShare.FindAllStringSubmatch(out, -1) {
		x, err := wrkSeconds(m[2], m[3])
		if err != nil {
			return f, err
		}
		if m[1] == "50" {
			f.P50 = x
		} else {
			f.P99 = x
		}
	}
	for _, m := range wrkRefused.FindAllStringSubmatch(out, -1) {
		for _, n := range m[1:] {
			k, _ := strconv.ParseInt(n, 10, 64) // empty where the other alternative matched
			f.Errors += k
		}
	}
	return f, nil
}

// wrkSeconds reads a time of wrk, which writes a minute as 1.00m.
func wrkSeconds(number, unit string) (float64, error) {
	x, err := strconv.ParseFloat(number, 64)
	return x * map[string]float64{"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60}[unit], err
}
