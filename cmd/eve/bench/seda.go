package bench

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/eve-emulation/eve/fase/burn"
	"github.com/eve-emulation/eve/fase/files"
	"github.com/eve-emulation/eve/fase/report"
)

// s2 is SEDA's table: servers of files in turns, with more and more readers who open their connections anew after five
// requests.
type s2 struct {
	cfg   Config
	set   *files.Set
	files *burn.Files
	why   string // apache2 is not among the rows
	rows  []*sedaRow
}

// sedaRow is one server.
type sedaRow struct {
	name      string
	published string
	address   string
	close     func()
	found     map[int]*sedaCell // by readers
}

// sedaCell is one server with a number of readers.
type sedaCell struct{ mbit, rate, mean, longest, fairness, failed []float64 }

// apache is the peer that has a process for each connection.
const apache = "apache2"

// The population of the published experiment.
const (
	sedaThink   = 20 * time.Millisecond
	sedaPerConn = 5
	sedaBacklog = 128
	sedaMost    = 1024
)

func (x *s2) levels() []int { return pick(x.cfg, []int{1, 32, 256, sedaMost}, []int{4, 16}) }

func (x *s2) run(ctx context.Context, r *Report) error {
	defer x.close()
	spec := shelfSpec{Directories: x.set.Config().Directories, Cache: x.set.Bytes() / 4}
	for _, e := range []struct{ name, published string }{
		{"seda", "Haboob: 201 Mbit/s, 547 ms, 3.9 s, 0.98"}, {ampedEngine, "Flash: 173 Mbit/s, 665 ms, 37 s, 0.99"}, {"pool", ""}, {"threads", ""},
	} {
		spec.Engine, spec.Helpers, spec.Threads, spec.Backlog = e.name, 8, 64, sedaBacklog
		p, d, err := x.cfg.openShelf(ctx, spec)
		if err != nil {
			return fmt.Errorf("%s: %w", e.name, err)
		}
		x.rows = append(x.rows, &sedaRow{name: e.name, published: e.published, address: d.TCP, close: p.stop})
	}
	if err := x.openApache(ctx); err != nil {
		return err
	}
	if err := x.measure(ctx); err != nil {
		return err
	}
	x.report(r)
	return nil
}

func (x *s2) close() {
	for _, row := range x.rows {
		row.close()
	}
}

// openApache starts Apache where it is installed, with 150 processes as in the published experiment.
func (x *s2) openApache(ctx context.Context) error {
	if _, err := program(apache); err != nil {
		x.why = "it is not installed (Debian: apt install apache2-bin)"
		return nil
	}
	return onProcessor(serverCPU, func() error {
		config := strings.NewReplacer("{files}", x.files.Folder(), "{name}", setName).Replace(apacheConfig)
		s, err := openConfigured(ctx, apache, config, "-D", "FOREGROUND", "-f", "{file}", "-k", "start")
		if err != nil {
			return fmt.Errorf("apache2: %w", err)
		}
		if _, err := answerOf(ctx, s.addr, readersSpec{Path: onePlace + x.set.Path(0)}.request()); err != nil {
			s.stop()
			x.why = err.Error()
			if strings.Contains(x.why, "403") {
				x.why = "started by root it reads as www-data, who may not enter " + x.files.Folder()
			}
			return nil
		}
		x.rows = append(x.rows, &sedaRow{
			name: apache, published: "Apache: 173 Mbit/s, 475 ms, 94 s, 0.80", address: s.addr, close: s.stop,
		})
		return nil
	})
}

// A process for each of 150 connections, without a log.
const apacheConfig = `ServerRoot "{dir}"
DefaultRuntimeDir "{dir}"
ServerName 127.0.0.1
Listen 127.0.0.1:{port}
ListenBacklog 128
PidFile "{dir}/pid"
ErrorLog "{dir}/error"
LoadModule mpm_prefork_module /usr/lib/apache2/modules/mod_mpm_prefork.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule alias_module /usr/lib/apache2/modules/mod_alias.so
User www-data
Group www-data
StartServers 150
MinSpareServers 150
MaxSpareServers 150
ServerLimit 150
MaxRequestWorkers 150
KeepAlive On
MaxKeepAliveRequests 0
KeepAliveTimeout 15
Alias "/files/{name}" "{files}"
<Directory "{files}">
  Require all granted
</Directory>
`

