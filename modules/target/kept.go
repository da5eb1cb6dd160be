package target

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// How long a server has to end in order.
const stopGrace = 3 * time.Second

// A kept is a server that was started, and its keeper.
type kept struct {
	pid    int // of the server's first process
	keeper int
	pipe   string // of its output, as descriptors link to it

	orders *os.File
	ended  chan struct{} // closed when nothing of it is left
	how    string        // how it ended; set before ended is closed
	out    output
	wg     sync.WaitGroup
}

// start starts a server in its folder. What it prints is in the file output there; heard is called for each line.
func start(argv []string, dir string, env []string, heard func(line string)) (*kept, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	k := &kept{ended: make(chan struct{})}
	var pipes [3][2]*os.File // orders, news, output: read, write
	for i := range pipes {
		r, w, err := os.Pipe()
		if err != nil {
			closeAll(pipes[:i])
			return nil, err
		}
		pipes[i] = [2]*os.File{r, w}
	}
	cmd := exec.Command(self, append([]string{"keep"}, argv...)...)
	cmd.Dir, cmd.Env = dir, env
	cmd.Stdout, cmd.Stderr = pipes[2][1], pipes[2][1]
	cmd.ExtraFiles = []*os.File{pipes[0][0], pipes[1][1]}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	file, err := os.Create(filepath.Join(dir, "output"))
	if err == nil {
		if err = cmd.Start(); err != nil {
			_ = file.Close()
		}
	}
	if err != nil {
		closeAll(pipes[:])
		return nil, err
	}
	for _, f := range []*os.File{pipes[0][0], pipes[1][1], pipes[2][1]} {
		_ = f.Close()
	}
	k.keeper, k.orders = cmd.Process.Pid, pipes[0][1]
	if info, err := pipes[2][0].Stat(); err == nil {
		k.pipe = fmt.Sprintf("pipe:[%d]", info.Sys().(*syscall.Stat_t).Ino)
	}
	k.wg.Go(func() {
		k.out.read(pipes[2][0], file, heard)
		_ = file.Close()
	})
	tidings := json.NewDecoder(pipes[1][0])
	var first tiding
	err = tidings.Decode(&first)
	k.pid = first.PID
	if first.PID == 0 {
		_ = k.orders.Close()
		_ = cmd.Wait()
		_ = pipes[1][0].Close()
		k.wg.Wait()
		if first.Error == "" {
			return nil, errors.Join(errors.New("its keeper did not start"), err)
		}
		return nil, errors.New(first.Error)
	}
	k.wg.Go(func() { k.watch(cmd, tidings, pipes[1][0]) })
	return k, nil
}

func closeAll(pipes [][2]*os.File) {
	for _, p := range pipes {
		_, _ = p[0].Close(), p[1].Close()
	}
}

// watch waits for the server's end, and for that of all it started.
func (k *kept) watch(cmd *exec.Cmd, tidings *json.Decoder, r io.Closer) {
	var t tiding
	if err := tidings.Decode(&t); err != nil || t.Ended == "" {
		t.Ended = "was killed with its keeper"
		k.sweep()
	}
	_ = cmd.Wait()
	_ = r.Close()
	k.how = t.Ended
	close(k.ended)
}

// sweep kills what is left of a server whose keeper has been killed: its group, and who else has its output.
func (k *kept) sweep() {
	_ = syscall.Kill(-k.pid, syscall.SIGKILL)
	for range 100 {
		left := slices.DeleteFunc(holders(map[string]bool{k.pipe: true}), func(pid int) bool { return pid == os.Getpid() })
		for _, pid := range left {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		if len(left) == 0 {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// stop ends the server and all that it started, and waits until nothing of it is left.
func (k *kept) stop() {
	_, _ = k.orders.Write([]byte{'t'}) // it may have ended by itself
	timer := time.NewTimer(stopGrace)
	defer timer.Stop()
	select {
	case <-k.ended:
	case <-timer.C:
	}
	_ = k.orders.Close()
	k.wg.Wait()
}

// fate says in words how the server ended, with its last words; it waits for its end, for ctx at most.
func (k *kept) fate(ctx context.Context) string {
	select {
	case <-k.ended:
	case <-ctx.Done():
		return "is ending"
	}
	if last := k.out.last(); last != "" {
		return k.how + "; its last words: " + last
	}
	return k.how
}

// An output is what a server prints.
type output struct {
	mu    sync.Mutex // guards lines
	lines []string   // the last ones
}

const (
	maxOutput    = 1 << 20 // bytes that are kept in the file
	lastLines    = 4
	maxLastWords = 160 // runes of a line
)

// read takes what is printed until its end.
func (o *output) read(r io.ReadCloser, file io.Writer, heard func(string)) {
	defer r.Close()
	kept := 0
	b := bufio.NewReaderSize(r, 4096)
	for {
		chunk, err := b.ReadSlice('\n')
		if kept += len(chunk); kept <= maxOutput {
			_, _ = file.Write(chunk) // a full disk is told by who needs it
		}
		if line := printable(chunk); line != "" {
			o.mu.Lock()
			if o.lines = append(o.lines, line); len(o.lines) > lastLines {
				o.lines = o.lines[1:]
			}
			o.mu.Unlock()
			heard(line)
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
	}
}

func printable(b []byte) string {
	line := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(string(bytes.TrimSpace(b)), "?"))
	if runes := []rune(line); len(runes) > maxLastWords {
		return string(runes[:maxLastWords]) + "…"
	}
	return line
}

// last returns the last lines, in one.
func (o *output) last() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.Join(o.lines, " / ")
}
