package app

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/load"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/user"
	"github.com/eve-emulation/eve/rdr"
)

// loadFlags are those of `eve load`.
type loadFlags struct {
	rate, arrive, rdr string
	users             int
	think, duration   time.Duration
	patience          time.Duration
	seed              uint64
	spin              time.Duration
	json              bool
}

func (a *App) loadCommand() *cobra.Command {
	var f loadFlags
	c := &cobra.Command{
		Use:   "load URL",
		Short: "Be one group of clients, against any HTTP server",
		Long: "Be one group of clients, against any HTTP server, without a scenario. The group is open (--rate: requests come\n" +
			"whatever the server does) or closed (--users: each waits for its answer). It asks for URL with GET; with --rdr it\n" +
			"posts that resource demand to an emulated server, at /rdr, and every request draws its own demands.\n\n" +
			"Response times count from when a request was due, so a server that stalls cannot hide it.",
		Example: "  eve load http://127.0.0.1:8080/ --rate 2000/s --duration 10s\n" +
			"  eve load 127.0.0.1:8080 --rate 90/s --rdr 'cpu exp(10ms) reply 1KiB' --patience 2s\n" +
			"  eve load http://127.0.0.1:8080/ --users 64 --think 100ms --json > result.json",
		Args: args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			g, err := f.prepare(c.Context(), args[0])
			if err != nil {
				return wrong(fmt.Errorf("load: %w", err))
			}
			if err := g.reach(c.Context()); err != nil {
				return fmt.Errorf("load: %w", err)
			}
			return a.measure(c.Context(), g, f.json)
		},
	}
	fl := c.Flags()
	fl.StringVar(&f.rate, "rate", "", "open: requests per second, as `2000/s`")
	fl.StringVar(&f.arrive, "arrive", "poisson", "open: `LAW` of the arrivals, poisson or constant")
	fl.IntVar(&f.users, "users", 0, "closed: `N` users, each waiting for its answer")
	fl.DurationVar(&f.think, "think", 0, "closed: time between an answer and the next request, exponential with this mean")
	fl.DurationVar(&f.duration, "duration", 10*time.Second, "how long")
	fl.DurationVar(&f.patience, "patience", 0, "give a request up after so long, counted from when it was due; 0: never")
	fl.StringVar(&f.rdr, "rdr", "", "post this `RDR` to an emulated server, as 'cpu 1ms reply 1KiB'")
	fl.Uint64Var(&f.seed, "seed", 1, "the seed of arrivals and demands")
	fl.DurationVar(&f.spin, "spin", 0, "poll, instead of sleep, so long before a request is due: exact, and costs the CPU")
	fl.BoolVar(&f.json, "json", false, "print the result as JSON")
	return c
}

const loadName = "load"

// prepare makes a group of clients of the flags.
func (f *loadFlags) prepare(ctx context.Context, url string) (*loadGroup, error) {
	switch {
	case f.rate == "" && f.users == 0:
		return nil, errors.New("want --rate N/s (an open group) or --users N (a closed one)")
	case f.rate != "" && f.users != 0:
		return nil, errors.New("--rate is of an open group and --users of a closed one: want one of them")
	case f.users < 0 || f.users > maxUsers:
		return nil, fmt.Errorf("--users %d: want 1 to %d", f.users, maxUsers)
	case f.duration <= 0:
		return nil, fmt.Errorf("--duration %v: want a time above 0, as 10s", f.duration)
	case f.think < 0 || f.patience < 0 || f.spin < 0:
		return nil, errors.New("--think, --patience and --spin are not negative")
	case f.think > 0 && f.users == 0:
		return nil, errors.New("--think is of a closed group: want --users N with it")
	}
	if !strings.Contains(url, "://") {
		url = "http://" + url
	}
	target, err := load.Lookup(ctx, url)
	if err != nil {
		return nil, err
	}
	g := &loadGroup{url: url, rdr: f.rdr, target: target, spin: f.spin, cfg: user.Config{
		Name: loadName, Seed: f.seed, Users: f.users, Patience: f.patience, End: dsv.At(f.duration),
		Topology: &service.Topology{Servers: []string{"target"}, Services: []string{"target"}},
		Services: []service.Config{{Name: "target", On: []int{0}}},
	}}
	if g.cfg.Request, err = f.request(g); err != nil {
		return nil, err
	}
	if f.think > 0 {
		g.cfg.Think = &user.Think{Mean: f.think, Exponential: true}
	}
	if err := f.arrivals(&g.cfg); err != nil {
		return nil, err
	}
	return g, g.declare()
}

const maxUsers = 1_000_000 // as in scenarios

// request is what each client asks for: the page of the URL, or a block for the service that it names.
func (f *loadFlags) request(g *loadGroup) (*rdr.Block, error) {
	text := "http target GET " + strconv.Quote(g.target.Path)
	if f.rdr != "" {
		if _, err := rdr.ParseBlock("--rdr", []byte(f.rdr), rdr.Limits{}); err != nil {
			if es, ok := errors.AsType[rdr.Errors](err); ok {
				return nil, errors.New(strings.TrimRight(es.Pretty(), "\n"))
			}
			return nil, err
		}
		var ok bool
		if g.service, ok = serviceIn(g.target.Path); !ok {
			return nil, fmt.Errorf("%s: --rdr is posted to /rdr or /rdr/SERVICE of an emulated server, not to %s", g.url, g.target.Path)
		}
		text = "call target {\n" + f.rdr + "\n}"
	}
	file, err := rdr.ParseFile("request", []byte("request load { "+text+" }"), rdr.StartRequest)
	if err != nil {
		if es, ok := errors.AsType[rdr.Errors](err); ok {
			return nil, errors.New(strings.TrimRight(es.Pretty(), "\n"))
		}
		return nil, err
	}
	block, _ := file.Request("load")
	return block, nil
}

// serviceIn returns the service that a path names, empty for the server itself; false where no RDR can be posted.
func serviceIn(path string) (string, bool) {
	name, ok := strings.CutPrefix(strings.TrimPrefix(path, "/"), "rdr")
	if !ok {
		return "", path == "/"
	}
	if name = strings.Trim(name, "/"); strings.ContainsAny(name, "/?") {
		return "", false
	}
	return name, true
}

func (f *loadFlags) arrivals(c *user.Config) error {
	if f.rate == "" {
		return nil
	}
	rate, err := strconv.ParseFloat(strings.TrimSuffix(f.rate, "/s"), 64)
	if err != nil || !(rate > 0) || rate > 1e7 {
		return fmt.Errorf("--rate %s: want requests per second, as 2000/s", f.rate)
	}
	c.Rate = []user.Point{{Rate: rate}}
	switch f.arrive {
	case "poisson":
	case "constant":
		c.Law = user.Constant
	default:
		return fmt.Errorf("--arrive %s: want poisson or constant", f.arrive)
	}
	return nil
}
