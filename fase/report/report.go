// Package report draws what a run folder holds: pictures, a page, tables, CSV.
//
// Everything is read from the folder, never from memory, so a report can be made again, of interrupted runs too. The
// nouns: [Data] is the history of a run on windows aligned to T0, so that runs compare; a [Picture] is drawn from it, as
// SVG for the page and as PNG for everything else, by one code path.
//
//	data := report.Read(folder.History(), summary)
//	for _, p := range data.Pictures() {
//		svg, err := p.SVG()
//		…
//	}
//
// [Write] does all of that for a folder; [Text] is the summary for a terminal, [Export] and [ExportRecords] write CSV.
// Names in a run come from whoever wrote its scenario or its variables and are not trusted: every output escapes them.
package report

import (
	"bytes"
	"fmt"
	"image/color"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// A Picture is one figure, ready to be drawn.
type Picture struct {
	Name    string // of its files, without extension: [a-z0-9_-]+
	Title   string
	Caption string // what it shows and how to read it, in a sentence or two

	width, height vg.Length
	paint         func(draw.Canvas)
}

// pixels per inch of PNG files.
const pngDPI = 144

// SVG draws the picture as one <svg> element without a declaration, fit for a file and for a page.
func (p Picture) SVG() ([]byte, error) {
	c := vgsvg.New(p.width, p.height)
	page := draw.New(c)
	page.SetColor(color.White)
	page.Fill(page.Rectangle.Path())
	p.paint(page)
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		return nil, fmt.Errorf("draw %s: %w", p.Name, err)
	}
	out := b.Bytes()
	if i := bytes.Index(out, []byte("<svg")); i > 0 {
		out = out[i:]
	}
	// Metric-compatible fonts, for where Liberation is not installed.
	return bytes.ReplaceAll(out, []byte("font-family:Liberation Sans;"), []byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif;")), nil
}

// PNG draws the picture as a PNG file.
func (p Picture) PNG() ([]byte, error) {
	c := vgimg.NewWith(vgimg.UseWH(p.width, p.height), vgimg.UseDPI(pngDPI)) // it is white
	p.paint(draw.New(c))
	b, err := encodePNG(c.Image())
	if err != nil {
		return nil, fmt.Errorf("draw %s: %w", p.Name, err)
	}
	return b, nil
}
