package spans

import (
	"fmt"
	"strings"
)

// text writes the scenario.
func (w *writer) text(name string, roots []root, a *arrivals, notes []string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# Made of %d traces with %d spans, by their calls and times.\n", w.m.traces, w.m.spans)
	for _, n := range notes {
		fmt.Fprintf(&b, "# %s\n", n)
	}
	fmt.Fprintf(&b, "eve: 1\nname: %s\nabout: A system as its traces show it.\nduration: 60s\nwarmup: 5s\nrequests: |\n", name)
	mix := w.requests(&b, roots)
	b.WriteString("servers:\n")
	for _, s := range w.services {
		load := w.load(s, a)
		fmt.Fprintf(&b, "  %s_host: {cpus: %d} # %s busy in the traces\n", w.names[s], processors(load), decimal(load, 3))
	}
	b.WriteString("services:\n")
	for _, s := range w.services {
		w.serviceText(&b, s)
	}
	b.WriteString("clients:\n")
	g := a.gaps()
	arrive := "poisson"
	if g.n >= 20 && g.scv() < 0.05 {
		arrive = "constant"
	}
	asks := "request: " + mix[0]
	if len(mix) > 1 {
		asks = "mix: {"
		for i, r := range mix {
			if i > 0 {
				asks += ", "
			}
			asks += fmt.Sprintf("%s: %d", r, roots[i].count)
		}
		asks += "}"
	}
	fmt.Fprintf(&b, "  visitors:\n    %s\n    arrive: %s", asks, arrive)
	if g.n >= 2 {
		fmt.Fprintf(&b, " # the gaps have an scv of %s, %d of them; poisson: 1, constant: 0, bursts: more", decimal(g.scv(), 3), g.n)
	}
	fmt.Fprintf(&b, "\n    rate: %s\n", rateOf(a.rate()))
	return []byte(b.String())
}

// requests writes the requests of the clients and returns their names.
func (w *writer) requests(b *strings.Builder, roots []root) (names []string) {
	taken := map[string]bool{}
	for _, r := range roots {
		o := w.m.ops[r.op]
		n := name(o.name, "request", 40, func(n string) bool { return taken[n] })
		taken[n] = true
		names = append(names, n)
		fmt.Fprintf(b, "  # %s: %d traces, %s in the mean\n", w.call(o), r.count, duration(o.response.mean))
		fmt.Fprintf(b, "  request %s { call %s.%s }\n", n, w.service(o.service), w.written[r.op].name)
	}
	return names
}

// load is how many processors a service keeps busy in the mean.
func (w *writer) load(s int32, a *arrivals) float64 {
	window := seconds(a.last - a.first)
	if a.n < 2 || window <= 0 {
		return 1 // nothing is known
	}
	work := 0.0
	for _, op := range w.byOwner[s] {
		o := w.m.ops[op]
		work += float64(o.self.n) * o.self.mean
	}
	return work / window
}

func (w *writer) serviceText(b *strings.Builder, s int32) {
	n := w.names[s]
	fmt.Fprintf(b, "  %s: # %s\n    on: [%s_host]\n    requests: |\n", n, printable(clip(w.m.services[s])), n)
	for _, op := range w.byOwner[s] {
		o, x := w.m.ops[op], w.written[op]
		what := fmt.Sprintf("%s: %d executions, %s in the mean", w.call(o), o.n, duration(o.response.mean))
		if o.outside {
			what += ", known by its callers' spans alone"
		}
		fmt.Fprintf(b, "      # %s\n", what)
		if len(x.body) == 0 {
			fmt.Fprintf(b, "      request %s {}\n", x.name)
			continue
		}
		fmt.Fprintf(b, "      request %s {\n", x.name)
		render(b, "        ", x.body)
		b.WriteString("      }\n")
	}
}
