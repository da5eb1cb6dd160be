package bench

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/eve-emulation/eve/internal/mono"
)

// A part is a process of its own: a child that answers calls in lines of JSON until its standard input ends, and so never
// outlives this process. It belongs to one goroutine.
type part struct {
	role string
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	said bytes.Buffer // on standard error
}

// order is what a part is asked to do, answer what came of it.
type order struct {
	Do   string          `json:"do"`
	Args json.RawMessage `json:"args,omitempty"`
}

type answer struct {
	Error string          `json:"error,omitempty"`
	Reply json.RawMessage `json:"reply,omitempty"`
}

// start starts a part in the given role, with env added to this process's environment.
func (c Config) start(ctx context.Context, role string, env ...string) (*part, error) {
	p := &part{role: role}
	p.cmd = exec.CommandContext(ctx, c.Self[0], append(c.Self[1:len(c.Self):len(c.Self)], role)...)
	p.cmd.Stderr = &p.said
	if len(env) > 0 {
		p.cmd.Env = append(os.Environ(), env...)
	}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the bench, which ends its parts
	p.cmd.WaitDelay = time.Second
	in, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start part %s: %w", role, err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start part %s: %w", role, err)
	}
	p.in, p.out = in, bufio.NewReaderSize(out, 64<<10)
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start part %s: %w", role, err)
	}
	return p, nil
}

// call asks the part to do something and decodes what it answers into reply, which may be nil. A part that does not
// answer in time is ended.
func (p *part) call(do string, args, reply any) error {
	err := p.exchange(do, args, reply)
	if errors.Is(err, io.EOF) {
		err = p.ended()
	}
	if err != nil {
		return fmt.Errorf("part %s: %s: %w", p.role, do, err)
	}
	return nil
}

// ended waits for a part that has closed its output, and tells why it ended: what it said last, or how it exited.
func (p *part) ended() error {
	_ = p.cmd.Process.Kill() // should it have closed its output alone
	why := p.cmd.Wait()
	if said := lastLine(p.said.String()); said != "" {
		return fmt.Errorf("it ended: %s", said)
	}
	return fmt.Errorf("it ended: %w", cmp.Or(why, io.EOF))
}

func (p *part) exchange(do string, args, reply any) error {
	raw, err := json.Marshal(args)
	if err != nil {
		return err
	}
	line, err := json.Marshal(order{do, raw})
	if err != nil {
		return err
	}
	late := time.AfterFunc(callTimeout, func() { _ = p.cmd.Process.Kill() })
	defer late.Stop()
	if _, err := p.in.Write(append(line, '\n')); err != nil {
		if errors.Is(err, syscall.EPIPE) {
			return io.EOF
		}
		return err
	}
	back, err := p.out.ReadBytes('\n')
	if err != nil {
		return err
	}
	var a answer
	if err := json.Unmarshal(back, &a); err != nil {
		return err
	}
	if a.Error != "" {
		return errors.New(a.Error)
	}
	if reply == nil {
		return nil
	}
	return json.Unmarshal(a.Reply, reply)
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}

// cpu is the CPU time that the part has used, in s.
func (p *part) cpu() float64 { return processCPU(p.cmd.Process.Pid) }

func (p *part) pid() int { return p.cmd.Process.Pid }

// stop ends the part and waits for it.
func (p *part) stop() {
	_ = p.in.Close()
	late := time.AfterFunc(5*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer late.Stop()
	_ = p.cmd.Wait()
}

// processCPU is the CPU time of a living process in s; 0 of one that is gone.
func processCPU(pid int) float64 {
	ns, err := mono.ProcessCPUOf(pid)
	if err != nil {
		return 0
	}
	return float64(ns) / 1e9
}

// ownCPU is the CPU time of this process in s.
func ownCPU() float64 { return float64(mono.ProcessCPU()) / 1e9 }

// residentBytes is the memory of a process that is in RAM and its own: without pages of files.
func residentBytes(pid int) (float64, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0, fmt.Errorf("memory of process %d: %w", pid, err)
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			kb, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			if err != nil {
				return 0, fmt.Errorf("memory of process %d: %w", pid, err)
			}
			return kb * 1024, nil
		}
	}
	return 0, fmt.Errorf("memory of process %d: not told", pid)
}

// A duty is what a part can do, by name.
type duty map[string]func(args json.RawMessage) (any, error)

// Part is a child's body: it takes up the role and answers the orders that come in, until in ends or ctx does.
func Part(ctx context.Context, role string, in io.Reader, out io.Writer) error {
	roles := map[string]func(ctx context.Context) (duty, func() error, error){
		"kernel": kernelPart, "echo": echoPart, "sink": sinkPart, "server": serverPart, "volley": volleyPart,
		"shelf": shelfPart, "clocked": clockedPart, "clients": clientsPart, "readers": readersPart, "relay": relayPart, "stream": streamPart,
	}
	begin := roles[role]
	if begin == nil {
		return fmt.Errorf("part %q: no such role", role)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	d, end, err := begin(ctx)
	if err != nil {
		return fmt.Errorf("part %s: %w", role, err)
	}
	err = d.serve(in, out)
	cancel()
	return errors.Join(err, end())
}

func (d duty) serve(in io.Reader, out io.Writer) error {
	dec, enc := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var o order
		if err := dec.Decode(&o); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := enc.Encode(d.obey(o)); err != nil {
			return err
		}
	}
}

func (d duty) obey(o order) (a answer) {
	do := d[o.Do]
	if do == nil {
		a.Error = "no such order"
		return a
	}
	reply, err := do(o.Args)
	if err != nil {
		a.Error = err.Error()
		return a
	}
	if a.Reply, err = json.Marshal(reply); err != nil {
		a.Error = err.Error()
	}
	return a
}

// take makes an order of a function with typed arguments.
func take[A any](f func(A) (any, error)) func(json.RawMessage) (any, error) {
	return func(raw json.RawMessage) (any, error) {
		var a A
		if len(raw) > 0 {
			if err := json.Unmarshal(raw, &a); err != nil {
				return nil, err
			}
		}
		return f(a)
	}
}

// settled lets the runtime give back what it does not need, so that memory can be compared.
func settled() {
	for range 2 {
		runtime.GC()
	}
}
