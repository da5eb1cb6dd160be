package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/load"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/user"
	"github.com/eve-emulation/eve/internal/mono"
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
		Example: "  eve load http://127.0.0.1:8080/ --rate 2000/s --duration 10s\n" +
			"  eve load http://127.0.0.1:8080/ --users 64 --rdr 'cpu 1ms reply 1KiB' --json",
		Args: args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			g, err := f.prepare(c.Context(), args[0])
			if err != nil {
				return wrong(err)
			}
			return a.load1(c.Context(), g, f.json)
		},
	}
	fl := c.Flags()
	fl.StringVar(&f.rate, "rate", "", "open: requests per second, as 2000/s")
	fl.StringVar(&f.arrive, "arrive", "poisson", "open: poisson or constant")
	fl.IntVar(&f.users, "users", 0, "closed: so many users, each waiting for its answer")
	fl.DurationVar(&f.think, "think", 0, "closed: time between an answer and the next request, exponential with this mean")
	fl.DurationVar(&f.duration, "duration", 10*time.Second, "how long")
	fl.DurationVar(&f.patience, "patience", 0, "give a request up after so long, counted from when it was due; 0: never")
	fl.StringVar(&f.rdr, "rdr", "", "a resource demand request to post, as 'cpu 1ms reply 1KiB', to an emulated server")
	fl.Uint64Var(&f.seed, "seed", 1, "the seed of arrivals and demands")
	fl.DurationVar(&f.spin, "spin", 0, "poll, instead of sleep, so long before a request is due: exact, and costs the CPU")
	fl.BoolVar(&f.json, "json", false, "print the result as JSON")
	return c
}

// loadGroup is one group of clients, ready to run without a kernel.
type loadGroup struct {
	url    string
	target load.Target
	cfg    user.Config
	spin   time.Duration
	set    *dmm.Set
}

const loadName = "load"

