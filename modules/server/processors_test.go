package server_test

import (
	"context"
	"runtime"
	"testing"

	"github.com/eve-emulation/eve/fase/engine"
	"github.com/eve-emulation/eve/fase/machine"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/internal/mono"
	"github.com/eve-emulation/eve/modules/server"
)

// TestProcessors wants threads of the kernel where it is to schedule, and nowhere else.
func TestProcessors(t *testing.T) {
	for _, tt := range []struct {
		engine     string
		threads    int
		run        machine.Run
		discipline machine.Discipline
		want       int
	}{
		{"threads-1to1", 0, machine.Hold, machine.OS, 0},
		{"threads-1to1", 0, machine.Burn, machine.FCFS, 0},
		{"threads-1to1", 0, machine.Burn, machine.OS, 256},
		{"threads", 0, machine.Burn, machine.OS, 0},
		{"pool", 0, machine.Burn, machine.OS, 64 + runtime.NumCPU()},
		{"pool", 9, machine.Burn, machine.OS, 9 + runtime.NumCPU()},
		{"pool", 9000, machine.Burn, machine.OS, 256},
		{"seda", 0, machine.Burn, machine.OS, 20 + runtime.NumCPU()},
		{"actors", 0, machine.Burn, machine.OS, 0},
		{"actors", 3, machine.Burn, machine.OS, 3 + runtime.NumCPU()},
	} {
		c := server.Config{
			Host:   service.HostConfig{Machine: machine.Config{Run: tt.run, CPU: machine.CPUConfig{Discipline: tt.discipline}}},
			Engine: engine.Config{Name: tt.engine, Threads: tt.threads},
		}
		if got := c.Processors(); got != tt.want {
			t.Errorf("%s, %d threads, %v, %v: got %d, want %d", tt.engine, tt.threads, tt.run, tt.discipline, got, tt.want)
		}
	}
}

// TestSchedule raises GOMAXPROCS for the servers of a process, and never lowers it.
func TestSchedule(t *testing.T) {
	was := runtime.GOMAXPROCS(2)
	t.Cleanup(func() { runtime.GOMAXPROCS(was) })
	s := listen(t, func(c *server.Config) {
		c.Engine.Name, c.Engine.Threads = "pool", 20
		c.Host.Machine = machine.Config{Run: machine.Burn, CPU: machine.CPUConfig{Discipline: machine.OS}}
	})
	plain := listen(t, nil)
	url := serve(t, s)
	defer func() {
		ended, end := context.WithCancel(t.Context())
		end()
		if err := plain.Run(ended); err != nil {
			t.Error(err)
		}
	}()
	for _, tt := range []struct {
		servers []*server.Server
		want    int
	}{
		{[]*server.Server{plain}, 2},
		{[]*server.Server{s, plain}, 20 + runtime.NumCPU()},
		{[]*server.Server{plain}, 20 + runtime.NumCPU()},
		{[]*server.Server{s, s}, 2 * (20 + runtime.NumCPU())},
	} {
		server.Schedule(tt.servers...)
		if got := runtime.GOMAXPROCS(0); got != tt.want {
			t.Errorf("GOMAXPROCS with %d servers: got %d, want %d", len(tt.servers), got, tt.want)
		}
	}
	s.Start(mono.Now())
	if res, _ := ask(t, "POST", url+"/rdr", "cpu 1ms reply 10B"); res.StatusCode != 200 {
		t.Errorf("response: got %d, want 200", res.StatusCode)
	}
}
