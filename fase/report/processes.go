package report

import (
	"fmt"
	"slices"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/runs"
)

// A process is what a target, or the process behind emulated servers, used of the host over time.
type process struct {
	name                     string
	cpu, memory, descriptors []float64
	waited, forced           []float64 // context switches per second: a thread waited, another one's turn had come
}

// maxProcesses bounds the processes of the picture.
const maxProcesses = 8

func (r *reader) process(name, prefix string) process {
	v := func(leaf string) dsv.Name { return dsv.Name(prefix + leaf) }
	return process{
		name: name, cpu: r.mean(v("cpu.utilisation")), memory: r.mean(v("memory")),
		descriptors: r.mean(v("descriptors")), waited: r.rate(v("switches.voluntary")), forced: r.rate(v("switches.involuntary")),
	}
}

// processTable has a row for each process that was measured.
func processTable(s *runs.Summary) table {
	t := table{title: "processes", head: []string{
		"", "cpu", "user", "system", "cpu/request", "memory", "max", "per descriptor", "resident", "descriptors", "threads", "waits/s", "preempted/s",
	}}
	for _, name := range s.ProcessNames() {
		p := s.Processes[name]
		t.rows = append(t.rows, []string{
			name, percent(float64(p.Utilisation)), duration(float64(p.User)), duration(float64(p.System)), duration(float64(p.PerRequest)),
			bytesOf(p.Memory.Mean), bytesOf(p.Memory.Max), bytesOf(p.Slope), bytesOf(p.Resident.Max),
			number(float64(p.Descriptors.Max)), number(float64(p.Threads.Max)), number(float64(p.Voluntary.Rate)), number(float64(p.Involuntary.Rate)),
		})
	}
	if slices.ContainsFunc(s.ProcessNames(), func(name string) bool { return s.Processes[name].Target }) {
		t.note = "cpu: 100 % is one processor; memory: resident and of no file; descriptors and threads: the most"
	}
	return t
}

func bytesOf(x runs.Number) string {
	if f := float64(x); f == f {
		return size(f)
	}
	return "–"
}

// processesPicture shows the clients' figures and those of the processes that served them on one time axis.
func (d *Data) processesPicture() (Picture, bool) {
	if len(d.processes) == 0 {
		return Picture{}, false
	}
	shown := slices.Clone(d.processes)
	slices.SortStableFunc(shown, func(a, b process) int {
		x, y := d.Summary.Processes[a.name], d.Summary.Processes[b.name]
		switch {
		case x.Target != y.Target && x.Target:
			return -1
		case x.Target != y.Target:
			return 1
		case x.CPU > y.CPU:
			return -1
		case x.CPU < y.CPU:
			return 1
		}
		return 0
	})
	shown = shown[:min(len(shown), maxProcesses)]
	slices.SortFunc(shown, func(a, b process) int { return runs.CompareNames(a.name, b.name) })
	var rows [][]panel
	if len(d.groups) > 0 {
		rows = append(rows, []panel{d.arrivals()}, []panel{d.responses()})
	}
	rows = append(rows,
		[]panel{d.used("Processor time (% of one processor)", shown, 100, func(p process) []float64 { return p.cpu })},
		[]panel{d.memory(shown)},
		[]panel{d.used("Open descriptors", shown, 1, func(p process) []float64 { return p.descriptors })},
		[]panel{d.switches(shown)},
	)
	f := d.timed(d.Summary.Scenario+": what processes used", rows)
	caption := "What the clients saw, and what the processes that served them used of the host, with all that they started: processor time, memory that belongs to no file, descriptors and context switches, in windows of " +
		duration(d.Width.Seconds()) + "."
	if len(shown) < len(d.processes) {
		caption += fmt.Sprintf(" Of %d processes %d are shown: targets first, then those that used most processor time.", len(d.processes), len(shown))
	}
	return f.picture("processes", caption+d.markCaption()+d.warmCaption()), true
}

// used draws one figure of all processes.
func (d *Data) used(title string, ps []process, factor float64, of func(process) []float64) panel {
	if len(ps) == 1 {
		title += " of " + shorten(ps[0].name, 30)
	}
	p := panel{title: title, height: thinHeight}
	for _, x := range ps {
		p.lines = append(p.lines, d.ofProcess(x, ps, scaled(of(x), factor)))
	}
	return p
}

func (d *Data) ofProcess(x process, ps []process, ys []float64) line {
	l := line{xs: d.grid.ends(), ys: ys, color: d.color(x.name), step: true, fill: len(ps) == 1}
	if len(ps) > 1 {
		l.label = shorten(x.name, 24)
	}
	return l
}

func (d *Data) memory(ps []process) panel {
	high := 0.0
	for _, x := range ps {
		high = max(high, most(x.memory))
	}
	factor, unit := axis("B", false, high)
	return d.used("Memory ("+unit+")", ps, factor, func(p process) []float64 { return p.memory })
}

// switches draws waits, and preemptions dashed.
func (d *Data) switches(ps []process) panel {
	p := d.used("Context switches: waits, and dashed preemptions (1/s)", ps, 1, func(p process) []float64 { return p.waited })
	for _, x := range ps {
		l := d.ofProcess(x, ps, x.forced)
		l.label, l.fill, l.dashes = "", false, dash(1)
		p.lines = append(p.lines, l)
	}
	return p
}
