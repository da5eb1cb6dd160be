package report

import (
	"errors"
	"fmt"
	"slices"

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
	var errs []error
	for _, x := range d.Pictures() {
		errs = append(errs, writePicture(f, x))
	}
	page, err := d.HTML(p)
	if err == nil {
		err = f.WriteFile(PageFile, page)
	}
	if err := errors.Join(append(errs, err)...); err != nil {
		return "", fmt.Errorf("report: %w", err)
	}
	return f.Path(PageFile), nil
}

func writePicture(f *runs.Folder, p Picture) error {
	svg, err := p.SVG()
	if err != nil {
		return err
	}
	if err := f.WriteFile(p.Name+".svg", append([]byte("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"), svg...)); err != nil {
		return err
	}
	png, err := p.PNG()
	if err != nil {
		return err
	}
	return f.WriteFile(p.Name+".png", png)
}
