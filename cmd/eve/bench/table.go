package bench

import (
	"strings"
	"unicode/utf8"
)

// A Row is one thing that was measured.
type Row struct {
	Name      string            `json:"name"`
	Ours      Figure            `json:"ours"`
	Also      []Figure          `json:"also,omitempty"`  // beside ours, under Table.Also
	Peers     map[string]Figure `json:"peers,omitempty"` // by name; in Table.Peers
	Published string            `json:"published,omitempty"`
}

// A Table is rows with the same columns. For each peer it shows the peer's figure and ours divided by it.
type Table struct {
	Card      string   `json:"card"`
	Title     string   `json:"title"`
	Head      string   `json:"head"`                // what Ours is
	Also      []string `json:"also,omitempty"`      // names of the columns beside it
	Peers     []string `json:"peers,omitempty"`     // in the order of the columns
	Published string   `json:"published,omitempty"` // who published; empty for no such column
	Rows      []Row    `json:"rows"`
	Note      string   `json:"note,omitempty"`
}

// text writes the table with aligned columns; the first is the name.
func (t *Table) text(b *strings.Builder) {
	b.WriteString("\n" + t.Card + "  " + t.Title + "\n")
	head := append([]string{"", t.Head, "interval"}, t.Also...)
	for _, p := range t.Peers {
		head = append(head, p, "ratio")
	}
	if t.Published != "" {
		head = append(head, t.Published)
	}
	rows := [][]string{head}
	for _, r := range t.Rows {
		row := []string{"  " + r.Name, r.Ours.Text(), r.Ours.interval()}
		for i := range t.Also {
			cell := "–"
			if i < len(r.Also) {
				cell = r.Also[i].Text()
			}
			row = append(row, cell)
		}
		for _, p := range t.Peers {
			row = append(row, r.Peers[p].Text(), Ratio(r.Ours, r.Peers[p]).Text())
		}
		if t.Published != "" {
			row = append(row, r.Published)
		}
		rows = append(rows, row)
	}
	writeColumns(b, rows)
	if t.Note != "" {
		b.WriteString("  " + t.Note + "\n")
	}
}

// writeColumns aligns the first column to the left, the others to the right, and leaves out those that are empty below
// their head.
func writeColumns(b *strings.Builder, rows [][]string) {
	widths := make([]int, len(rows[0]))
	for i := range widths {
		for j, r := range rows {
			if j > 0 && r[i] != "" {
				widths[i] = max(widths[i], utf8.RuneCountInString(r[i]), utf8.RuneCountInString(rows[0][i]))
			}
		}
	}
	for _, r := range rows {
		var line strings.Builder
		for i, c := range r {
			if widths[i] == 0 {
				continue
			}
			pad := strings.Repeat(" ", max(widths[i]-utf8.RuneCountInString(c), 0))
			if i == 0 {
				line.WriteString(c + pad)
			} else {
				line.WriteString("  " + pad + c)
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
}
