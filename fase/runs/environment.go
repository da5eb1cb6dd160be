package runs

import (
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// An Environment is what the results of a run may depend on beside its scenario: the content of environment.json.
type Environment struct {
	Host    string `json:"host"`
	Kernel  string `json:"kernel"`
	CPU     string `json:"cpu"`  // model
	CPUs    int    `json:"cpus"` // that the process may use
	Memory  int64  `json:"memory_bytes"`
	Go      string `json:"go"`
	Version string `json:"version"` // of Eve
	Boot    string `json:"boot"`
	Kind    Kind   `json:"kind,omitempty"` // of the run

	Start time.Time  `json:"start"`         // wall time
	End   *time.Time `json:"end,omitempty"` // absent when the run was cut off

	// T0 is the wall time of the run's instant 0; absent before it has come, and in virtual time.
	T0 *time.Time `json:"t0,omitempty"`

	Noise *Noise `json:"noise,omitempty"` // absent in virtual time
}

// Here describes this host. What cannot be found out stays empty.
func Here(version string, now time.Time) Environment {
	e := Environment{CPUs: runtime.NumCPU(), Go: runtime.Version(), Version: version, Start: now}
	e.Host, _ = os.Hostname()
	e.Kernel = firstLine("/proc/sys/kernel/osrelease")
	e.Boot = firstLine("/proc/sys/kernel/random/boot_id")
	e.CPU = field("/proc/cpuinfo", "model name")
	var info syscall.Sysinfo_t
	if syscall.Sysinfo(&info) == nil {
		e.Memory = int64(info.Totalram) * int64(info.Unit)
	}
	return e
}

func firstLine(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return strings.TrimSpace(line)
}

// field returns the value of the first line "key : value".
func field(path, key string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	return ""
}
