package report

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/eve-emulation/eve/fase/runs"
)

// PageFile is the name of the page in a run folder.
const PageFile = "report.html"

// Write draws a run's report into its folder: report.html and each picture as SVG and PNG. It returns the path of the page.
func Write(f *runs.Folder, s *runs.Summary) (string, error) {
	d := Read(f.History(), s)
	if f.Damage() != nil {
		d.Warnings = append(d.Warnings, "the measurements cannot be read: "+f.Damage().Error())
	}
	for _, g := range runs.Gaps(f.History()) {
		if !slices.Contains(s.Warnings, g) {
			d.Warnings = append(d.Warnings, g)
		}
	}
	p := Page{}
	if e, err := f.Environment(); err == nil {
		p.Environment = e
	}
	if text, err := f.Scenario(); err == nil {
		p.Scenario = text
	}
	drawings, err := drawAll(d.Pictures(), true)
	errs := []error{err}
	for _, x := range drawings {
		errs = append(errs, x.write(f))
	}
	page, err := d.html(p, drawings)
	if err == nil {
		err = f.WriteFile(PageFile, page)
	}
	if err := errors.Join(append(errs, err)...); err != nil {
		return "", fmt.Errorf("report: %w", err)
	}
	return f.Path(PageFile), nil
}

// A drawing is a picture that is drawn.
type drawing struct {
	Picture
	svg, png []byte
}

// drawAll draws pictures, on as many processors as there are: as SVG, and as PNG where that is asked for. The error is of those
// that could not be drawn, which are empty.
func drawAll(ps []Picture, pngs bool) ([]drawing, error) {
	out, errs := make([]drawing, len(ps)), make([]error, 2*len(ps))
	var wg sync.WaitGroup
	var next atomic.Int64
	for range min(runtime.GOMAXPROCS(0), len(ps)) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(ps); i = int(next.Add(1)) - 1 {
				out[i].Picture = ps[i]
				out[i].svg, errs[2*i] = ps[i].SVG()
				if pngs {
					out[i].png, errs[2*i+1] = ps[i].PNG()
				}
			}
		})
	}
	wg.Wait()
	return out, errors.Join(errs...)
}

// write writes both forms of a picture into a folder.
func (x drawing) write(f *runs.Folder) error {
	if err := f.WriteFile(x.Name+".svg", append([]byte("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"), x.svg...)); err != nil {
		return err
	}
	return f.WriteFile(x.Name+".png", x.png)
}
