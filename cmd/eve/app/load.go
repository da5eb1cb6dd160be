package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/find"
	"github.com/eve-emulation/eve/fase/load"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/user"
	"github.com/eve-emulation/eve/rdr"
)

// loadFlags are those of `eve load`.
type loadFlags struct {
	targets, method, body, rdr string
	headers                    []string

	rate, arrive, stages, trace       string
	speed                             float64
	users                             int
	think, duration, warmup, patience time.Duration
	seed                              uint64

	connections, perConnection, threads int
	connect                             time.Duration
	precision                           string
	spin                                time.Duration
	insecure                            bool
	cacert                              string

	json, hdr, csv, csvEach string
	quiet                   bool
	until                   string
	find                    findFlags
}

func (a *App) loadCommand() *cobra.Command {
	var f loadFlags
	c := &cobra.Command{
		Use:   "load [URL]",
		Short: "Be one group of clients, against any HTTP server",
		Long: "Be one group of clients, against any HTTP server, without a scenario. The group is open (--rate: requests come\n" +
			"whatever the server does) or closed (--users: each waits for its answer). It asks for URL, or for one of --targets,\n" +
			"drawn anew for each request; with --rdr it posts that resource demand to an emulated server, at /rdr.\n\n" +
			"Response times count from when a request was due, so a server that stalls cannot hide it. --until ends the run\n" +
			"when a figure is known well enough; --find searches the highest load at which a condition holds.",
		Example: "  eve load http://127.0.0.1:8080/ --rate 2000/s --duration 10s\n" +
			"  eve load 127.0.0.1:8080 --rate 90/s --rdr 'cpu exp(10ms) reply 1KiB' --patience 2s\n" +
			"  eve load http://127.0.0.1:8080/ --users 64 --think 100ms --json > result.json\n" +
			"  eve load http://127.0.0.1:8080/ --stages '10s:100/s,30s:100/s..500/s' --hdr out.hgrm\n" +
			"  eve load http://127.0.0.1:8080/ --rate 500/s --until 'p99 < 5ms ± 5%' --duration 5m\n" +
			"  eve load http://127.0.0.1:8080/ --find 'p99 < 20ms'",
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			g, err := f.prepare(c.Context(), args, c.Flags().Changed)
			if err != nil {
				return wrong(fmt.Errorf("load: %w", err))
			}
			if err := g.reach(c.Context()); err != nil {
				return fmt.Errorf("load: %w", err)
			}
			if f.find.text != "" {
				return a.findLoad(c.Context(), g, f)
			}
			return a.measure(c.Context(), g, f)
		},
	}
	f.flags(c)
	return c
}

func (f *loadFlags) flags(c *cobra.Command) {
	fl := c.Flags()
	fl.StringVarP(&f.targets, "targets", "t", "", "ask for the targets of this `FILE`: vegeta's format, or JSON lines; - is the standard input")
	fl.StringVarP(&f.method, "method", "m", "", "the `METHOD`; default GET, or POST with a body")
	fl.StringArrayVarP(&f.headers, "header", "H", nil, "add a header `FIELD`, as 'Accept: text/html'; may be repeated")
	fl.StringVarP(&f.body, "body", "d", "", "the body: a `TEXT`, or @FILE")
	fl.StringVar(&f.rdr, "rdr", "", "post this `RDR` to an emulated server, as 'cpu 1ms reply 1KiB'")

	fl.StringVarP(&f.rate, "rate", "r", "", "open: requests per second, as `2000/s`, or a sine: '300/s ± 200/s every 10s'")
	fl.StringVar(&f.arrive, "arrive", "poisson", "open: `LAW` of the arrivals: poisson, constant, or bursts: 'mmpp FACTOR:STAY,…'")
	fl.StringVar(&f.trace, "trace", "", "open: requests are due when the lines of this `FILE` were: CSV, or an access log, plain or gzip'd")
	fl.Float64Var(&f.speed, "speed", 1, "--trace: so many times as fast")
	fl.IntVarP(&f.users, "users", "u", 0, "closed: `N` users, each waiting for its answer")
	fl.StringVar(&f.stages, "stages", "", "rate, or with --users users, over time: `'10s:100/s,30s:100/s..500/s'`")
	fl.DurationVar(&f.think, "think", 0, "closed: time between an answer and the next request, exponential with this mean")
	fl.DurationVar(&f.duration, "duration", 10*time.Second, "how long, the warm-up included; default with --stages what they take")
	fl.DurationVar(&f.warmup, "warmup", 0, "what comes before is not in the figures")
	fl.DurationVar(&f.patience, "patience", 0, "give a request up after so long, counted from when it was due; 0: never")
	fl.DurationVar(&f.patience, "timeout", 0, "the same as --patience")
	fl.Uint64Var(&f.seed, "seed", 1, "the seed of arrivals and demands")

	fl.IntVarP(&f.connections, "connections", "c", 0, "most connections open to a server; requests beyond wait (no limit)")
	fl.IntVar(&f.perConnection, "requests-per-connection", 0, "close a connection after so many answers (no limit)")
	fl.DurationVar(&f.connect, "connect-timeout", 0, "how long opening a connection may take (30s)")
	fl.IntVar(&f.threads, "threads", 1, "share the group over so many threads, each with connections of its own")
	fl.StringVar(&f.precision, "precision", "", "spin: poll, instead of sleep, in the last 60 µs before a request is due: exact, and costs the CPU")
	fl.DurationVar(&f.spin, "spin", 0, "poll so long instead of the 60 µs of --precision spin")
	fl.BoolVarP(&f.insecure, "insecure", "k", false, "https: take any certificate")
	fl.StringVar(&f.cacert, "cacert", "", "https: trust the certificates of this `FILE` instead of the host's")

	fl.StringVar(&f.json, "json", "", "print the result as JSON, or write it to `FILE`: --json, --json=FILE")
	fl.Lookup("json").NoOptDefVal = "-"
	fl.StringVar(&f.hdr, "hdr", "", "write response times to `FILE` for HdrHistogram: FILE.hgrm percentiles, FILE.hlog a log of seconds")
	fl.StringVar(&f.csv, "csv", "", "write a line a second to `FILE`")
	fl.StringVar(&f.csvEach, "csv-each", "second", "--csv: a line each `second` or request")
	fl.BoolVarP(&f.quiet, "quiet", "q", false, "show nothing while it runs")
	fl.StringVar(&f.until, "until", "", "end when a figure is known well enough: a `GOAL`, as 'p99 ± 5%' or 'p99 < 5ms ± 5%'; --duration is the most")
	f.find.flags(c, "rate, or with --users number of users,", time.Minute)
}

