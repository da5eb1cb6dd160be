package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"slices"
	"strings"

	"github.com/eve-emulation/eve/fase/runs"
)

//go:embed page.html
var pageSource string

// headSource is the beginning of every page, with its style.
//
//go:embed head.html
var headSource string

// A Page is what report.html is made of beside the pictures.
type Page struct {
	Environment *runs.Environment // nil: not told
	Scenario    []byte            // the scenario's text; nil: not shown
}

// maxPageRows bounds the rows of one table of the page.
const maxPageRows = 300

// HTML returns the page: one file without scripts or references to anything outside itself, that opens from disk.
func (d *Data) HTML(p Page) ([]byte, error) {
	ds, err := drawAll(d.Pictures(), false)
	if err != nil {
		return nil, err
	}
	return d.html(p, ds)
}

// html is the page with pictures that are drawn already.
func (d *Data) html(p Page, ds []drawing) ([]byte, error) {
	t, err := template.New("page").Funcs(template.FuncMap{"tick": tick, "why": why}).Parse(headSource + pageSource)
	if err != nil {
		return nil, fmt.Errorf("read page: %w", err)
	}
	content := pageContent{
		Summary: d.Summary, Subtitle: subtitle(d.Summary), Scenario: string(p.Scenario), Environment: describe(p.Environment),
		Books: bookLines(d.Summary), Checks: checkLines(d.Summary), Meanings: meanings(d.Summary),
	}
	for _, n := range append(notes(d.Summary), d.Warnings...) {
		if !slices.Contains(content.Notes, n) && !slices.Contains(content.Notes, "warning: "+n) {
			content.Notes = append(content.Notes, n)
		}
	}
	for _, x := range tables(d.Summary) {
		content.Tables = append(content.Tables, x.first(maxPageRows, "in "+runs.SummaryFile).page())
	}
	for i, x := range ds {
		// The SVG is ours; whatever text of others is in it was escaped when it was drawn.
		f := pageFigure{Name: x.Name, Caption: x.Caption, SVG: template.HTML(x.svg)}
		if i == 0 {
			content.First = &f
		} else {
			content.Rest = append(content.Rest, f)
		}
	}
	var b bytes.Buffer
	if err := t.Execute(&b, content); err != nil {
		return nil, fmt.Errorf("write page: %w", err)
	}
	return bytes.Map(visible, b.Bytes()), nil
}

// visible replaces control characters, which no page may contain and no template escapes.
func visible(r rune) rune {
	if r < ' ' && r != '\n' && r != '\t' || r == 0x7f {
		return '\ufffd'
	}
	return r
}

type pageContent struct {
	Summary     *runs.Summary
	Subtitle    string
	Notes       []string
	First       *pageFigure
	Rest        []pageFigure
	Tables      []pageTable
	Books       []checkLine
	Checks      []checkLine
	Meanings    []meaning
	Environment string
	Scenario    string
}

type pageFigure struct {
	Name, Caption string
	SVG           template.HTML
}

type pageTable struct {
	Title string
	Head  []pageCell
	Rows  []pageRow
	Note  string
}

type pageRow struct {
	Class string
	Cells []pageCell
}

type pageCell struct{ Class, Text string }

func (t table) page() pageTable {
	p := pageTable{Title: strings.ToUpper(t.title[:1]) + t.title[1:], Note: t.note}
	cell := func(i int, text string) pageCell {
		c := pageCell{Text: text}
		if i == 0 || slices.Contains(t.left, i) {
			c.Class = "l"
		}
		return c
	}
	for i, h := range t.head {
		p.Head = append(p.Head, cell(i, h))
	}
	for i, r := range t.rows {
		row := pageRow{}
		if slices.Contains(t.bad, i) {
			row.Class = "bad"
		}
		for k, x := range r {
			c := cell(k, x)
			if t.head[k] == "why" {
				c.Class += " wide"
			}
			row.Cells = append(row.Cells, c)
		}
		p.Rows = append(p.Rows, row)
	}
	return p
}

func subtitle(s *runs.Summary) string {
	how := "run for real"
	if s.Kind == runs.Virtual {
		how = "simulated in virtual time"
	}
	return fmt.Sprintf("%s with seed %d by Eve %s; measured from %s to %s%s", how, s.Seed, s.Version,
		clock(float64(s.Window.From)), clock(float64(s.Window.To)), suffix(s))
}

// describe tells in words where a run was and how noisy it was there.
func describe(e *runs.Environment) string {
	if e == nil {
		return ""
	}
	s := fmt.Sprintf("%s, %d × %s, Linux %s, %s, Eve %s; started %s.", e.Host, e.CPUs, e.CPU, e.Kernel, e.Go, e.Version,
		e.Start.UTC().Format("2006-01-02 15:04:05 UTC"))
	if n := e.Noise; n != nil {
		s += fmt.Sprintf(" Other processes used %s of the CPUs, the hypervisor took %s; a sleep of 1 ms overshot by %s (p50) and %s (p99).",
			percent(float64(n.Foreign)), percent(float64(n.Steal)), duration(float64(n.Overshoot.P50)), duration(float64(n.Overshoot.P99)))
		clean := 0
		for _, i := range n.Intervals {
			if i.Clean {
				clean++
			}
		}
		s += fmt.Sprintf(" %d of %d intervals of a second were clean.", clean, len(n.Intervals))
	}
	return s
}
