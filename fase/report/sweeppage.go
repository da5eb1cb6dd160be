package report

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"html/template"

	"github.com/eve-emulation/eve/fase/sweep"
)

//go:embed sweep.html
var sweepSource string

// A SweptFile is a file of a sweep's report.
type SweptFile struct {
	Name    string
	Content []byte
}

// SweepFiles draws the report of a sweep: report.html, and each picture as SVG and PNG. scenario is the text of what was varied; notes stand
// above the table. Whatever could be drawn is there also when the error says that not everything could.
func SweepFiles(t *sweep.Table, scenario []byte, notes ...string) ([]SweptFile, error) {
	ds, err := drawAll(SweepPictures(t), true)
	var files []SweptFile
	for _, x := range ds {
		if len(x.svg) > 0 {
			files = append(files, SweptFile{x.Name + ".svg", append([]byte("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"), x.svg...)})
		}
		if len(x.png) > 0 {
			files = append(files, SweptFile{x.Name + ".png", x.png})
		}
	}
	page, perr := sweepPage(t, scenario, ds, notes)
	if perr == nil {
		files = append(files, SweptFile{PageFile, page})
	}
	return files, errors.Join(err, perr)
}

// sweepPage is one file without scripts or references to anything outside itself.
func sweepPage(t *sweep.Table, scenario []byte, ds []drawing, notes []string) ([]byte, error) {
	tmpl, err := template.New("sweep").Parse(headSource + sweepSource)
	if err != nil {
		return nil, fmt.Errorf("read page: %w", err)
	}
	content := struct {
		Name, Subtitle string
		Notes          []string
		Figures        []pageFigure
		Tables         []pageTable
		Axes           []pageAxis
		Eve            string
		Scenario       string
	}{Name: t.Name, Subtitle: sweepSubtitle(t), Notes: append(sweepRemarks(t), notes...), Eve: t.Eve, Scenario: string(scenario)}
	for _, x := range ds {
		content.Figures = append(content.Figures, pageFigure{Name: x.Name, Caption: x.Caption, SVG: template.HTML(x.svg)})
	}
	for _, x := range sweepTables(t) {
		if x.head[0] == x.title {
			x.title = "points"
		}
		content.Tables = append(content.Tables, x.first(maxPageRows, "in table.csv").page())
	}
	for _, a := range t.Axes {
		p := pageAxis{Name: a.Name()}
		for i, v := range a.Values {
			if i == 60 {
				p.Values += " …"
				break
			}
			if i > 0 {
				p.Values += " · "
			}
			p.Values += v.Label()
		}
		content.Axes = append(content.Axes, p)
	}
	var b bytes.Buffer
	if err := tmpl.Execute(&b, content); err != nil {
		return nil, fmt.Errorf("write page: %w", err)
	}
	return bytes.Map(visible, b.Bytes()), nil
}

// A pageAxis tells what was varied.
type pageAxis struct{ Name, Values string }
