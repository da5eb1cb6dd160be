package target

import (
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
)

// listeners returns the processes of this host that listen at an address and whose parents do not: the first ones of a
// server. It returns none for an address of another host, and where they are hidden, as other users' are.
func listeners(address string) ([]int, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, err
	}
	ips, err := net.LookupIP(host)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(ips, ours) {
		return nil, nil
	}
	sockets := map[string]bool{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(table)
		if err != nil {
			continue // a host without IPv6
		}
		for line := range strings.Lines(string(text)) {
			if inode := listening(line, ips, uint16(n)); inode != "" {
				sockets["socket:["+inode+"]"] = true
			}
		}
	}
	pids := holders(sockets)
	return slices.DeleteFunc(slices.Clone(pids), func(pid int) bool { return slices.Contains(pids, parent(pid)) }), nil
}

// ours reports whether an address is one of this host's.
func ours(ip net.IP) bool {
	if ip.IsLoopback() {
		return true
	}
	addrs, _ := net.InterfaceAddrs() // none is an answer, too
	return slices.ContainsFunc(addrs, func(a net.Addr) bool {
		n, ok := a.(*net.IPNet)
		return ok && n.IP.Equal(ip)
	})
}

// listening returns the inode of a line of /proc/net/tcp, if it is a socket that listens at one of ips or at all addresses.
func listening(line string, ips []net.IP, port uint16) string {
	f := strings.Fields(line)
	if len(f) < 10 || f[3] != "0A" {
		return ""
	}
	at, p, _ := strings.Cut(f[1], ":")
	if p != fmt.Sprintf("%04X", port) {
		return ""
	}
	b, err := hex.DecodeString(at)
	if err != nil || len(b)%4 != 0 {
		return ""
	}
	for i := 0; i < len(b); i += 4 { // words in the order of the host's bytes, which is little-endian on all that Eve runs on
		slices.Reverse(b[i : i+4])
	}
	ip := net.IP(b)
	if !ip.IsUnspecified() && !slices.ContainsFunc(ips, ip.Equal) {
		return ""
	}
	return f[9]
}

// holders returns the processes that have one of some files open, by what their descriptors link to, but for the first
// process of the host.
func holders(files map[string]bool) []int {
	if len(files) == 0 {
		return nil
	}
	all, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []int
	for _, e := range all {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == 1 {
			continue
		}
		dir := "/proc/" + e.Name() + "/fd/"
		fds, err := os.ReadDir(dir)
		if err != nil {
			continue // it ended, or is another user's
		}
		for _, fd := range fds {
			if to, err := os.Readlink(dir + fd.Name()); err == nil && files[to] {
				pids = append(pids, pid)
				break
			}
		}
	}
	return pids
}

// parent returns the parent of a process; 0 when it has ended.
func parent(pid int) int {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0
	}
	_, rest, ok := strings.Cut(string(b[strings.LastIndexByte(string(b), ')')+1:]), " ")
	f := strings.Fields(rest)
	if !ok || len(f) < 2 {
		return 0
	}
	n, _ := strconv.Atoi(f[1])
	return n
}
