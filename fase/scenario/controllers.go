package scenario

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/eve-emulation/eve/dmm/expr"
	"github.com/eve-emulation/eve/fase/adapt"
	"github.com/eve-emulation/eve/fase/admit"
)

// rawControl is one entry of `control:`.
type rawControl struct {
	name, kind                 spot[string]
	scale, limit, degrade, set spot[string]
	levels                     []spot[string]
	least, most, init          spot[float64]
	metric, target             spot[string]
	per                        spot[bool]
	metrics                    []named[rawMetric]
	every, window, delay       spot[time.Duration]
	noise                      spot[float64]
	inFlight, errors, accepts  spot[string]
	tolerance                  spot[float64]
	up, down                   rawScaling
	activation                 spot[float64]
	cooldown                   spot[time.Duration]
	kp, ki, dead               spot[float64]
	increase, decrease         spot[float64]
	smoothing, queue, buffer   spot[float64]
	pinned                     spot[float64]
	long, measure, probe       spot[time.Duration]
	k, aggression              spot[float64]
	preset                     spot[string]
	alpha, beta, gamma         spot[float64]
	season, ahead              spot[time.Duration]
	utility                    spot[string]
	gain                       spot[float64]
	demands                    []rawDemand
	moves                      spot[int]
	expr                       spot[string]
	exec                       []spot[string]
	bound                      spot[time.Duration]
	config                     *node
}

// rawMetric is one metric of several.
type rawMetric struct {
	name, metric, target spot[string]
	per                  spot[bool]
}

// rawScaling is `up:` or `down:` of an HPA.
type rawScaling struct {
	at       *node
	window   spot[time.Duration]
	pick     spot[string]
	policies []named[rawPolicy]
}

type rawPolicy struct {
	pods    spot[int]
	percent spot[float64]
	period  spot[time.Duration]
}

// rawDemand is the demand of one service.
type rawDemand struct {
	service *node
	expr    spot[string]
}

// controlKinds are the kinds of controllers that every Eve has.
func controlKinds() []string {
	return []string{"hpa", "keda", "pi", "aimd", "gradient2", "vegas", "envoy", "throttle", "overload", "predictive", "utility", "remap", "expr", "program"}
}

// controlPeriod is how often a controller of a kind looks where nothing says so.
func controlPeriod(kind string) time.Duration {
	switch kind {
	case "hpa", "predictive", "utility":
		return 15 * time.Second
	case "keda", "remap":
		return 30 * time.Second
	case "envoy", "expr":
		return 100 * time.Millisecond
	}
	return time.Second
}

// controlKey is a key of a controller; kinds lists those that have it, empty for all.
type controlKey struct {
	field
	kinds string
}

func controllerFields(r *rawControl) []field {
	var list []field
	for _, k := range controllerKeys(r) {
		f := k.field
		if k.kinds != "" && f.key != "exec" && f.key != "expr" && f.key != "utility" {
			f.help = strings.Join(strings.Fields(k.kinds), ", ") + ": " + f.help
		}
		list = append(list, f)
	}
	return list
}

