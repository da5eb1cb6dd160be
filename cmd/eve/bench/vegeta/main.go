// Command vegeta is a client on the library vegeta that does what the command of that name does in `attack` and `report`: it asks
// for one page, at a rate or without a pause, and measures. It is what `eve bench load` compares with, a program of its own module.
//
//	vegeta URL RATE CONNECTIONS DURATION
//
// RATE is requests per second, evenly spaced; 0: each of the connections asks again as soon as it is answered. It prints a line of JSON:
// what came of it, and the processor time that the process took for it, in seconds.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "vegeta:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 4 {
		return errors.New("want URL RATE CONNECTIONS DURATION")
	}
	rate, err := strconv.Atoi(args[1])
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
	options := []func(*vegeta.Attacker){vegeta.KeepAlive(true), vegeta.Connections(connections), vegeta.Timeout(10 * time.Second)}
	if rate == 0 {
		options = append(options, vegeta.Workers(uint64(connections)), vegeta.MaxWorkers(uint64(connections)))
	}
	target := vegeta.NewStaticTargeter(vegeta.Target{Method: "GET", URL: args[0]})
	var m vegeta.Metrics
	cpu, began := spent(), time.Now()
	for r := range vegeta.NewAttacker(options...).Attack(target, vegeta.Rate{Freq: rate, Per: time.Second}, d, "bench") {
		m.Add(r)
	}
	m.Close()
	seconds := time.Since(began).Seconds()
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"requests": m.Requests, "errors": m.Requests - uint64(float64(m.Requests)*m.Success+0.5), "seconds": seconds, "cpu": spent() - cpu,
		"p50": m.Latencies.P50.Seconds(), "p99": m.Latencies.P99.Seconds(), "max": m.Latencies.Max.Seconds(),
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
