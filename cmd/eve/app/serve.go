package app

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/eve-emulation/eve/fase/admit"
	"github.com/eve-emulation/eve/fase/engine"
	"github.com/eve-emulation/eve/fase/machine"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/internal/mono"
	"github.com/eve-emulation/eve/modules/server"
	"github.com/eve-emulation/eve/rdr"
)

// serveFlags are those of `eve serve`.
type serveFlags struct {
	listen, engine, run, discipline string
	reactors, cpus                  int
	threads, helpers, queue         int
	backlog                         int
	speed                           float64
	remote, any                     bool
	policy, get                     string
	seed                            uint64
	limit, pool                     int
	delay                           time.Duration
}

func (a *App) serveCommand() *cobra.Command {
	var f serveFlags
	c := &cobra.Command{
		Use:   "serve",
		Short: "Be one emulated server, for curl, wrk or any other client",
		Long: "Be one emulated server, without a scenario. Any GET is answered; POST /rdr meets the demands of its body:\n\n" +
			"  curl --data 'cpu 5ms reply 10KiB' http://127.0.0.1:8080/rdr\n\n" +
			"With --get every plain GET meets demands too, drawn anew for each.\n\n" +
			"What is over the limits is refused with 413, what is no resource demand with 400, each with the reason.",
		Example: "  eve serve\n" +
			"  eve serve --listen 127.0.0.1:9000 --run burn --cpus 2 --discipline ps --reactors 2\n" +
			"  eve serve --get 'cpu exp(1ms) reply 1KiB'",
		Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := f.config()
			if err != nil {
				return wrong(err)
			}
			s, err := server.Listen(cfg)
			if err != nil {
				return err
			}
			server.Schedule(s)
			s.Start(mono.Now())
			fmt.Fprintf(a.out, "listening on http://%s (engine %s, run: %s); end with Ctrl-C\n", s.Addr(), f.engine, f.run)
			err = s.Run(c.Context())
			st := s.Stats()
			fmt.Fprintf(a.out, "served %d requests on %d connections\n", st.Requests, st.Accepted)
			return err
		},
	}
	fl := c.Flags()
	fl.StringVar(&f.listen, "listen", "127.0.0.1:8080", "the `HOST:PORT` to listen on; port 0 is any that is free")
	fl.StringVar(&f.engine, "engine", "reactors", "the I/O engine: "+strings.Join(engine.Shipped().Names(), ", "))
	fl.IntVar(&f.reactors, "reactors", 1, "event loops")
	fl.IntVar(&f.threads, "threads", 0, "pool, seda, actors: threads (pool: 64, seda: at most 20 a stage, actors: one a processor)")
	fl.IntVar(&f.helpers, "helpers", 0, "amped: threads that wait for the disk (4)")
	fl.IntVar(&f.queue, "queue", 0, "pool, seda: requests that wait; those beyond are refused with 503 (1024)")
	fl.IntVar(&f.backlog, "backlog", 0, "connections that the kernel queues before they are accepted (4096)")
	fl.StringVar(&f.run, "run", "hold", "how demands are met: hold (in real time, without consuming) or burn (really consumed)")
	fl.IntVar(&f.cpus, "cpus", 1, "processors of the emulated machine")
	fl.Float64Var(&f.speed, "speed", 1, "speed of its processors")
	fl.StringVar(&f.discipline, "discipline", "fcfs", "discipline of its processors: "+strings.Join(machine.Disciplines(), ", "))
	fl.StringVar(&f.policy, "policy", "fcfs", "which of the requests that wait is served next: "+strings.Join(servePolicies(), ", "))
	fl.IntVar(&f.limit, "limit", 0, "requests in service at once (no limit)")
	fl.DurationVar(&f.delay, "delay", 0, "requests are collected until the oldest has waited so long")
	fl.IntVar(&f.pool, "pool", 0, "requests that wait for service; those beyond are refused with 503 (no bound)")
	fl.StringVar(&f.get, "get", "", "what a GET demands: an `RDR`, as 'cpu exp(1ms) reply 1KiB' (nothing)")
	fl.Uint64Var(&f.seed, "seed", 0, "the seed of demands that are drawn for requests without a key, as those of GET (another one each time)")
	fl.BoolVar(&f.any, "any", false, "answer any method outside /rdr as a GET is answered, not GET and HEAD alone")
	fl.BoolVar(&f.remote, "allow-remote", false, "listen on an address that others can reach")
	return c
}

