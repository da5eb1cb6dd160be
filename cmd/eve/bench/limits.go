package bench

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// limits tells which limit of the machine n more connections, both ends here, would meet; empty if none is known.
func limits(n int) string {
	if free, err := kernelMemory("MemAvailable"); err == nil {
		// The kernel takes up to 10 KiB for both ends, and two more processes some tens of MiB.
		if need := float64(n)*10*1024 + 64<<20; free < need+room {
			return fmt.Sprintf("memory: %.0f MiB are left, and %d more connections take about %.0f of them", free/(1<<20), n, need/(1<<20))
		}
	}
	used, most := fileNumbers()
	if most > 0 && used+2*n > most {
		return fmt.Sprintf("fs.file-max: %d of %d descriptors of the machine are in use, and %d more connections take %d", used, most, n, 2*n)
	}
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err == nil && r.Max < uint64(min(n, perProcess))+100 {
		return fmt.Sprintf("ulimit -n: a process may have %d descriptors", r.Max)
	}
	return ""
}

// fileNumbers is how many descriptors the machine has in use, and may have; 0 where it is not told.
func fileNumbers() (used, most int) {
	b, err := os.ReadFile("/proc/sys/fs/file-nr")
	if err != nil {
		return 0, 0
	}
	fields := strings.Fields(string(b))
	if len(fields) < 3 {
		return 0, 0
	}
	used, _ = strconv.Atoi(fields[0]) // 0 is not known
	most, _ = strconv.Atoi(fields[2])
	return used, most
}

// explain says which limit an error is of.
func explain(text string) string {
	for _, l := range []struct{ part, limit string }{
		{syscall.EMFILE.Error(), "ulimit -n"},
		{syscall.ENFILE.Error(), "fs.file-max"},
		{syscall.EADDRNOTAVAIL.Error(), "net.ipv4.ip_local_port_range"},
		{syscall.ENOBUFS.Error(), "memory of sockets, net.ipv4.tcp_mem"},
		{syscall.ENOMEM.Error(), "memory"},
		{"did not stand", "the server accepts no more, or net.ipv4.tcp_mem"},
	} {
		if strings.Contains(text, l.part) {
			return " (" + l.limit + ")"
		}
	}
	return ""
}
