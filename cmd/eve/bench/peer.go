package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// A peer is another system that does a part of the same, with its server started and ended by us.
type peer interface {
	name() string
	pid() int // of its server
	// ops are the peer's forms of the operations of variables, by name; what it has no form of is missing. Each takes the
	// number of the call.
	ops() map[string]operation
	// batches opens n connections; each function writes so many values of the same sizes as ours, in one pipeline, and
	// returns once all are acknowledged.
	batches(ctx context.Context, n int) (write []operation, done func(), err error)
	close()
}

// PeerNames lists the peers that there can be.
func PeerNames() []string { return []string{"redis", "nats"} }

// serverBinary is the name of a peer's server.
func serverBinary(name string) string { return name + "-server" }

// CheckPeers tells why a peer cannot be had, before anything is started.
func CheckPeers(names []string) error {
	for _, n := range names {
		if !slices.Contains(PeerNames(), n) {
			return fmt.Errorf("peer %q: unknown; known are %s", n, strings.Join(PeerNames(), ", "))
		}
		if _, err := exec.LookPath(serverBinary(n)); err != nil {
			return fmt.Errorf("peer %s: its server is not installed: no %s in the PATH (Debian: apt install %[2]s)", n, serverBinary(n))
		}
	}
	return nil
}

// openPeers starts the servers of all peers; the caller closes them, also when there is an error.
func (c Config) openPeers(ctx context.Context) (ps []peer, err error) {
	for _, n := range c.Peers {
		var p peer
		if n == "redis" {
			p, err = openRedis(ctx)
		} else {
			p, err = openNATS(ctx)
		}
		if err != nil {
			return ps, fmt.Errorf("peer %s: %w", n, err)
		}
		ps = append(ps, p)
	}
	return ps, nil
}

func closeAll(ps []peer) {
	for _, p := range ps {
		p.close()
	}
}

// A server is the process of a peer's server, with a folder of its own.
type server struct {
	cmd  *exec.Cmd
	dir  string
	addr string
	said bytes.Buffer
}

// serve starts a server; args makes its arguments of a free port and of an empty folder. It returns once the port is open.
func serve(ctx context.Context, name string, args func(port, dir string) []string) (*server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &server{addr: l.Addr().String()}
	if err := l.Close(); err != nil {
		return nil, err
	}
	if s.dir, err = os.MkdirTemp("", "eve-bench-"); err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(s.addr)
	s.cmd = exec.CommandContext(ctx, name, args(port, s.dir)...)
	s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr = s.dir, &s.said, &s.said
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	s.cmd.WaitDelay = time.Second
	if err := s.cmd.Start(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(s.dir))
	}
	late, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		var d net.Dialer
		conn, err := d.DialContext(late, "tcp", s.addr)
		if err == nil {
			_ = conn.Close()
			return s, nil
		}
		select {
		case <-late.Done():
			s.stop()
			return nil, fmt.Errorf("start %s: it does not listen: %s", name, lastLine(s.said.String()))
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	late := time.AfterFunc(3*time.Second, func() { _ = s.cmd.Process.Kill() })
	defer late.Stop()
	_ = s.cmd.Wait()
	_ = os.RemoveAll(s.dir)
}

// key is the name of the i-th of our variables or of a peer's keys: as long in all of them.
func key(i int) string { return fmt.Sprintf("bench.key_%06d", i) }