func controllerKeys(r *rawControl) []controlKey {
	positive := bounds{math.SmallestNonzeroFloat64, 1e9, "above 0"}
	share := bounds{0, 1, "from 0 to 1"}
	least := 10 * time.Millisecond
	all := func(f field) controlKey { return controlKey{f, ""} }
	of := func(kinds string, f field) controlKey { return controlKey{f, kinds} }
	return []controlKey{
		all(field{key: "name", value: text(&r.name), need: true, help: "what it is called in decisions, and in run.control.NAME"}),
		all(field{key: "kind", value: text(&r.kind), need: true, help: "one of those of docs/controllers.md: hpa, keda, pi, aimd, gradient2, vegas, envoy, throttle, overload, predictive, utility, remap, expr, program; or of one's own"}),
		all(field{key: "scale", value: text(&r.scale), help: "the service whose number of replicas it controls"}),
		all(field{key: "limit", value: text(&r.limit), help: "the service whose rate at each of its servers it controls"}),
		all(field{key: "degrade", value: text(&r.degrade), help: "the service whose quality level it controls: the value is the number of the level, from 0"}),
		all(field{key: "set", value: text(&r.set), help: "the variable that it controls: a setting of a client group, a server or a service, or a module's"}),
		all(field{key: "levels", value: texts(&r.levels, "level", 64), help: "of degrade, the best first"}),
		all(field{key: "least", value: level(&r.least), help: "the value does not fall below; of scale without it the service's"}),
		all(field{key: "most", value: level(&r.most), help: "the value does not rise above; of scale without it the service's"}),
		all(field{key: "init", value: level(&r.init), help: "what stands at the start, where nothing tells it"}),
		of("hpa keda pi aimd gradient2 vegas envoy throttle overload predictive utility program own", field{key: "metric", value: text(&r.metric), help: "what it sees, an expression; `it.` stands for each replica of the service that is controlled: it.cpu.utilisation"}),
		of("hpa keda pi aimd overload predictive own", field{key: "target", value: text(&r.target), help: "what the metric is held to, in its unit: 60%, 200ms"}),
		of("hpa keda own", field{key: "per", value: truth(&r.per), def: "false", help: "the metric is a total, and the target one replica's share of it"}),
		of("hpa keda utility program own", field{key: "metrics", value: items(&r.metrics, "metric", many, metricFields), help: "several metrics"}),
		all(field{key: "every", value: duration(&r.every, least, false), help: "how often it looks; without it 15s (hpa, predictive, utility), 30s (keda, remap), 100ms (envoy, expr), else 1s"}),
		all(field{key: "window", value: duration(&r.window, least, false), help: "of metrics that name none; without it as in rules"}),
		all(field{key: "delay", value: duration(&r.delay, 0, false), def: "0s", help: "how long its decisions take to act"}),
		all(field{key: "noise", value: amount(&r.noise, plainUnit(), bounds{0, 10, "from 0 to 10"}), def: "0", help: "the standard deviation of the relative error that is added to what it sees, normal and keyed by the seed: 0.05"}),
		of("aimd gradient2 vegas", field{key: "in_flight", value: text(&r.inFlight), help: "what is in flight: a limit does not rise while less than half of it is used"}),
		of("vegas", field{key: "errors", value: text(&r.errors), help: "above 0 the limit falls"}),
		of("throttle", field{key: "accepts", value: text(&r.accepts), help: "the rate of what was accepted, where `metric` is the rate of what was asked"}),
		of("hpa keda predictive gradient2", field{key: "tolerance", value: amount(&r.tolerance, plainUnit(), bounds{0, 10, "from 0 to 10"}), help: "no change where metric and target differ by less, relatively; without it 0.1; gradient2: how much longer than in the long run is taken for normal, without it 1.5"}),
		of("hpa keda", field{key: "up", value: section(&r.up.at, "up", scalingFields(&r.up)), help: "how fast it grows"}),
		of("hpa keda", field{key: "down", value: section(&r.down.at, "down", scalingFields(&r.down)).like("mapping, as `up`"), help: "how fast it shrinks"}),
		of("keda", field{key: "activation", value: level(&r.activation), help: "a metric above it wakes a service without replicas; without it 0"}),
		of("keda", field{key: "cooldown", value: duration(&r.cooldown, least, false), help: "after so long without activity it has none; without it 5min"}),
		of("pi", field{key: "kp", value: level(&r.kp), help: "of the value, per relative error; below 0 where the value has to fall for the metric to fall"}),
		of("pi", field{key: "ki", value: level(&r.ki), help: "of the value, per relative error and second"}),
		of("pi", field{key: "dead", value: amount(&r.dead, plainUnit(), share), def: "0", help: "a relative error that is taken for none"}),
		of("aimd", field{key: "increase", value: amount(&r.increase, plainUnit(), positive), help: "added while the metric is at or below its target; without it 1"}),
		of("aimd", field{key: "decrease", value: amount(&r.decrease, plainUnit(), bounds{0.01, 0.999, "from 0.01 to 0.999"}), help: "the factor while it is above; without it 0.9"}),
		of("gradient2", field{key: "smoothing", value: amount(&r.smoothing, plainUnit(), bounds{0.001, 1, "from 0.001 to 1"}), help: "the weight of the new limit; without it 0.2"}),
		of("gradient2", field{key: "queue", value: amount(&r.queue, plainUnit(), positive), help: "requests that may queue; without it 4"}),
		of("gradient2", field{key: "long", value: duration(&r.long, least, false), help: "the time of the long mean; without it 600 periods"}),
		of("envoy", field{key: "buffer", value: amount(&r.buffer, plainUnit(), bounds{0.001, 10, "from 0.001 to 10"}), help: "how much above the least response time is taken for normal, relatively; without it 0.25"}),
		of("envoy", field{key: "pinned", value: amount(&r.pinned, plainUnit(), bounds{1, 1e6, "at least 1"}), help: "the limit while the least response time is measured; without it 3"}),
		of("envoy", field{key: "measure", value: duration(&r.measure, least, false), help: "how often that is; without it every 600 periods"}),
		of("envoy vegas", field{key: "probe", value: duration(&r.probe, least, false), help: "how long that takes, without it 5 periods; vegas: how often the least response time is found anew, without it every 600 periods"}),
		of("throttle", field{key: "k", value: amount(&r.k, plainUnit(), bounds{1, 1000, "from 1 to 1000"}), help: "requests per accepted one that are let through; without it 2"}),
		of("throttle", field{key: "aggression", value: amount(&r.aggression, plainUnit(), bounds{0.01, 100, "from 0.01 to 100"}), help: "the root that is taken of the share; without it 1"}),
		of("overload", field{key: "preset", value: choice(&r.preset, "paper", "code"), def: "paper", help: "the constants as published, or as released"}),
		of("predictive", field{key: "alpha", value: amount(&r.alpha, plainUnit(), share), help: "the weight of the newest sample in the level; without it 0.5"}),
		of("predictive", field{key: "beta", value: amount(&r.beta, plainUnit(), share), help: "in the trend; without it 0.1"}),
		of("predictive", field{key: "gamma", value: amount(&r.gamma, plainUnit(), share), help: "in the season; without it 0.3"}),
		of("predictive", field{key: "season", value: duration(&r.season, least, false), help: "how long one round of the load takes; without it there is none"}),
		of("predictive", field{key: "ahead", value: duration(&r.ahead, least, false), help: "how far it looks ahead, as long as a replica takes to come; without it one period"}),
		of("utility", field{key: "utility", value: text(&r.utility), help: "the formula of which the greatest is sought, of x and the metrics by their names: min(load, 12/s * x) - 2/s * x"}),
		of("utility remap", field{key: "gain", value: amount(&r.gain, plainUnit(), bounds{0, 100, "from 0 to 100"}), help: "what a change has to bring: utility: relatively, without it 0.01; remap: of the greatest utilisation, without it 0.1"}),
		of("remap", field{key: "demands", value: demandsOf(&r.demands), help: "what each service demands, in seconds of service per second: {app: rate(app.requests) * 8ms, static: …}"}),
		of("remap", field{key: "moves", value: whole(&r.moves, 1, many), help: "moves at a time; without it as many as it takes"}),
		of("expr", field{key: "expr", value: text(&r.expr), help: "what the value is, rounded where it has to be whole"}),
		of("program", field{key: "exec", value: texts(&r.exec, "word", many), help: "the program and its arguments; docs/writing-controllers.md"}),
		of("program", field{key: "bound", value: duration(&r.bound, least, false), help: "how long it may take to answer; without it one period"}),
		of("own", field{key: "config", value: anything(&r.config), help: "its configuration"}),
	}
}

