package scenario

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/admit"
)

// rawAdmit is `admit:` of a server. The nodes say where its parts are written; nil: they are not.
type rawAdmit struct {
	at, codel, bucket, control, forward *node

	policy           spot[string]
	delay            spot[time.Duration]
	limit, queue     spot[int]
	target, interval spot[time.Duration]
	rate, depth      spot[float64]
	kind, preset     spot[string]
	aim              spot[time.Duration]
	initial, tokens  spot[float64]
	after            spot[time.Duration]
	to               spot[string]
}

func admitFields(a *rawAdmit) []field {
	return []field{
		{key: "policy", value: choice(&a.policy, admit.Policies()...), def: "fcfs", help: "which of the pool is served next: whoever came first, the least demand, the earliest deadline, cache hits, those of the object served last, fair to clients, the greatest priority"},
		{key: "delay", value: duration(&a.delay, 0, false), def: "0s", help: "the pool collects: service takes from it once the oldest in it has waited so long"},
		{key: "limit", value: whole(&a.limit, 1, 1_000_000), help: "requests in service at once; without it there is no limit, and without a delay nobody waits"},
		{key: "queue", value: whole(&a.queue, 1, 1_000_000), help: "requests in the pool; those beyond are rejected with 503 and Retry-After; without it there is no bound"},
		{key: "codel", value: section(&a.codel, "codel", []field{
			{key: "target", value: duration(&a.target, time.Microsecond, false), def: "5ms", help: "an acceptable standing wait in the pool"},
			{key: "interval", value: duration(&a.interval, time.Microsecond, false), def: "100ms", help: "how long it may be exceeded before requests are rejected"},
		}), help: "rejects what has waited too long (RFC 8289)"},
		{key: "bucket", value: section(&a.bucket, "bucket", []field{
			{key: "rate", value: amount(&a.rate, rateUnit(), positive(maxRate, "above 0/s")), need: true, help: "tokens per second"},
			{key: "depth", value: amount(&a.depth, plainUnit(), bounds{1, 1e6, "from 1 to 1000000"}), def: "10", help: "tokens that it holds"},
		}), help: "a token bucket: a request that finds no token is rejected"},
		{key: "control", value: section(&a.control, "control", controlFields(a)), help: "one of SEDA's controllers of response time"},
		{key: "forward", value: section(&a.forward, "forward", []field{
			{key: "after", value: duration(&a.after, time.Microsecond, false), need: true, help: "how long in the pool"},
			{key: "to", value: choice(&a.to, "least", "random"), def: "least", help: "the other server of the service that tells the least load, or one by the request's key"},
		}), help: "hands requests that have waited too long to another server of their service"},
	}
}

func controlFields(a *rawAdmit) []field {
	return []field{
		{key: "kind", value: choice(&a.kind, "threshold", "rate"), need: true, help: "what the controller moves: the bound of the pool, by the mean response time (SEDA 2001), or the rate of a token bucket, by the 90th percentile (SEDA 2003)"},
		{key: "target", value: duration(&a.aim, time.Microsecond, false), need: true, help: "the response time at the server that it aims at"},
		{key: "preset", value: choice(&a.preset, "paper", "code"), def: "paper", help: "rate: the constants as published (above the target the rate is divided by 1.2), or as released (by 2)"},
		{key: "initial", value: amount(&a.initial, plainUnit(), bounds{0.05, admit.MaxRate, "from 0.05 to 5000"}), help: "the rate per second, or the bound (1 to 1024), at the start; without it 100 (paper), 10 (code), or a bound of 1"},
		{key: "depth", value: amount(&a.tokens, plainUnit(), bounds{1, 1e6, "from 1 to 1000000"}), help: "rate: tokens that the bucket holds; without it 1 (paper) or 10 (code)"},
	}
}

// section is a mapping whose keys count only where it is written, which at then tells.
func section(at **node, what string, fields []field) value {
	v := object(what, fields)
	read := v.read
	v.read = func(r *reader, n *node) {
		if n.src != nil {
			*at = n
			read(r, n)
		}
	}
	return v
}

// admission makes the admission of a server of what is written.
func (c *compiler) admission(s *Server, raw *rawServer) {
	a := &raw.admit
	if a.at == nil {
		return
	}
	cfg := admit.Config{Delay: a.delay.v, Limit: a.limit.v, Queue: a.queue.v}
	cfg.Policy, _ = admit.ParsePolicy(a.policy.v)
	if a.codel != nil {
		cfg.CoDel = admit.CoDelConfig{Target: a.target.v, Interval: a.interval.v}
	}
	if a.bucket != nil {
		cfg.Bucket = admit.BucketConfig{Rate: a.rate.v, Depth: a.depth.v}
	}
	if a.control != nil {
		cfg.Control = c.control(a)
	}
	if a.forward != nil {
		cfg.Forward.After = a.after.v
		if a.to.v == "random" {
			cfg.Forward.To = admit.Random
		}
	}
	s.Admit = cfg
	misread := a.at.get("limit") != nil && !a.limit.written() || a.at.get("delay") != nil && !a.delay.written()
	if !misread {
		c.checkAdmission(cfg, s.Workers, a)
	}
	switch hits := cfg.Policy == admit.Hits; {
	case !hits && cfg.Policy != admit.Object:
	case len(c.raw.files) == 0:
		c.warn(a.policy.at, fmt.Sprintf("policy %v has no files to go by", cfg.Policy), "")
	case hits && !raw.cache.written():
		c.warn(a.policy.at, "policy hits: the server has no cache", "add `cache: 16MiB`, say")
	}
}

