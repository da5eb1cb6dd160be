package fit

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/rdr"
)

// Writing says how demands are written down. The zero value works.
type Writing struct {
	// Exponential writes demands as exponential, where they stand for requests that vary; else each is a constant. What was fitted is
	// their mean alone.
	Exponential bool
	// CPUs are the processors of the servers in the place of targets; 0: as many as the target's configuration keeps busy at
	// most, and 1 where that is not known.
	CPUs int
	// Kinds and Manipulators are for loading the scenario that was written: those of scenario.Options.
	Load scenario.Options
}

// RDR returns the requests in the language of resource demands: of runs of targets the text of the scenario, in which each `http` has
// become a call that demands its share of what the class does; where a class asks a target several times, all of them demand the same.
// Of emulated servers alone each request calls the services that it was seen to use, with the demand of processors.
func (f *Fit) RDR(w Writing) ([]byte, error) {
	plan := f.plans[0]
	var text []byte
	var err error
	if len(plan.Targets) > 0 {
		text, err = f.replaced(plan, w)
	} else {
		text, err = f.called(plan, w)
	}
	if err != nil {
		return nil, fmt.Errorf("write demands: %w", err)
	}
	text = append(f.header(), text...)
	return rdr.Format("demands.rdr", text)
}

// header tells in comments where the numbers are from.
func (f *Fit) header() []byte {
	var b bytes.Buffer
	var names []string
	for _, s := range f.Runs {
		names = append(names, s.Name)
	}
	fmt.Fprintf(&b, "# Fitted to %s, with %g %% intervals:\n", listed(names), 100*f.Confidence)
	for i := range f.Resources {
		r := &f.Resources[i]
		for c, d := range r.Demands {
			fmt.Fprintf(&b, "#   %s of %s: %s (%s to %s)\n", r.Name, f.Classes[c].Name, amount(r.Unit, d.Value), amount(r.Unit, d.Low), amount(r.Unit, d.High))
		}
		if r.Background != nil && r.Background.Value > 0 {
			fmt.Fprintf(&b, "#   %s without requests: %s in a second\n", r.Name, amount(r.Unit, r.Background.Value))
		}
	}
	return b.Bytes()
}

// replaced puts calls in the place of what is asked of targets.
func (f *Fit) replaced(plan *scenario.Plan, w Writing) ([]byte, error) {
	var problems []error
	text, err := rdr.ReplaceHTTP("requests", plan.RequestText(), func(request, target string) (string, bool) {
		i, ok := f.classes[request]
		if !ok {
			problems = append(problems, fmt.Errorf("request %s was not seen in the runs: fit one whose mix has it", request))
			return "", false
		}
		b := f.find(request)
		if b == nil {
			problems = append(problems, fmt.Errorf("request %s is in none of the scenarios", request))
			return "", false
		}
		m, err := b.Mean()
		if err != nil {
			problems = append(problems, err)
			return "", false
		}
		u := m.Of(target)
		call := "call " + target
		if u.SendBytes > 0 {
			call += " send " + amount("B", u.SendBytes/u.Visits)
		}
		var body []string
		if r := f.Fitted(target + "." + string(CPU)); r != nil {
			if d := r.Demands[i].Value / u.Visits; d >= 0.5e-9 {
				body = append(body, "cpu "+w.amount("s", d))
			}
		}
		if r := f.Fitted(target + "." + string(Bytes)); r != nil {
			if d := r.Demands[i].Value / u.Visits; d >= 0.5 {
				body = append(body, "reply "+amount("B", d))
			}
		}
		return call + " { " + strings.Join(body, "  ") + " }", true
	})
	return text, errors.Join(append(problems, err)...)
}

// find finds a request in any of the scenarios.
func (f *Fit) find(request string) *rdr.Block {
	for _, p := range f.plans {
		if b := block(p, request); b != nil {
			return b
		}
	}
	return nil
}

// called writes requests that call the services of emulated servers.
func (f *Fit) called(plan *scenario.Plan, w Writing) ([]byte, error) {
	services := make([]string, len(f.Resources)) // of each resource
	for i := range f.Resources {
		r := &f.Resources[i]
		if r.Kind != CPU {
			continue
		}
		for s := range plan.Services {
			if slices.ContainsFunc(plan.Services[s].On, func(on int) bool { return slices.Contains(r.servers, on) }) {
				if services[i] != "" {
					return nil, fmt.Errorf("%s has the services %s and %s: the demands of one cannot be told from those of the other", r.Of, services[i], plan.Services[s].Name)
				}
				services[i] = plan.Services[s].Name
			}
		}
	}
	var b bytes.Buffer
	for c, class := range f.Classes {
		demands := map[string]float64{}
		for i := range f.Resources {
			if services[i] != "" {
				demands[services[i]] += f.Resources[i].Demands[c].Value
			}
		}
		fmt.Fprintf(&b, "request %s {\n", class.Name)
		for _, s := range slices.Sorted(maps.Keys(demands)) {
			if demands[s] >= 0.5e-9 {
				fmt.Fprintf(&b, "  call %s { cpu %s }\n", s, w.amount("s", demands[s]))
			}
		}
		b.WriteString("}\n")
	}
	return b.Bytes(), nil
}