func (f *loadFlags) prepare(ctx context.Context, url string) (*loadGroup, error) {
	if (f.rate == "") == (f.users == 0) {
		return nil, errors.New("want either --rate N/s or --users N")
	}
	if f.duration <= 0 || f.users < 0 || f.think < 0 || f.patience < 0 {
		return nil, errors.New("--duration is above 0; --users, --think and --patience are not negative")
	}
	target, err := load.Lookup(ctx, url)
	if err != nil {
		return nil, err
	}
	request := "http target GET " + strconv.Quote(target.Path)
	if f.rdr != "" {
		if _, err := rdr.ParseBlock("--rdr", []byte(f.rdr), rdr.Limits{}); err != nil {
			if es, ok := errors.AsType[rdr.Errors](err); ok {
				return nil, errors.New(strings.TrimRight(es.Pretty(), "\n"))
			}
			return nil, err
		}
		request = "call target { " + f.rdr + " }"
	}
	file, err := rdr.ParseFile("request", []byte("request load { "+request+" }"), rdr.StartRequest)
	if err != nil {
		return nil, err
	}
	block, _ := file.Request("load")
	g := &loadGroup{url: url, target: target, spin: f.spin, cfg: user.Config{
		Name: loadName, Seed: f.seed, Request: block, Users: f.users, Patience: f.patience, End: dsv.At(f.duration),
		Topology: &service.Topology{Servers: []string{"target"}, Services: []string{"target"}},
		Services: []service.Config{{Name: "target", On: []int{0}}},
	}}
	if f.think > 0 {
		g.cfg.Think = &user.Think{Mean: f.think, Exponential: true}
	}
	if err := f.arrivals(&g.cfg); err != nil {
		return nil, err
	}
	return g, g.measure()
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

func (g *loadGroup) measure() error {
	var specs []dmm.Spec
	for _, leaf := range []string{"latency", "send_lag"} {
		specs = append(specs, dmm.Spec{Name: loadName + "." + dsv.Name(leaf), Manipulator: "histogram"})
	}
	for _, leaf := range []string{"requests", "errors", "issued", "late"} {
		specs = append(specs, dmm.Spec{Name: loadName + "." + dsv.Name(leaf), Manipulator: "count"})
	}
	for _, c := range service.Causes() {
		specs = append(specs, dmm.Spec{Name: loadName + ".errors_" + dsv.Name(c.String()), Manipulator: "count"})
	}
	set, err := dmm.NewSet(1, 1, specs)
	g.set = set
	return err
}

// result is what `eve load` measured.
type result struct {
	URL          string            `json:"url"`
	Version      string            `json:"version"`
	Seed         uint64            `json:"seed"`
	Seconds      runs.Number       `json:"duration_seconds"`
	TargetRate   *runs.Number      `json:"target_rate_per_second"` // null: closed
	AchievedRate runs.Number       `json:"achieved_rate_per_second"`
	Issued       int64             `json:"issued"`
	Requests     int64             `json:"requests"`
	Errors       map[string]int64  `json:"errors"`
	InFlight     int64             `json:"in_flight"`
	Response     runs.Distribution `json:"response_seconds"`
	SendLag      runs.Lag          `json:"send_lag_seconds"`
	Late         int64             `json:"late"`
	Connections  uint64            `json:"connections"`
	BytesIn      uint64            `json:"bytes_in"`
	CPUSeconds   runs.Number       `json:"generator_cpu_seconds"`
	Limited      bool              `json:"generator_limited"`
	Reasons      []string          `json:"generator_limited_reasons,omitempty"`
	Arrivals     string            `json:"arrivals_sha256"`
	Messages     []string          `json:"messages,omitempty"`
	Interrupted  bool              `json:"interrupted"`
}

func (a *App) load1(ctx context.Context, g *loadGroup, asJSON bool) error {
	group := user.NewGroup(g.cfg, g.set.Var)
	group.Changed(0, 0, service.Mapping{Epoch: 1, Replicas: []service.Replica{{Server: "target", State: service.Serving}}})
	t0 := mono.Now() + int64(20*time.Millisecond)
	l, err := load.New(load.Config{
		T0: t0, Groups: []load.Group{group}, Address: func(int) string { return g.target.Address }, Host: g.target.Host,
		Services: []string{""}, End: g.cfg.End, Grace: time.Second, Spin: g.spin,
	})
	if err != nil {
		return err
	}
	stats, err := l.Run(ctx)
	r := g.result(stats, group, min(dsv.Instant(mono.Now()-t0), g.cfg.End))
	r.Interrupted = err != nil
	if err != nil && ctx.Err() == nil {
		return err
	}
	if asJSON {
		enc := json.NewEncoder(a.out)
		enc.SetIndent("", "  ")
		err = enc.Encode(r)
	} else {
		err = a.tellResult(r)
	}
	ends := runs.Ends{Interrupted: r.Interrupted, GeneratorLimited: r.Limited}
	if code := ends.Exit(); err == nil && code != runs.ExitOK {
		return &exitError{code: code}
	}
	return err
}

func (g *loadGroup) count(leaf string) int64 {
	v := g.set.Var(loadName + "." + dsv.Name(leaf)).Read()
	x, _ := v.Number()
	return int64(x)
}

// planned is how many requests were to be issued by an instant; 0 in a closed group.
func (g *loadGroup) planned(end dsv.Instant) float64 {
	if len(g.cfg.Rate) == 0 {
		return 0
	}
	return g.cfg.Rate[0].Rate * end.Seconds()
}

func (g *loadGroup) result(s load.Stats, group *user.Group, end dsv.Instant) result {
	lag := g.set.Var(loadName + ".send_lag").Read().Hist
	r := result{
		URL: g.url, Version: version(), Seed: g.cfg.Seed, Seconds: runs.Number(end.Seconds()),
		Issued: g.count("issued"), Requests: g.count("requests"), Errors: map[string]int64{"all": g.count("errors")},
		InFlight: int64(group.InFlight()), Response: runs.Distribute(g.set.Var(loadName + ".latency").Read().Hist),
		SendLag: runs.Lag{P50: runs.Number(lag.Quantile(0.5)), P99: runs.Number(lag.Quantile(0.99)), Max: runs.Number(lag.Max())},
		Late:    g.count("late"), Connections: s.Opened, BytesIn: s.BytesIn, CPUSeconds: runs.Number(s.ThreadCPU.Seconds()),
		Arrivals: g.cfg.PlanHash(),
	}
	for _, c := range service.Causes() {
		if n := g.count("errors_" + c.String()); n > 0 {
			r.Errors[c.String()] = n
		}
	}
	for _, m := range s.Messages {
		r.Messages = append(r.Messages, fmt.Sprintf("%s (%d times)", m.Text, m.Count))
	}
	r.AchievedRate = runs.Number(float64(r.Issued) / end.Seconds())
	if len(g.cfg.Rate) > 0 {
		target := runs.Number(g.cfg.Rate[0].Rate)
		r.TargetRate = &target
	}
	r.Reasons = runs.Generated{
		Open: len(g.cfg.Rate) > 0, Poisson: g.cfg.Law == user.Poisson, Planned: g.planned(end), Issued: r.Issued,
		SendLag: r.SendLag, Response: r.Response,
	}.LimitReasons()
	r.Limited = len(r.Reasons) > 0
	return r
}

func (a *App) tellResult(r result) error {
	d := r.Response
	fmt.Fprintf(a.out, "%s for %.3g s: %d requests, %.1f/s", r.URL, float64(r.Seconds), r.Requests, float64(r.AchievedRate))
	if r.TargetRate != nil {
		fmt.Fprintf(a.out, " of %.1f/s asked for", float64(*r.TargetRate))
	}
	fmt.Fprintf(a.out, "\n\nresponse time, from when it was due (n = %d)\n", d.Count)
	if d.Count > 0 {
		fmt.Fprintf(a.out, "  mean %s   p50 %s   p90 %s   p95 %s   p99 %s   p99.9 %s   max %s\n", short(float64(d.Mean)), short(float64(d.P50)),
			short(float64(d.P90)), short(float64(d.P95)), short(float64(d.P99)), short(float64(d.P999)), short(float64(d.Max)))
	}
	fmt.Fprintf(a.out, "\nerrors     %d", r.Errors["all"])
	for _, c := range service.Causes() {
		if n := r.Errors[c.String()]; n > 0 {
			fmt.Fprintf(a.out, "   %s %d", c, n)
		}
	}
	fmt.Fprintf(a.out, "\nin flight  %d in the end\nsend lag   p50 %s   p99 %s   max %s   later than 1 ms: %d\ngenerator  %.2f s of CPU, %d connections\n",
		r.InFlight, short(float64(r.SendLag.P50)), short(float64(r.SendLag.P99)), short(float64(r.SendLag.Max)), r.Late,
		float64(r.CPUSeconds), r.Connections)
	for _, m := range r.Messages {
		fmt.Fprintln(a.out, "note:", m)
	}
	for _, m := range r.Reasons {
		fmt.Fprintln(a.out, "generator limited:", m)
	}
	return nil
}
