package app

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/user"
	"github.com/eve-emulation/eve/internal/mono"
)

// loadOutputs are the files that a load writes as it goes.
type loadOutputs struct {
	each bool // request
	json *outFile
	csv  *outFile
	log  *outFile
	hlog *hdrhistogram.HistogramLogWriter
	hgrm string
	wall int64 // of instant 0, in ms
	err  error // the first
}

// An outFile is a file that is written through a buffer.
type outFile struct {
	*bufio.Writer
	f *os.File
}

func createOut(name string) (*outFile, error) {
	f, err := os.Create(name)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", name, cause(err))
	}
	return &outFile{bufio.NewWriter(f), f}, nil
}

func (o *outFile) close() error { return errors.Join(o.Flush(), o.f.Close()) }

// openOutputs creates the files before the run begins, so that a mistake costs nothing.
func openOutputs(f loadFlags, g *loadGroup, t0 int64) (*loadOutputs, error) {
	o := &loadOutputs{each: f.csvEach == "request", wall: time.Now().Add(time.Duration(t0 - mono.Now())).UnixMilli()}
	var err error
	if f.json != "" && f.json != "-" {
		if o.json, err = createOut(f.json); err != nil {
			return nil, fmt.Errorf("--json %w", err)
		}
	}
	if f.csv != "" {
		if o.csv, err = createOut(f.csv); err != nil {
			return nil, fmt.Errorf("--csv %w", err)
		}
		head := "second,asked,issued,ended,errors,p50,p90,p99,max,lag_p99\n"
		if o.each {
			head = "key,due,sent,done,response,outcome\n"
		}
		o.keep(o.csv.WriteString(head))
	}
	switch {
	case strings.HasSuffix(f.hdr, ".hlog"):
		if o.log, err = createOut(f.hdr); err != nil {
			return nil, fmt.Errorf("--hdr %w", err)
		}
		o.hlog = hdrhistogram.NewHistogramLogWriter(o.log)
		o.hlog.SetBaseTime(o.wall)
		o.note(o.hlog.OutputComment("[eve load " + strings.ReplaceAll(g.url, "\n", " ") + ": response times from when requests were due, in nanoseconds]"))
		o.note(o.hlog.OutputLogFormatVersion())
		o.note(o.hlog.OutputStartTime(o.wall))
		o.note(o.hlog.OutputLegend())
	case f.hdr != "":
		o.hgrm = f.hdr
		if err := os.WriteFile(f.hdr, nil, 0o644); err != nil {
			return nil, fmt.Errorf("--hdr %q: %w", f.hdr, cause(err))
		}
	}
	return o, nil
}

func (o *loadOutputs) note(err error) {
	if o.err == nil {
		o.err = err
	}
}

func (o *loadOutputs) keep(_ int, err error) { o.note(err) }

// second writes a second.
func (o *loadOutputs) second(n int, t *loadTotals) {
	h := t.hist("latency")
	if o.csv != nil && !o.each {
		o.keep(fmt.Fprintf(o.csv, "%d,%s,%d,%d,%d,%s,%s,%s,%s,%s\n", n, decimal(t.target), t.counts["issued"], t.counts["requests"], t.counts["errors"],
			decimal(h.Quantile(0.5)), decimal(h.Quantile(0.9)), decimal(h.Quantile(0.99)), decimal(h.Max()), decimal(t.hist("send_lag").Quantile(0.99))))
	}
	if o.hlog != nil {
		x := toHdr(h)
		x.SetStartTimeMs(o.wall + int64(n)*1000)
		x.SetEndTimeMs(o.wall + int64(n+1)*1000)
		o.note(o.hlog.OutputIntervalHistogram(x))
	}
}

// record writes a request.
func (o *loadOutputs) record(r user.Record) {
	if o.csv == nil || !o.each {
		return
	}
	sent := ""
	if r.Sent >= 0 {
		sent = decimal(r.Sent.Seconds())
	}
	o.keep(fmt.Fprintf(o.csv, "%x,%s,%s,%s,%s,%s\n", uint64(r.Key), decimal(r.Due.Seconds()), sent, decimal(r.Done.Seconds()),
		decimal(r.Done.Sub(r.Due).Seconds()), r.Cause))
}

// close writes what is left.
func (o *loadOutputs) close(r *loadRun) error {
	for _, out := range []*outFile{o.json, o.csv} {
		if out != nil {
			o.note(out.close())
		}
	}
	if o.log != nil {
		o.note(o.log.close())
	}
	if o.hgrm != "" {
		f, err := createOut(o.hgrm)
		if err != nil {
			return err
		}
		o.note(writePercentiles(f, r.pump.measured.hist("latency")))
		o.note(f.close())
	}
	if o.err != nil {
		return fmt.Errorf("write results: %w", o.err)
	}
	return nil
}

// decimal writes a number for a table; nothing for what is none.
func decimal(x float64) string {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return ""
	}
	return fmt.Sprintf("%.9g", x)
}

// toHdr makes HdrHistogram's histogram of response times in nanoseconds: its layout is the same.
func toHdr(h *dsv.Hist) *hdrhistogram.Histogram {
	x := hdrhistogram.New(1, 3_600_000_000_000, 3)
	h.Buckets(func(b int, n uint64) bool {
		ns := int64(math.Round(dsv.BucketMid(b) * 1e9))
		_ = x.RecordValues(min(max(ns, 1), 3_600_000_000_000), int64(n)) // it is within the range
		return true
	})
	return x
}

// ticksPerHalf is how many lines HdrHistogram writes for each halving of the distance to 100 %.
const ticksPerHalf = 5

// writePercentiles writes response times, in milliseconds, in the text that HdrHistogram's plotter reads, as wrk2 does:
// HdrHistogram's outputPercentileDistribution.
func writePercentiles(w io.Writer, h *dsv.Hist) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "%12s %14s %10s %14s\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)")
	total := h.Count()
	if total > 0 {
		for at := 0.0; ; {
			value := h.Quantile(at)
			seen := total - h.CountAbove(value)
			if seen >= total {
				fmt.Fprintf(b, "%12.3f %2.12f %10d\n", h.Max()*1e3, 1.0, total)
				break
			}
			fmt.Fprintf(b, "%12.3f %2.12f %10d %14.2f\n", value*1e3, at, seen, 1/(1-at))
			halves := math.Floor(math.Log2(1/(1-at))) + 1
			at += 1 / (ticksPerHalf * math.Exp2(halves))
		}
	}
	mean, deviation := 0.0, 0.0
	if total > 0 {
		mean = h.Mean()
		h.Buckets(func(i int, n uint64) bool {
			d := dsv.BucketMid(i) - mean
			deviation += d * d * float64(n)
			return true
		})
		deviation = math.Sqrt(deviation / float64(total))
	}
	most := 0.0
	if total > 0 {
		most = h.Max()
	}
	fmt.Fprintf(b, "#[Mean    = %12.3f, StdDeviation   = %12.3f]\n", mean*1e3, deviation*1e3)
	fmt.Fprintf(b, "#[Max     = %12.3f, Total count    = %12d]\n", most*1e3, total)
	fmt.Fprintf(b, "#[Buckets = %12d, SubBuckets     = %12d]\n", 32, 2048)
	return b.Flush()
}
