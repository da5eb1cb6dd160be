// Command fortio is a client on the library fortio that does what `fortio load` does: it asks for one page over some connections, each
// with a thread and a pace of its own, and measures. It is what `eve bench load` compares with, a program of its own module.
//
//	fortio URL RATE CONNECTIONS DURATION
//
// RATE is requests per second, spread over the connections; 0: each asks again as soon as it is answered. It prints a line of JSON: what
// came of it, and the processor time that the process took for it, in seconds.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"syscall"
	"time"

	"fortio.org/fortio/fhttp"
	"fortio.org/fortio/periodic"
	"fortio.org/log"
)

func main() {
	log.SetLogLevelQuiet(log.Error)
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "fortio:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 4 {
		return errors.New("want URL RATE CONNECTIONS DURATION")
	}
	rate, err := strconv.ParseFloat(args[1], 64)
	if err != nil {
		return err
	}
	connections, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	d, err := time.ParseDuration(args[3])
	if err != nil {
		return err
	}
	if rate == 0 {
		rate = -1 // as fast as it can
	}
	o := &fhttp.HTTPRunnerOptions{
		HTTPOptions: *fhttp.NewHTTPOptions(args[0]),
		RunnerOptions: periodic.RunnerOptions{
			QPS: rate, Duration: d, NumThreads: connections, Percentiles: []float64{50, 99}, Resolution: 1e-6, Out: io.Discard,
			Uniform: true, // the connections do not ask all at once
		},
	}
	cpu, began := spent(), time.Now()
	r, err := fhttp.RunHTTPTest(o)
	if err != nil {
		return err
	}
	seconds := time.Since(began).Seconds()
	h := r.DurationHistogram
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"requests": h.Count, "errors": h.Count - r.RetCodes[200], "seconds": seconds, "cpu": spent() - cpu,
		"p50": h.CalcPercentile(50), "p99": h.CalcPercentile(99), "max": h.Max,
	})
}

// spent is the processor time of this process, in s.
func spent() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}