func metricFields(m *rawMetric) []field {
	return []field{
		{key: "name", value: text(&m.name), help: "what a formula or a program calls it"},
		{key: "metric", value: text(&m.metric), need: true, help: "what is seen, an expression, which may say `it.` for each replica"},
		{key: "target", value: text(&m.target), help: "what it is held to, in its unit"},
		{key: "per", value: truth(&m.per), def: "false", help: "it is a total, and the target one replica's share of it"},
	}
}

func scalingFields(s *rawScaling) []field {
	return []field{
		{key: "window", value: duration(&s.window, 0, false), help: "stabilisation: of the recommendations within it the least counts (up), the greatest (down); without it 0s and 5min"},
		{key: "select", value: choice(&s.pick, "max", "min", "disabled"), def: "max", help: "of several policies the one that allows the most, or the least; or no change this way"},
		{key: "policies", value: items(&s.policies, "policy", 16, policyFields), help: "how many replicas may change within a period; without them up 4 or 100 % per 15s, down 100 % per 15s"},
	}
}

func policyFields(p *rawPolicy) []field {
	return []field{
		{key: "pods", value: whole(&p.pods, 1, 1_000_000), help: "so many replicas"},
		{key: "percent", value: amount(&p.percent, plainUnit(), bounds{0.01, 1e6, "above 0"}), help: "or such a percentage of those at its beginning, as a plain number: 100"},
		{key: "period", value: duration(&p.period, time.Second, false), need: true, help: "within it"},
	}
}