func (f *serveFlags) config() (server.Config, error) {
	m := machine.Config{CPU: machine.CPUConfig{Cores: f.cpus, Speed: f.speed}}
	switch f.run {
	case "hold":
	case "burn":
		m.Run = machine.Burn
	default:
		return server.Config{}, fmt.Errorf("--run %s: want hold or burn", f.run)
	}
	var known bool
	if m.CPU.Discipline, known = machine.ParseDiscipline(f.discipline); !known {
		return server.Config{}, fmt.Errorf("--discipline %s: want one of %s", f.discipline, strings.Join(machine.Disciplines(), ", "))
	}
	if err := f.checkEngine(m); err != nil {
		return server.Config{}, err
	}
	if f.cpus < 1 || f.reactors < 1 || f.speed <= 0 {
		return server.Config{}, errors.New("--cpus and --reactors are at least 1, --speed is above 0")
	}
	admission, err := f.admission()
	if err != nil {
		return server.Config{}, err
	}
	get, err := f.demands()
	if err != nil {
		return server.Config{}, err
	}
	host, _, err := net.SplitHostPort(f.listen)
	if err != nil {
		return server.Config{}, fmt.Errorf("--listen %s: want HOST:PORT", f.listen)
	}
	if ip := net.ParseIP(host); !f.remote && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return server.Config{}, fmt.Errorf("--listen %s: others could reach it; say --allow-remote if that is wanted", f.listen)
	}
	return server.Config{
		Host: service.HostConfig{
			Machine: m, Topology: &service.Topology{Servers: []string{"server"}},
			Admit: admission, Named: admission.Policy == admit.Fair,
		},
		Engine: engine.Config{
			Name: f.engine, Listen: f.listen, Reactors: f.reactors, IdleTimeout: time.Hour,
			Threads: f.threads, Helpers: f.helpers, Queue: f.queue, Backlog: f.backlog,
		},
		Seed: cmp.Or(f.seed, uint64(os.Getpid())),
		Get:  get,
		Any:  f.any,
	}, nil
}

// demands is what a GET demands; nil without --get.
func (f *serveFlags) demands() (*rdr.Block, error) {
	if f.get == "" {
		return nil, nil
	}
	b, err := rdr.ParseBlock("--get", []byte(f.get), rdr.Limits{})
	if es, ok := errors.AsType[rdr.Errors](err); ok {
		return nil, errors.New(strings.TrimRight(es.Pretty(), "\n"))
	}
	if err == nil && len(b.Services())+len(b.Files()) > 0 {
		return nil, fmt.Errorf("--get '%s': a server by itself calls no service and has no files", f.get)
	}
	return b, err
}

// servePolicies are those that need no files.
func servePolicies() []string {
	return slices.DeleteFunc(admit.Policies(), func(p string) bool { return p == admit.Hits.String() || p == admit.Object.String() })
}

// admission is what the flags say of it.
func (f *serveFlags) admission() (admit.Config, error) {
	if !slices.Contains(servePolicies(), f.policy) {
		return admit.Config{}, fmt.Errorf("--policy %s: want one of %s", f.policy, strings.Join(servePolicies(), ", "))
	}
	cfg := admit.Config{Limit: f.limit, Delay: f.delay, Queue: f.pool}
	cfg.Policy, _ = admit.ParsePolicy(f.policy)
	if part, err := cfg.Check(0); err != nil {
		flag := strings.Replace(part, "queue", "pool", 1)
		return admit.Config{}, fmt.Errorf("--%s: %w", flag, err)
	}
	return cfg, nil
}

// checkEngine tells of what the engine cannot have.
func (f *serveFlags) checkEngine(m machine.Config) error {
	kind, known := engine.Shipped().Kind(f.engine)
	if !known {
		return fmt.Errorf("--engine %s: want %s", f.engine, strings.Join(engine.Shipped().Names(), " or "))
	}
	for _, of := range []struct {
		flag  string
		n     int
		kinds []string
	}{
		{"threads", f.threads, []string{"pool", "seda", "actors"}},
		{"helpers", f.helpers, []string{"amped"}},
		{"queue", f.queue, []string{"pool", "seda"}},
		{"backlog", f.backlog, []string{f.engine}},
	} {
		switch {
		case of.n < 0:
			return fmt.Errorf("--%s %d: want at least 1", of.flag, of.n)
		case of.n > 0 && !slices.Contains(of.kinds, f.engine):
			return fmt.Errorf("--%s: engine %s has none; it is for %s", of.flag, f.engine, strings.Join(of.kinds, ", "))
		}
	}
	if m.CPU.Discipline == machine.OS && !kind.Threads {
		return fmt.Errorf("--discipline os: engine %s has no threads that the operating system could schedule", f.engine)
	}
	return nil
}