func (c *compiler) control(a *rawAdmit) admit.ControlConfig {
	cfg := admit.ControlConfig{Kind: admit.ThresholdControl, Target: a.aim.v, Initial: a.initial.v, Depth: a.tokens.v}
	rate := a.kind.v == "rate"
	if rate {
		cfg.Kind = admit.RateControl
	}
	if a.preset.v == "code" {
		cfg.Preset = admit.Code
	}
	switch {
	case rate && a.bucket != nil:
		c.at(a.bucket, "the controller has a bucket of its own", "leave `bucket` out; `initial` and `depth` of `control` describe that of the controller")
	case !rate && a.queue.written():
		c.at(a.queue.at, "the controller moves the bound of the pool", "leave `queue` out; `initial` of `control` is the bound at the start")
	case !rate && a.initial.written() && (a.initial.v != math.Trunc(a.initial.v) || a.initial.v < 1 || a.initial.v > admit.MaxThreshold):
		c.at(a.initial.at, fmt.Sprintf("a pool has no bound of %v", a.initial.v), fmt.Sprintf("write a whole number from 1 to %d", admit.MaxThreshold))
	case !rate && a.preset.written():
		c.at(a.preset.at, "a threshold has one set of constants", "leave `preset` out")
	case !rate && a.tokens.written():
		c.at(a.tokens.at, "a threshold has no bucket", "leave `depth` out")
	}
	return cfg
}

// checkAdmission tells of parts that contradict each other.
func (c *compiler) checkAdmission(cfg admit.Config, workers int, a *rawAdmit) {
	part, err := cfg.Check(workers)
	if err == nil {
		return
	}
	at := map[string]*node{
		"policy": a.policy.at, "delay": a.delay.at, "limit": a.limit.at, "queue": a.queue.at,
		"codel": a.codel, "control": a.control, "forward": a.forward,
	}[part]
	if at == nil {
		at = a.at
	}
	fix := "write limit: 1, or as many as the server has processors"
	if errors.Is(err, admit.ErrOrder) {
		c.at(at, fmt.Sprintf("policy %v orders nobody: %v", cfg.Policy, err), fix+", or a delay")
		return
	}
	c.at(at, fmt.Sprintf("%s has no effect: %v", part, err), fix)
}

// fair reports whether some server needs to know who asks.
func (c *compiler) fair() bool {
	for i := range c.plan.Servers {
		if c.plan.Servers[i].Admit.Policy == admit.Fair {
			return true
		}
	}
	return false
}

// admission measures the gate of a server, where it has one.
func (s *standard) admission(x string) {
	if !s.plan.Servers[s.plan.Topology.Server(x)].Gated() {
		return
	}
	own, x := []string{x}, x+".admit"
	s.add(own, "mean", x+".queue", "1", "requests in the pool, weighted by time")
	s.add(own, "histogram", x+".waited", "s", "time in the pool of requests that went into service")
	s.add(own, "count", x+".rejected", "1", "requests that were answered 503 unserved")
	s.add(own, "count", x+".forwarded", "1", "requests that were handed to another server")
	for _, v := range [][3]string{
		{"rate", "1/s", "rate of the token bucket"},
		{"threshold", "1", "bound of the pool"},
		{"observed", "s", "response time that the controller compared last"},
	} {
		s.put(own, dmm.Spec{Name: dsv.Name(x + "." + v[0]), Manipulator: "last", Sync: dmm.Trigger{Every: period}}, v[1], v[2])
	}
}

// settings are what may be set of a server.
func (s *standard) settings(x string) {
	for _, v := range s.plan.Servers[s.plan.Topology.Server(x)].Settings() {
		s.put(nil, dmm.Spec{Name: dsv.Name(x + "." + v.Name), Manipulator: "last", Sync: dmm.Trigger{Change: 1e-9}}, v.Unit, v.Help)
	}
}

// Loads are the variables that tell the load of servers, with the server's index, where some server forwards requests to the
// one that tells the least; else none.
func (p *Plan) Loads() map[dsv.Name]int {
	if !slices.ContainsFunc(p.Servers, func(s Server) bool {
		return s.Admit.Forward.After > 0 && s.Admit.Forward.To == admit.Least
	}) {
		return nil
	}
	loads := make(map[dsv.Name]int, len(p.Servers))
	for i := range p.Servers {
		loads[dsv.Name(p.Servers[i].Name+".in_flight")] = i
	}
	return loads
}

// gated reports whether some server has a gate: any service may come to it.
func (p *Plan) gated() bool {
	return slices.ContainsFunc(p.Servers, func(s Server) bool { return s.Gated() })
}