// demandsOf is a mapping of services to expressions.
func demandsOf(dst *[]rawDemand) value {
	elem := stringShape("expression")
	return value{shape{name: "mapping", elem: &elem}, func(r *reader, n *node) {
		if n.kind != mappingNode {
			r.at(n, fmt.Sprintf("a mapping of services is due, not %s", n.what()), "write {app: rate(app.requests) * 8ms}")
			return
		}
		for _, e := range n.entries {
			d := rawDemand{service: e.key}
			text(&d.expr).read(r, e.value)
			*dst = append(*dst, d)
		}
	}}
}

// shipped makes one of the controllers that every Eve has.
func (c *compiler) shipped(n *named[rawControl], ctl *adapt.Control) adapt.Maker {
	r, period := &n.v, ctl.Period
	limited := func(kind string) { // those that control how many are in service
		if ctl.Actuator.Verb == adapt.Limit || ctl.Actuator.Verb == adapt.Degrade {
			c.at(cmp.Or(r.limit.at, r.degrade.at, n.at), fmt.Sprintf("a controller of the kind %s controls how many requests are in service", kind), "write set: SERVER.admit.limit")
		}
	}
	switch ctl.Kind {
	case "hpa":
		return c.hpa(r)
	case "keda":
		return adapt.KEDA{HPA: c.hpa(r), Activation: r.activation.v, Cooldown: r.cooldown.v}
	case "pi":
		if r.kp.v == 0 && r.ki.v == 0 {
			c.at(n.at, "both gains are 0", "write kp: and ki:")
		}
		return adapt.PI{Kp: r.kp.v, Ki: r.ki.v, Dead: r.dead.v, Period: period}
	case "aimd":
		return adapt.AIMD{Increase: r.increase.v, Decrease: r.decrease.v}
	case "gradient2":
		limited("gradient2")
		return adapt.Gradient2{Tolerance: r.tolerance.v, Smoothing: r.smoothing.v, Queue: r.queue.v, Window: periods(r.long.v, period)}
	case "vegas":
		limited("vegas")
		return adapt.Vegas{Probe: periods(r.probe.v, period)}
	case "envoy":
		limited("envoy")
		return adapt.Adaptive{Buffer: r.buffer.v, Pinned: r.pinned.v, Every: periods(r.measure.v, period), Probe: periods(r.probe.v, period)}
	case "throttle":
		if !r.accepts.written() {
			c.at(n.at, "a throttle compares what is asked with what is accepted", "write accepts: EXPRESSION")
		}
		return adapt.Throttle{K: r.k.v, Aggression: r.aggression.v, Window: rateWindow(ctl)}
	case "overload":
		preset := admit.Paper
		if r.preset.v == "code" {
			preset = admit.Code
		}
		return adapt.Overload{Preset: preset}
	case "predictive":
		return adapt.Predictive{
			Alpha: r.alpha.v, Beta: r.beta.v, Gamma: r.gamma.v, Tolerance: r.tolerance.v,
			Season: int(periods(r.season.v, period)), Ahead: int(periods(r.ahead.v, period)),
		}
	case "utility":
		return c.utility(n, ctl)
	case "remap":
		return c.remap(n, ctl)
	case "expr":
		if !r.expr.written() {
			c.at(n.at, fmt.Sprintf("controller %s says nothing", clip(ctl.Name)), "write expr: EXPRESSION")
		}
		return adapt.Follower{}
	}
	return nil
}

// rateWindow is how many seconds a metric that is a rate is taken over; 0 where it is a count.
func rateWindow(ctl *adapt.Control) float64 {
	if len(ctl.Metrics) == 0 || ctl.Metrics[0].Expr == nil || ctl.Metrics[0].Expr.Unit() != "1/s" {
		return 0
	}
	window := time.Duration(0)
	for _, read := range ctl.Metrics[0].Expr.Reads() {
		window = max(window, cmp.Or(read.Window, ctl.Window, adapt.DefaultWindow))
	}
	return window.Seconds()
}