const (
	loadName = "load"
	maxUsers = 1_000_000 // as in scenarios
	// spinShare is what --precision spin polls.
	spinShare = 60 * time.Microsecond
	// maxThreads bounds --threads.
	maxThreads = 256
)

// check refuses flags that do not go together.
func (f *loadFlags) check() error {
	open, closed := f.rate != "", f.users != 0
	switch {
	case !open && !closed && f.stages == "" && f.trace == "" && f.find.text == "":
		return errors.New("want --rate N/s (an open group) or --users N (a closed one)")
	case open && closed:
		return errors.New("--rate is of an open group and --users of a closed one: want one of them")
	case f.trace != "" && (open || closed || f.stages != "" || f.find.text != "" || f.arrive != "poisson"):
		return errors.New("--trace says when requests are due: it does not go with --rate, --users, --stages, --arrive and --find")
	case !(f.speed >= 1e-3 && f.speed <= 1e6):
		return fmt.Errorf("--speed %g: want 0.001 to 1000000", f.speed)
	case f.speed != 1 && f.trace == "":
		return errors.New("--speed is of --trace FILE")
	case f.users < 0 || f.users > maxUsers:
		return fmt.Errorf("--users %d: want 1 to %d", f.users, maxUsers)
	case f.duration <= 0:
		return fmt.Errorf("--duration %v: want a time above 0, as 10s", f.duration)
	case f.think < 0 || f.patience < 0 || f.spin < 0 || f.warmup < 0 || f.connect < 0:
		return errors.New("--think, --patience, --warmup, --connect-timeout and --spin are not negative")
	case f.think > 0 && !closed && (f.stages == "" || strings.Contains(f.stages, "/")):
		return errors.New("--think is of a closed group: want --users N with it")
	case f.connections < 0 || f.perConnection < 0:
		return errors.New("--connections and --requests-per-connection are not negative")
	case f.threads < 1 || f.threads > maxThreads:
		return fmt.Errorf("--threads %d: want 1 to %d", f.threads, maxThreads)
	case f.connections > 0 && f.connections < f.threads:
		return fmt.Errorf("--connections %d: want at least one for each of %d threads", f.connections, f.threads)
	case f.precision != "" && f.precision != "spin":
		return fmt.Errorf("--precision %s: want spin, or nothing", f.precision)
	case f.csvEach != "second" && f.csvEach != "request":
		return fmt.Errorf("--csv-each %s: want second or request", f.csvEach)
	case f.hdr != "" && !strings.HasSuffix(f.hdr, ".hgrm") && !strings.HasSuffix(f.hdr, ".hlog"):
		return fmt.Errorf("--hdr %s: want a name that ends in .hgrm (percentiles) or .hlog (a log of seconds)", f.hdr)
	case f.find.text != "" && (f.until != "" || f.stages != "" || f.csv != "" || f.hdr != ""):
		return errors.New("--find makes runs of its own: it does not go with --until, --stages, --csv and --hdr")
	case f.rdr != "" && (f.targets != "" || f.body != "" || f.method != "" || len(f.headers) > 0):
		return errors.New("--rdr is posted as it is: it does not go with --targets, --method, --header and --body")
	}
	return nil
}

