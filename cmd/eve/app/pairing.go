package app

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/exact"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/stat"
	"github.com/eve-emulation/eve/fase/user"
	"github.com/eve-emulation/eve/rdr"
)

// The bounds of the truth test of a real run.
const (
	truthShare    = 0.03   // of the exact mean response
	truthSeconds  = 0.5e-3 // or this, whichever is more
	truthP99      = 3e-3   // s; told, and no part of the verdict
	truthClean    = 0.8    // share of the seconds that must be clean
	truthAlpha    = 0.01   // of all seeds together to judge wrongly
	notCertified  = stat.Verdict("not certified")
	closeToTheEnd = time.Second // a request due to depart so close to the end may be missing from a real run
)

// A paired request is one request as planned, as it should have been, and as it was.
type paired struct {
	due, want, got dsv.Instant // got: 0 when it was not recorded
	cause          service.Cause
	refused        bool // on its path it is turned away
}

// A pairing is all requests that a run planned, in order of their arrival.
type pairing struct {
	requests []paired
	from, to dsv.Instant // the measured window
	client   runs.Client
	noise    *runs.Noise
	strange  int // records of requests that were not planned, or recorded twice
	missing  int // requests that were answered, and of which a server recorded nothing
	unserved int // requests that failed without a server's record
	// Of how long before it departs a disturbance can touch a request; 0: since it was due. A line of many seconds, whose departures are
	// instants, forgets what was before.
	memory time.Duration
}

// pair computes the exact path of a run's plan and finds what the run recorded of each request.
func pair(plan *scenario.Plan, c truthCase, o *outcome) (*pairing, error) {
	g := &plan.Clients[0]
	p := &pairing{from: dsv.At(plan.Warmup), to: dsv.At(plan.Duration), client: o.summary.Clients[g.Name], noise: o.noise}
	var jobs []exact.Job
	var demands drawer
	index := map[rdr.Key]int{}
	for key, due := range g.Arrivals() {
		index[key] = len(jobs)
		jobs = append(jobs, exact.Job{Arrival: due, Demand: demands.cpu(g.Request, key)})
	}
	for i, at := range c.path(plan.Servers[0].Machine.CPU.Cores, jobs) {
		p.requests = append(p.requests, paired{due: jobs[i].Arrival, want: at})
	}
	folder, err := runs.Open(o.dir)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	err = runs.Requests(folder.History(), g.Name, func(r user.Record) error {
		i, ok := index[r.Key]
		if !ok || p.requests[i].got != 0 || r.Due != p.requests[i].due {
			p.strange++
			return nil
		}
		p.requests[i].got, p.requests[i].cause = r.Done, r.Cause
		return nil
	})
	return p, err
}

// A drawer draws what requests ask of the services that they call, one after the other, and allocates nothing once it has drawn one. The zero
// value is ready; it belongs to one goroutine.
type drawer struct {
	tasks []*rdr.Task // one for each depth of calls
	depth int
}

// draw shows the demands of a block under a key.
func (w *drawer) draw(b *rdr.Block, key rdr.Key, visit func(*rdr.Demand)) {
	if w.depth == len(w.tasks) {
		w.tasks = append(w.tasks, &rdr.Task{})
	}
	t := w.tasks[w.depth]
	w.depth++
	t.Draw(b, key, "", visit)
	w.depth--
}

// cpu is the CPU time that a request of this key asks of the services that it calls, in ns.
func (w *drawer) cpu(b *rdr.Block, key rdr.Key) int64 {
	var sum int64
	w.draw(b, key, func(d *rdr.Demand) {
		switch d.Op {
		case rdr.OpCall:
			sum += w.cpu(d.Block, d.Key)
		case rdr.OpCPU:
			sum += d.N
		}
	})
	return sum
}

