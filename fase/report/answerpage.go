package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
)

//go:embed answer.html
var answerSource string

// An answerPage is a page that answers a question about a scenario: one file without scripts or references to anything outside itself.
type answerPage struct {
	Name, Subtitle string
	Words          []string
	Figures        []pageFigure
	Tables         []pageTable
	Scenario       string
}

func (p answerPage) html() ([]byte, error) {
	t, err := template.New("answer").Parse(headSource + answerSource)
	if err != nil {
		return nil, fmt.Errorf("read page: %w", err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, p); err != nil {
		return nil, fmt.Errorf("write page: %w", err)
	}
	return bytes.Map(visible, b.Bytes()), nil
}