// prepare makes a group of clients of the flags; given tells which were.
func (f *loadFlags) prepare(ctx context.Context, args []string, given func(string) bool) (*loadGroup, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	ts, err := f.targetsOf(ctx, args)
	if err != nil {
		return nil, err
	}
	g := &loadGroup{url: ts[0].url, targets: ts, rdr: f.rdr, flags: f, cfg: user.Config{
		Name: loadName, Seed: f.seed, Users: f.users, Patience: f.patience, Topology: &service.Topology{},
	}}
	if len(ts) > 1 {
		g.url = fmt.Sprintf("%d targets of %s", len(ts), f.targets)
	}
	if err := f.sites(g); err != nil {
		return nil, err
	}
	if g.cfg.Request, err = f.request(g); err != nil {
		return nil, err
	}
	if f.think > 0 {
		g.cfg.Think = &user.Think{Mean: f.think, Exponential: true}
	}
	length, err := f.arrivals(g)
	if err != nil {
		return nil, err
	}
	if err := g.bound(); err != nil {
		return nil, err
	}
	if length == 0 || given("duration") {
		length = f.duration
	}
	if f.warmup >= length {
		return nil, fmt.Errorf("--warmup %v: want less than the %v that the run takes", f.warmup, length)
	}
	g.cfg.End, g.cfg.Warmup = dsv.At(length), dsv.At(f.warmup.Round(syncEvery))
	if f.until != "" {
		goal, err := find.ParseGoal(f.until)
		if err != nil {
			return nil, fmt.Errorf("--until: %w", err)
		}
		g.goal = &goal
	}
	return g, nil
}

// sites makes the servers that the targets are on.
func (f *loadFlags) sites(g *loadGroup) error {
	secure := load.TLS{Insecure: f.insecure}
	if f.cacert != "" {
		ca, err := readFile(f.cacert, maxInput)
		if err != nil {
			return fmt.Errorf("--cacert %w", err)
		}
		secure.CA = ca
	}
	var conf *tls.Config
	if f.insecure || f.cacert != "" {
		var err error
		if conf, err = secure.Config(); err != nil {
			return fmt.Errorf("--cacert %s: %w", f.cacert, err)
		}
	}
	for _, t := range g.targets {
		if t.node < len(g.addresses) {
			continue
		}
		name := fmt.Sprintf("t%d", t.node)
		g.cfg.Topology.Servers = append(g.cfg.Topology.Servers, name)
		g.cfg.Topology.Services = append(g.cfg.Topology.Services, name)
		g.cfg.Services = append(g.cfg.Services, service.Config{Name: name, On: []int{t.node}})
		g.addresses = append(g.addresses, t.at.Address)
		site := load.Site{Host: t.at.Host}
		if strings.HasPrefix(t.at.Address, "https://") {
			site.TLS = conf
		}
		g.sites = append(g.sites, site)
		g.services = append(g.services, "")
	}
	return nil
}

// request is what each client asks for: one of the targets, or a block for the service that the URL names.
func (f *loadFlags) request(g *loadGroup) (*rdr.Block, error) {
	if f.rdr == "" {
		return blockOf(g.targets)
	}
	if _, err := rdr.ParseBlock("--rdr", []byte(f.rdr), rdr.Limits{}); err != nil {
		return nil, plainErrors(err)
	}
	path := g.targets[0].at.Path
	name, ok := serviceIn(path)
	if !ok {
		return nil, fmt.Errorf("%s: --rdr is posted to /rdr or /rdr/SERVICE of an emulated server, not to %s", g.url, path)
	}
	g.services[0] = name
	file, err := rdr.ParseFile("request", []byte("request load { call t0 {\n"+f.rdr+"\n} }"), rdr.StartRequest)
	if err != nil {
		return nil, plainErrors(err)
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

// arrivals sets the rate, or the users, over time, and returns how long stages take.
func (f *loadFlags) arrivals(g *loadGroup) (length time.Duration, err error) {
	if g.cfg.Law, g.cfg.Bursts, err = parseLaw(f.arrive); err != nil {
		return 0, fmt.Errorf("--arrive %s: %w", f.arrive, err)
	}
	closed := f.users > 0 || f.stages != "" && !strings.Contains(f.stages, "/") && f.rate == ""
	switch {
	case closed && f.arrive != "poisson":
		return 0, errors.New("--arrive is of an open group: want --rate N/s with it")
	case f.trace != "":
		return f.replay(g)
	case f.stages != "":
		ps, length, err := parseStages(f.stages, !closed)
		if err != nil {
			return 0, err
		}
		if !closed {
			g.cfg.Rate = ps
			return length, nil
		}
		g.cfg.Users, g.steps = population(ps)
		return length, nil
	case f.rate != "":
		rate, sine, err := parseSwing(f.rate)
		if err != nil {
			return 0, fmt.Errorf("--rate %w", err)
		}
		g.cfg.Rate, g.cfg.Sine = []user.Point{{Rate: rate}}, sine
	case f.users == 0: // --find begins somewhere
		g.cfg.Rate = []user.Point{{Rate: findStart}}
	}
	return 0, nil
}

// findStart is the first rate of a search that is not told one, per second.
const findStart = 1000
