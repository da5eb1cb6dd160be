package sweep

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
)

// ReadList reads an axis of CSV: the first row names the paths, each further row is one point of what they are set to. An empty cell leaves
// its path as the scenario has it; lines that begin with # are comments. Mistakes have file and line.
func ReadList(name string, r io.Reader) (Axis, error) {
	c := csv.NewReader(r)
	c.Comment, c.TrimLeadingSpace = '#', true
	paths, err := c.Read()
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("it is empty: the first row names the paths")
		}
		return Axis{}, fmt.Errorf("%s: %w", name, err)
	}
	for i, p := range paths {
		if paths[i] = strings.TrimSpace(strings.TrimPrefix(p, "\ufeff")); paths[i] == "" || strings.Contains(p, "=") {
			return Axis{}, fmt.Errorf("%s:1: column %d is no path: %q", name, i+1, clip(p))
		}
	}
	var rows [][]string
	for {
		row, err := c.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return Axis{}, fmt.Errorf("%s: %w", name, err)
		}
		for i := range row {
			row[i] = strings.TrimSpace(row[i])
		}
		if rows = append(rows, row); len(rows) > MaxPoints {
			return Axis{}, fmt.Errorf("%s: %w: at most %d", name, ErrTooMany, MaxPoints)
		}
	}
	if len(rows) == 0 {
		return Axis{}, fmt.Errorf("%s: no row below the paths", name)
	}
	a, err := newAxis(paths, rows)
	if err != nil {
		return Axis{}, fmt.Errorf("%s: %w", name, err)
	}
	return a, nil
}