func (x *s2) measure(ctx context.Context) error {
	readers, err := x.cfg.partOn(ctx, clientCPU, "readers")
	if err != nil {
		return err
	}
	defer readers.stop()
	for _, n := range x.levels() {
		x.cfg.say("S2: %d readers, %d servers in turns", n, len(x.rows))
		span := pick(x.cfg, 700*time.Millisecond, 100*time.Millisecond)
		if n == sedaMost {
			span = 5 * time.Second
		}
		for round := range pick(x.cfg, 3, 1) {
			for i := range x.rows {
				if err := x.one(readers, x.rows[(i+round)%len(x.rows)], n, span); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (x *s2) one(readers *part, row *sedaRow, n int, span time.Duration) error {
	s := readersSpec{
		Address: row.address, Readers: n, Think: sedaThink, PerConn: sedaPerConn, Directories: x.set.Config().Directories,
		Warm: span / 5, For: span,
	}
	h, err := s.on(readers)
	if err != nil {
		return fmt.Errorf("%s with %d readers: %w", row.name, n, err)
	}
	if row.found == nil {
		row.found = map[int]*sedaCell{}
	}
	c := row.found[n]
	if c == nil {
		c = &sedaCell{}
		row.found[n] = c
	}
	c.mbit = append(c.mbit, h.Bytes*8/1e6/h.Seconds)
	c.rate = append(c.rate, float64(h.Answers)/h.Seconds)
	c.mean = append(c.mean, h.Mean)
	c.longest = append(c.longest, h.Longest)
	c.fairness = append(c.fairness, h.Fairness)
	c.failed = append(c.failed, float64(h.Failed))
	return nil
}

func (x *s2) report(r *Report) {
	n := x.levels()[len(x.levels())-1]
	t := &Table{
		Card: "S2", Title: fmt.Sprintf("%d readers, 5 requests a connection, 20 ms to think, backlog 128", n),
		Head: "Mbit/s", Also: []string{"mean", "longest", "fairness", "answers", "failed"}, Published: "Welsh et al. 2001: Mbit/s, mean, longest, fairness",
		Note: "response times count from the connect, where one is due; the longest counts waits that the end cut off; fairness is Jain's index over readers. " +
			"Seda, pool and threads take every connection and let requests wait; apache2 lets connections wait, of which it has 150.",
	}
	for _, row := range x.rows {
		c := row.found[n]
		t.Rows = append(t.Rows, Row{
			Name: row.name, Ours: NewFigure(One, c.mbit...), Published: row.published,
			Also: []Figure{
				NewFigure(Seconds, c.mean...), NewFigure(Seconds, c.longest...), NewFigure(One, c.fairness...),
				NewFigure(PerSecond, c.rate...), NewFigure(One, c.failed...),
			},
		})
	}
	r.Tables = append(r.Tables, t)
	r.Charts = append(r.Charts, x.chart())
	x.shapes(r, n)
}

func (x *s2) shapes(r *Report, n int) {
	seda := x.rows[0].found[n]
	r.Shapes = append(r.Shapes,
		AtLeast("S2", "seda: fairness (published 0.98)", NewFigure(One, seda.fairness...), 0.95),
		AtMost("S2", "seda: longest over mean (published 7)", Ratio(NewFigure(One, seda.longest...), NewFigure(One, seda.mean...)), 15))
	i := slices.IndexFunc(x.rows, func(row *sedaRow) bool { return row.name == apache })
	if i < 0 {
		r.Notes = append(r.Notes, "S2 is without apache2, the server that the table is about: "+x.why)
		return
	}
	a := x.rows[i].found[n]
	r.Shapes = append(r.Shapes,
		AtLeast("S2", "apache2 over seda: longest (published 24)", Ratio(NewFigure(One, a.longest...), NewFigure(One, seda.longest...)), 2),
		AtLeast("S2", "seda over apache2: fairness (published 1.2)", Ratio(NewFigure(One, seda.fairness...), NewFigure(One, a.fairness...)), 1.05))
}

func (x *s2) chart() report.Chart {
	panel := func(title string, unit Unit, y func(*sedaCell) []float64) report.ChartPanel {
		p := report.ChartPanel{Title: title, XLabel: "readers", LogX: true, FormatX: One.text, FormatY: unit.text}
		for _, row := range x.rows {
			s := report.ChartSeries{Label: row.name}
			for _, n := range x.levels() {
				s.Xs, s.Ys = append(s.Xs, float64(n)), append(s.Ys, float64(NewFigure(unit, y(row.found[n])...).Value))
			}
			p.Series = append(p.Series, s)
		}
		return p
	}
	longest := panel("longest response time", Seconds, func(c *sedaCell) []float64 { return c.longest })
	longest.LogY = true
	return report.Chart{
		Name: "s2-seda", Title: "S2  Servers of files as readers grow in number",
		Caption: "A server that lets connections wait is as fast as others in the mean, and unfair: who is not let in tries again after seconds. Fairness of 1: all readers get as much.",
		Panels: []report.ChartPanel{
			panel("Mbit/s", One, func(c *sedaCell) []float64 { return c.mbit }), longest,
			panel("fairness (Jain)", One, func(c *sedaCell) []float64 { return c.fairness }),
		},
	}
}
