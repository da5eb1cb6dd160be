package report

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"strconv"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/user"
)

// Export writes the history of every variable as tidy CSV, one line for each synchronisation:
//
//	t0,t1,name,value,weight,p50,p95,p99
//
// Instants are in seconds since T0. The value is what was added in (t0, t1]: a sum, a mean, a least or greatest, the
// latest value, the mean of a histogram; the weight is the number of samples, or the seconds behind a mean over time.
// Quantiles are empty but for histograms. Records are left out: see [ExportRecords]. The caller gets the first error of
// the history after all that could be read was written.
func Export(h runs.History, w io.Writer) error {
	buf := bufio.NewWriter(w)
	out := csv.NewWriter(buf)
	_ = out.Write([]string{"t0", "t1", "name", "value", "weight", "p50", "p95", "p99"}) // its errors come back from Error
	var broken error
	for _, d := range h.Declarations() {
		if d.Merge == dsv.Append {
			continue
		}
		err := h.History(d.Name, -1, dsv.Never, func(u dsv.Update) error {
			if !u.Deleted {
				_ = out.Write(row(d, u))
			}
			return out.Error()
		})
		if out.Error() != nil {
			break
		}
		if err != nil && broken == nil {
			broken = fmt.Errorf("export %s: %w", d.Name, err)
		}
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	if err := buf.Flush(); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	return broken
}

// row is one line of the export.
func row(d dsv.Declaration, u dsv.Update) []string {
	t0, t1, v, weight := u.Reading.T1, u.Reading.T1, u.Reading.Value, u.Reading.Weight
	if u.Delta != nil {
		t0, t1, v, weight = u.Delta.T0, u.Delta.T1, u.Delta.Value, u.Delta.Weight
	}
	out := []string{seconds(t0), seconds(t1), string(d.Name), "", float(weight), "", "", ""}
	switch v.Kind {
	case dsv.Text:
		out[3] = harmless(v.Text)
	case dsv.Bytes:
		out[3] = harmless(string(v.Bytes))
	case dsv.Histogram:
		out[3] = float(v.Hist.Mean())
		out[5], out[6], out[7] = float(v.Hist.Quantile(0.5)), float(v.Hist.Quantile(0.95)), float(v.Hist.Quantile(0.99))
	default:
		x, _ := v.Number()
		if d.Merge == dsv.Mean && u.Delta != nil {
			x /= weight
		}
		out[3] = float(x)
	}
	return out
}

// harmless keeps a text from being taken as a formula by a spreadsheet.
func harmless(s string) string {
	if s != "" && (s[0] == '=' || s[0] == '+' || s[0] == '-' || s[0] == '@' || s[0] == '\t' || s[0] == '\r') {
		return "'" + s
	}
	return s
}

func seconds(t dsv.Instant) string { return strconv.FormatFloat(t.Seconds(), 'f', -1, 64) }

// float writes a number; what is not finite is empty.
func float(x float64) string {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return ""
	}
	return strconv.FormatFloat(x, 'g', -1, 64)
}

// ExportRecords writes the recorded requests of client groups as CSV, one line for each, in seconds since T0:
//
//	group,key,due,sent,done,response,outcome
//
// sent is empty for a request that never was.
func ExportRecords(h runs.History, groups []string, w io.Writer) error {
	buf := bufio.NewWriter(w)
	out := csv.NewWriter(buf)
	_ = out.Write([]string{"group", "key", "due", "sent", "done", "response", "outcome"})
	var broken error
	for _, g := range groups {
		err := runs.Requests(h, g, func(r user.Record) error {
			sent := ""
			if r.Sent >= 0 {
				sent = seconds(r.Sent)
			}
			_ = out.Write([]string{
				g, strconv.FormatUint(uint64(r.Key), 16), seconds(r.Due), sent, seconds(r.Done), seconds(r.Done - r.Due), r.Cause.String(),
			})
			return out.Error()
		})
		if err != nil && broken == nil {
			broken = fmt.Errorf("export records of %s: %w", g, err)
		}
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return fmt.Errorf("export records: %w", err)
	}
	if err := buf.Flush(); err != nil {
		return fmt.Errorf("export records: %w", err)
	}
	return broken
}