// Scenario returns the scenario of the first run with emulated servers in the place of its targets: every target becomes a service of its
// name on a server NAME_server, with the demands that were fitted, so that it can be checked, simulated, solved and planned for. What would
// only be true of the target, such as a condition over its memory, or a short name of one of its keys, is left out; left lists these. It is
// ErrNoTarget without targets, and otherwise the mistakes of the scenario that came out.
func (f *Fit) Scenario(w Writing) (text []byte, left []string, err error) {
	plan := f.plans[0]
	if len(plan.Targets) == 0 {
		return nil, nil, fmt.Errorf("write scenario: %w: it has its demands already", ErrNoTarget)
	}
	requests, err := f.RDR(w)
	if err != nil {
		return nil, nil, err
	}
	e := emulation{plan: plan, load: w.Load, set: []string{"requests=|\n" + indented(requests), "targets={}"}}
	e.servers(w.CPUs)
	e.short()
	e.conditions("expect", "slo", plan.Expect)
	e.conditions("slo", "expect", plan.SLO)
	out, err := e.loaded()
	if err != nil {
		return nil, e.left, err
	}
	return out.Text, e.left, nil
}

// An emulation is a scenario whose targets are to become servers, by overrides.
type emulation struct {
	plan    *scenario.Plan
	load    scenario.Options
	set     []string
	left    []string // out
	renamed *strings.Replacer
}

// servers puts a server and a service in the place of each target.
func (e *emulation) servers(cpus int) {
	var names []string
	for _, t := range e.plan.Targets {
		n := cpus
		if n == 0 {
			n = max(1, int(workers(t)))
		}
		server := unused(e.plan, t.Name+"_server")
		names = append(names, t.Name+".cpu.utilisation", server+".cpu.utilisation")
		e.set = append(e.set, fmt.Sprintf("servers.%s={cpus: %d}", server, n), fmt.Sprintf("services.%s={on: %s}", t.Name, server))
	}
	e.renamed = strings.NewReplacer(names...)
}

// short keeps the short names of what is still there.
func (e *emulation) short() {
	var short []string
	for _, s := range e.plan.Short {
		if slices.ContainsFunc(s.Paths, func(path string) bool { return strings.HasPrefix(path, "targets.") }) {
			e.left = append(e.left, "set: "+s.Name)
			continue
		}
		short = append(short, s.Name+": ["+strings.Join(s.Paths, ", ")+"]")
	}
	if len(e.plan.Short) > 0 {
		e.set = append(e.set, "set={"+strings.Join(short, ", ")+"}")
	}
}

// conditions keeps those of a key that can be asked of the server, as they are or with its processors in the place of the
// target's. other is a key with conditions that are of no concern here.
func (e *emulation) conditions(key, other string, list []scenario.Expect) {
	if len(list) == 0 {
		return
	}
	kept := []string{}
	for _, x := range list {
		forms := []string{x.Text, e.renamed.Replace(x.Text)}
		i := slices.IndexFunc(forms, func(text string) bool {
			_, err := e.loaded(other+"=[]", key+"=["+strconv.Quote(text)+"]")
			return err == nil
		})
		if i < 0 {
			e.left = append(e.left, key+": "+x.Text)
			continue
		}
		kept = append(kept, strconv.Quote(forms[i]))
	}
	e.set = append(e.set, key+"=["+strings.Join(kept, ", ")+"]")
}

// loaded is the scenario with what was set so far, and more.
func (e *emulation) loaded(more ...string) (*scenario.Plan, error) {
	o := e.load
	o.Set, o.Seed, o.Duration, o.Compiled = slices.Concat(e.set, more), nil, 0, true
	o.ReadFile = func(path string) ([]byte, error) {
		if b, ok := e.plan.Inputs[path]; ok {
			return b, nil
		}
		return nil, fmt.Errorf("%s: no such file", path)
	}
	return scenario.Load("fitted.yaml", e.plan.Text, o)
}

// unused is a name that no participant has.
func unused(plan *scenario.Plan, name string) string {
	taken := slices.Concat(plan.Topology.Servers, plan.Topology.Services)
	for i := range plan.Clients {
		taken = append(taken, plan.Clients[i].Name)
	}
	for i := range plan.Modules {
		taken = append(taken, plan.Modules[i].Name)
	}
	for slices.Contains(taken, name) {
		name += "_"
	}
	return name
}

// indented is a text as it stands below a key.
func indented(text []byte) string {
	var b strings.Builder
	for line := range strings.Lines(string(text)) {
		b.WriteString("  " + line)
	}
	return b.String()
}

// amount is a demand as RDR writes it.
func (w Writing) amount(unit string, x float64) string {
	if w.Exponential && unit == "s" {
		return "exp(" + amount(unit, x) + ")"
	}
	return amount(unit, x)
}

// amount is a quantity in four digits, to the nanosecond or byte.
func amount(unit string, x float64) string {
	if unit == "B" {
		return strconv.FormatFloat(math.Round(x), 'f', 0, 64) + "B"
	}
	for _, u := range []struct {
		name string
		of   float64
	}{{"s", 1}, {"ms", 1e-3}, {"us", 1e-6}} {
		if x >= 0.9995*u.of {
			return digits(x/u.of) + u.name
		}
	}
	return strconv.FormatFloat(math.Round(x*1e9), 'f', 0, 64) + "ns"
}

func digits(x float64) string {
	decimals := max(0, 3-int(math.Floor(math.Log10(x))))
	s := strconv.FormatFloat(x, 'f', decimals, 64)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}
