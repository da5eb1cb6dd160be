package trace

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// about is the first line of an encoded Log: what the rest does not tell.
type about struct {
	Lines      int           `json:"lines"`
	Skipped    int           `json:"skipped"`
	First      *Mistake      `json:"first,omitempty"`
	Relative   bool          `json:"relative,omitempty"`
	Resolution time.Duration `json:"resolution,omitempty"`
	TimesOnly  bool          `json:"times_only,omitempty"`
}

const aboutMark = "#eve-trace "

// Encode writes the log as CSV, gzip'd, of nanoseconds, methods and paths, which Decode reads. The same log makes the same
// bytes.
func (g *Log) Encode(w io.Writer) error {
	head, err := json.Marshal(about{g.Lines, g.Skipped, g.First, g.Relative, g.Resolution, g.Ask == nil})
	if err != nil {
		return fmt.Errorf("encode trace: %w", err)
	}
	z, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		return fmt.Errorf("encode trace: %w", err)
	}
	out := bufio.NewWriterSize(z, 64<<10)
	line := append(append([]byte(aboutMark), head...), '\n')
	last := int64(0)
	for i, at := range g.At {
		line = strconv.AppendInt(line, at-last, 10)
		last = at
		if g.Ask != nil {
			a := g.Asks[g.Ask[i]]
			line = append(append(append(append(line, ' '), a.Method...), ' '), a.Path...)
		}
		line = append(line, '\n')
		if _, err := out.Write(line); err != nil {
			return fmt.Errorf("encode trace: %w", err)
		}
		line = line[:0]
	}
	if _, err := out.Write(line); err != nil {
		return fmt.Errorf("encode trace: %w", err)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("encode trace: %w", err)
	}
	return z.Close()
}

// Decode reads what Encode wrote.
func Decode(r io.Reader) (*Log, error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, fmt.Errorf("decode trace: %w", err)
	}
	in := bufio.NewReaderSize(z, MaxLine)
	head, err := in.ReadBytes('\n')
	if err != nil {
		return nil, fmt.Errorf("decode trace: %w", err)
	}
	var a about
	rest, ok := bytes.CutPrefix(head, []byte(aboutMark))
	if !ok || json.Unmarshal(rest, &a) != nil {
		return nil, fmt.Errorf("decode trace: it does not begin with %s", strings.TrimSpace(aboutMark))
	}
	g := &Log{Lines: a.Lines, Skipped: a.Skipped, First: a.First, Relative: a.Relative, Resolution: a.Resolution}
	known := map[string]uint32{}
	for last := int64(0); ; {
		line, err := in.ReadSlice('\n')
		if err == io.EOF && len(line) == 0 {
			return g, nil
		}
		if err != nil {
			return nil, fmt.Errorf("decode trace: line %d: %w", len(g.At)+2, err)
		}
		gap, ask, _ := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte(" "))
		d, err := strconv.ParseInt(string(gap), 10, 64)
		if err != nil || d < 0 || len(g.At) == MaxLines {
			return nil, fmt.Errorf("decode trace: line %d is damaged", len(g.At)+2)
		}
		last += d
		g.At = append(g.At, last)
		if a.TimesOnly {
			continue
		}
		i, ok := known[string(ask)]
		if !ok {
			method, path, _ := strings.Cut(string(ask), " ")
			i = uint32(len(g.Asks))
			known[string(ask)] = i
			g.Asks = append(g.Asks, Ask{method, path})
		}
		g.Ask = append(g.Ask, i)
	}
}

// Window leaves the lines from from on and before until, and the requests that these have. Times stay what they are.
func (g *Log) Window(from, until time.Duration) {
	first, _ := slices.BinarySearch(g.At, int64(from))
	end, _ := slices.BinarySearch(g.At, int64(until))
	g.At = slices.Clone(g.At[first:max(first, end)])
	if g.Ask == nil {
		return
	}
	g.Ask = slices.Clone(g.Ask[first:max(first, end)])
	to := make([]uint32, len(g.Asks)) // 0: not met yet
	var asks []Ask
	for i, a := range g.Ask {
		if to[a] == 0 {
			asks = append(asks, g.Asks[a])
			to[a] = uint32(len(asks))
		}
		g.Ask[i] = to[a] - 1
	}
	g.Asks = asks
}