// hpa makes the rules of an HPA.
func (c *compiler) hpa(r *rawControl) adapt.HPA {
	h := adapt.HPA{Tolerance: r.tolerance.v, Up: c.scaling(&r.up), Down: c.scaling(&r.down)}
	if r.tolerance.written() && h.Tolerance == 0 {
		h.Tolerance = -1
	}
	return h
}

func (c *compiler) scaling(r *rawScaling) adapt.Scaling {
	s := adapt.Scaling{Window: r.window.v, Select: adapt.Select(max(0, slices.Index([]string{"max", "min", "disabled"}, r.pick.v)))}
	if r.window.written() && s.Window == 0 {
		s.Window = -1
	}
	for i := range r.policies {
		p := &r.policies[i].v
		if p.pods.written() == p.percent.written() {
			c.at(r.policies[i].at, "a policy has either pods or percent", "")
		}
		s.Policies = append(s.Policies, adapt.Policy{Pods: float64(p.pods.v), Percent: p.percent.v, Period: p.period.v})
	}
	return s
}

// utility compiles the formula of a utility.
func (c *compiler) utility(n *named[rawControl], ctl *adapt.Control) adapt.Maker {
	s := n.v.utility
	if !s.written() {
		c.at(n.at, fmt.Sprintf("controller %s has no utility", clip(ctl.Name)), "write utility: min(load, 12/s * x) - 2/s * x")
		return nil
	}
	for i := range ctl.Metrics {
		if ctl.Metrics[i].Name == "x" {
			c.at(n.at, "a metric is called x, as the value is", "choose another name")
			return nil
		}
		if ctl.Metrics[i].Name == "" {
			c.at(n.at, fmt.Sprintf("metric %s has no name, by which the utility could read it", clip(ctl.Metrics[i].Text)), "write metrics: [{name: load, metric: …}]")
			return nil
		}
	}
	f, err := expr.CompileFormula(s.v, adapt.UtilityInputs(ctl.Metrics))
	if err != nil {
		c.expression(s.at, err)
		return nil
	}
	if f.IsCondition() {
		c.at(s.at, "this is a condition, not a number", "write CONDITION ? A : B")
		return nil
	}
	u := adapt.Utility{Formula: f, Gain: n.v.gain.v}
	if n.v.gain.written() && u.Gain == 0 {
		u.Gain = -1
	}
	return u
}

// remap compiles the demands of the services that a remap moves.
func (c *compiler) remap(n *named[rawControl], ctl *adapt.Control) adapt.Maker {
	m := adapt.Remap{Gain: n.v.gain.v, Most: n.v.moves.v}
	if n.v.gain.written() && m.Gain == 0 {
		m.Gain = -1
	}
	if len(n.v.demands) == 0 {
		c.at(n.at, fmt.Sprintf("controller %s knows no demands", clip(ctl.Name)), "write demands: {app: rate(app.requests) * 8ms}")
	}
	for _, d := range n.v.demands {
		svc := c.controlledService(spot[string]{d.service.text, d.service})
		p := c.number(d.expr.at, d.expr.v, 0, "1")
		if svc < 0 || p == nil {
			continue
		}
		if len(c.plan.Services[svc].On) != 1 {
			c.at(d.service, fmt.Sprintf("%s is on %d servers", d.service.text, len(c.plan.Services[svc].On)), "a remap moves services that are on one")
		}
		m.Services = append(m.Services, adapt.Placed{Name: d.service.text, Service: svc})
		ctl.Metrics = append(ctl.Metrics, adapt.Metric{Name: d.service.text, Text: d.expr.v, Expr: p, Target: math.NaN()})
		ctl.Actuator.Places = append(ctl.Actuator.Places, svc)
	}
	for i := range c.plan.Servers {
		s := &c.plan.Servers[i]
		m.Names = append(m.Names, s.Name)
		m.Capacity = append(m.Capacity, float64(max(1, s.Machine.CPU.Cores))*cmp.Or(s.Machine.CPU.Speed, 1))
	}
	return m
}