// A verdict is one line of the result.
type verdict struct {
	name     string
	kind     runs.Kind
	seed     int64
	n        int
	exact    float64       // mean response, s
	measured float64       // s
	diff     stat.Estimate // of measured minus exact, s
	p99      float64       // of the absolute differences, s
	clean    float64       // share of clean seconds; NaN in virtual time
	sha256   string        // of the planned arrivals
	offPlan  int64         // requests that deviate from the plan
	share    bool          // exact, measured and diff are shares
	verdict  stat.Verdict
	notes    []string
}

// check fails the verdict unless ok.
func (v *verdict) check(ok bool, format string, args ...any) {
	if !ok {
		v.verdict = stat.Fail
		v.notes = append(v.notes, fmt.Sprintf(format, args...))
	}
}

// measure fills in the figures of the requests that are counted.
func (v *verdict) measure(requests []paired, confidence float64) {
	var want, got, off []float64
	for _, r := range requests {
		w, g := r.want.Sub(r.due).Seconds(), r.got.Sub(r.due).Seconds()
		want, got, off = append(want, w), append(got, g), append(off, math.Abs(g-w))
	}
	v.n, v.exact, v.measured = len(want), mean(want), mean(got)
	slices.Sort(off)
	v.p99 = stat.Quantile(off, 0.99)
	var err error
	if v.diff, err = stat.Paired(got, want, stat.Batches, confidence); err != nil {
		v.diff = stat.Estimate{Low: nan, High: nan}
		v.notes = append(v.notes, "the difference has no interval: "+err.Error())
	}
	shift := v.measured - v.exact - v.diff.Value // batches leave the first few requests out
	v.diff.Value, v.diff.Low, v.diff.High = v.diff.Value+shift, v.diff.Low+shift, v.diff.High+shift
}

func mean(xs []float64) float64 {
	sum := 0.0
	for _, x := range xs {
		sum += x
	}
	return sum / float64(len(xs))
}

// books checks what must hold of any run of a plan.
func (p *pairing) books(v *verdict, end dsv.Instant) {
	v.sha256, v.offPlan = p.client.ArrivalsSHA256, p.client.ArrivalsOffPlan
	failed, missing, spared := 0, 0, 0
	for _, r := range p.requests {
		switch {
		case r.got == 0 && r.want <= end:
			missing++
		case r.got != 0 && r.refused && r.cause == service.OK:
			spared++
		case r.cause != service.OK && !r.refused:
			failed++
		}
	}
	v.check(missing == 0, "%d requests are missing", missing)
	v.check(failed == 0, "%d requests failed", failed)
	v.check(spared == 0, "%d requests were served that should have been refused", spared)
	v.check(p.strange == 0, "%d records are of no planned request", p.strange)
	v.check(v.offPlan == 0, "arrivals_off_plan is %d", v.offPlan)
	v.check(p.client.Accounting.Balanced, "the books do not balance: %+v", p.client.Accounting)
}

// judgeVirtual wants every request of the whole run on its exact path, to the nanosecond or within slack.
func (p *pairing) judgeVirtual(v *verdict, slack time.Duration) {
	v.verdict, v.clean = stat.Pass, nan
	var ended []paired
	off := 0
	for _, r := range p.requests {
		if r.got == 0 {
			continue
		}
		ended = append(ended, r)
		if d := r.got.Sub(r.want).Abs(); d > slack {
			off++
		}
	}
	v.measure(ended, 1-truthAlpha)
	v.check(off == 0, "%d of %d requests are off their exact path", off, len(ended))
	p.books(v, p.to-dsv.Instant(slack))
}

// judgeReal judges the mean difference over the clean seconds of the measured window; what was measured in the others is
// told, and decides nothing.
func (p *pairing) judgeReal(v *verdict, seeds int) {
	var all, undisturbed []paired
	for _, r := range p.requests {
		if r.due <= p.from || r.got == 0 {
			continue
		}
		all = append(all, r)
		from, to := r.due, max(r.got, r.want)
		if p.memory > 0 {
			from = max(from, min(r.got, r.want).Add(-p.memory))
		}
		if p.noise.CleanAt(from.Seconds(), to.Seconds()) {
			undisturbed = append(undisturbed, r)
		}
	}
	v.clean = p.cleanShare()
	confidence := 1 - truthAlpha/float64(seeds)
	v.measure(undisturbed, confidence)
	switch {
	case p.client.GeneratorLimited:
		v.verdict = notCertified
		v.notes = append(v.notes, p.client.GeneratorReasons...)
	case v.clean < truthClean:
		v.verdict = notCertified
		v.notes = append(v.notes, "the machine was too noisy for a verdict")
		if p.noise != nil {
			v.notes = append(v.notes, p.noise.Reasons...)
		}
	default:
		v.verdict = stat.Equivalence(v.diff, max(truthShare*v.exact, truthSeconds))
	}
	if rest := len(all) - len(undisturbed); rest > 0 {
		var d float64
		for _, r := range all {
			d += r.got.Sub(r.want).Seconds() / float64(len(all))
		}
		v.notes = append(v.notes, fmt.Sprintf("with the %d requests of noisy seconds the mean difference is %+.3f ms", rest, 1e3*d))
	}
	if v.p99 > truthP99 {
		v.notes = append(v.notes, fmt.Sprintf("p99 of the differences is above %s", short(truthP99)))
	}
	p.books(v, p.to.Add(-closeToTheEnd))
}

// cleanShare is the share of the measured window's seconds that the noise gate calls clean.
func (p *pairing) cleanShare() float64 {
	n, clean := 0, 0
	if p.noise != nil {
		for _, i := range p.noise.Intervals {
			if float64(i.To) <= p.from.Seconds() || float64(i.From) >= p.to.Seconds() {
				continue
			}
			n++
			if i.Clean {
				clean++
			}
		}
	}
	if n == 0 {
		return 0
	}
	return float64(clean) / float64(n)
}

// tell prints the verdicts.
func (t *truth) tell() {
	if len(t.verdicts) == 0 {
		return
	}
	w := tabwriter.NewWriter(t.app.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "CASE\tHOW\tSEED\tREQUESTS\tEXACT MEAN\tMEASURED\tDIFFERENCE\tINTERVAL\tP99 OFF\tCLEAN\tARRIVALS\tOFF PLAN\tVERDICT")
	for _, v := range t.verdicts {
		clean := "–"
		if !math.IsNaN(v.clean) {
			clean = fmt.Sprintf("%.0f %%", 100*v.clean)
		}
		diff, interval := "–", "–"
		if !math.IsNaN(v.diff.Value) {
			scale, unit := v.unit()
			diff = fmt.Sprintf("%+.3f %s (%+.2f %%)", scale*v.diff.Value, unit, 100*v.diff.Value/v.exact)
			interval = fmt.Sprintf("%+.3f to %+.3f %s", scale*v.diff.Low, scale*v.diff.High, unit)
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%.8s\t%d\t%s\n",
			v.name, v.kind, v.seed, v.n, v.figure(v.exact), v.figure(v.measured), diff, interval, milli(v.p99), clean, v.sha256, v.offPlan, v.verdict)
	}
	_ = w.Flush()
	for _, v := range t.verdicts {
		if len(v.notes) > 0 {
			fmt.Fprintf(t.app.out, "%s %s, seed %d: %s\n", v.name, v.kind, v.seed, strings.Join(v.notes, "; "))
		}
	}
}

// unit is in which the figures are told.
func (v *verdict) unit() (scale float64, name string) {
	if v.share {
		return 100, "%"
	}
	return 1e3, "ms"
}

func (v *verdict) figure(x float64) string {
	if v.share && !math.IsNaN(x) {
		return fmt.Sprintf("%.3f %%", 100*x)
	}
	return milli(x)
}

func milli(seconds float64) string {
	if math.IsNaN(seconds) {
		return "–"
	}
	return fmt.Sprintf("%.3f ms", 1e3*seconds)
}
