package runs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/stat"
)

// SummaryVersion is the version of the layout of summary.json. It rises when a field changes its meaning or goes.
const SummaryVersion = 1

// Kind says how a run was executed.
type Kind string

// The kinds of run.
const (
	Real    Kind = "run" // real processes, real time
	Virtual Kind = "sim" // virtual time
)

// A Summary is the content of summary.json. Durations are in seconds, instants in seconds since T0; numbers are rounded
// to nine significant digits. docs/summary.md describes each field.
type Summary struct {
	Summary     int    `json:"summary"` // SummaryVersion
	Version     string `json:"version"` // of Eve
	Kind        Kind   `json:"kind"`
	Scenario    string `json:"scenario"`
	About       string `json:"about,omitempty"`
	Seed        uint64 `json:"seed"`
	Exit        Exit   `json:"exit"`
	Interrupted bool   `json:"interrupted"`
	Error       string `json:"error,omitempty"`

	Duration Number   `json:"duration_seconds"` // as planned, warm-up included
	Window   Interval `json:"window_seconds"`   // what is measured: from the end of the warm-up to the end of the run

	Clients   map[string]Client                 `json:"clients"`
	Servers   map[string]map[Resource]Resourced `json:"servers"`
	Caches    map[string]Cache                  `json:"caches,omitempty"` // of servers with files
	Services  map[string]Service                `json:"services"`
	Stations  map[string]Station                `json:"stations,omitempty"` // workers of services, and locks of servers
	Processes map[string]Process                `json:"processes"`          // what targets, and processes behind servers, used of the host
	Variables map[string]Variable               `json:"variables"`          // what modules measured
	Checks    []Check                           `json:"checks"`
	Books     *Bookkeeping                      `json:"books"`
	Decisions []Decision                        `json:"decisions"`
	Transfers []Transfer                        `json:"transfers,omitempty"` // copies of services
	Faults    []Fault                           `json:"faults,omitempty"`    // what went wrong, as planned
	Expect    []Expect                          `json:"expect"`
	// Adaptation says how well the run adapted; absent where nothing could, and there is no `slo:`.
	Adaptation *Adaptation `json:"adaptation,omitempty"`
	Controls   []Control   `json:"controls,omitempty"` // controllers, and what they controlled
	Modules    []Module    `json:"modules"`
	Warnings   []string    `json:"warnings"`
}

// An Interval is a stretch of the run, in seconds since T0.
type Interval struct {
	From Number `json:"from"`
	To   Number `json:"to"`
}

// A Number is a float64 that is written with nine significant digits, so that the same results give the same bytes;
// what is not finite is written as null.
type Number float64

// MarshalJSON writes the number.
func (n Number) MarshalJSON() ([]byte, error) {
	x := float64(n)
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return []byte("null"), nil
	}
	short := strconv.FormatFloat(x, 'g', 9, 64)
	rounded, err := strconv.ParseFloat(short, 64)
	if err != nil {
		return nil, err
	}
	return json.Marshal(rounded + 0) // + 0: no negative zero
}

// UnmarshalJSON reads the number; null is NaN.
func (n *Number) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*n = Number(math.NaN())
		return nil
	}
	var x float64
	if err := json.Unmarshal(b, &x); err != nil {
		return err
	}
	*n = Number(x)
	return nil
}

// A Distribution describes samples in seconds, or in the unit of their variable. Without samples all but Count is NaN, null in JSON. Count, mean and
// maximum are exact; quantiles are within 0.1 %.
type Distribution struct {
	Count uint64 `json:"count"`
	Mean  Number `json:"mean"`
	P50   Number `json:"p50"`
	P90   Number `json:"p90"`
	P95   Number `json:"p95"`
	P99   Number `json:"p99"`
	P999  Number `json:"p999"`
	Max   Number `json:"max"`
}

// Distribute describes the samples of a histogram; nil has none.
func Distribute(h *dsv.Hist) Distribution {
	q := func(p float64) Number { return Number(h.Quantile(p)) }
	return Distribution{
		Count: h.Count(), Mean: Number(h.Mean()), Max: Number(h.Max()),
		P50: q(0.5), P90: q(0.9), P95: q(0.95), P99: q(0.99), P999: q(0.999),
	}
}

// A Lag describes how late the generator sent, in seconds.
type Lag struct {
	P50 Number `json:"p50"`
	P99 Number `json:"p99"`
	Max Number `json:"max"`
}

// A Client is the result of one group of clients, over the window unless said otherwise.
type Client struct {
	Model            string           `json:"model"`                            // "open" or "closed"
	Requests         int64            `json:"requests"`                         // finished, whatever the outcome
	Errors           map[string]int64 `json:"errors"`                           // by cause, each cause of which there was one; and "all"
	TargetRate       Number           `json:"target_rate_per_second"`           // open: mean of the planned rate; closed: null
	AchievedRate     Number           `json:"achieved_rate_per_second"`         // requests issued
	Throughput       Number           `json:"throughput_per_second"`            // requests finished without error
	Response         Distribution     `json:"response_seconds"`                 // from due to last byte, errors and time-outs included
	ResponseInterval *Estimate        `json:"response_mean_interval,omitempty"` // the mean's of Intervals
	FirstByte        *Distribution    `json:"first_byte_seconds,omitempty"`     // from due to the first byte of the first answer; absent in virtual time
	Connect          *Distribution    `json:"connect_seconds,omitempty"`        // to open a connection for a request; inside the response time too
	SendLag          Lag              `json:"send_lag_seconds"`
	Late             int64            `json:"late"`      // sent more than 1 ms after they were due
	Dropped          int64            `json:"dropped"`   // due, and never sent
	Abandoned        int64            `json:"abandoned"` // given up by their users; among the errors as well
	GeneratorLimited bool             `json:"generator_limited"`
	GeneratorReasons []string         `json:"generator_limited_reasons,omitempty"`
	Generator        *Generator       `json:"generator,omitempty"` // absent in virtual time, and of a group that did not end in order
	ArrivalsSHA256   string           `json:"arrivals_sha256"`
	ArrivalsOffPlan  int64            `json:"arrivals_off_plan"`
	Accounting       Accounting       `json:"accounting"`
	Sessions         *Sessions        `json:"sessions,omitempty"` // of groups that walk sessions, or mix requests

	// What makes the figures believable: see Evidence.
	Meaning   string              `json:"meaning"`   // the figures in a sentence
	Gates     []Gate              `json:"gates"`     // what was asked of them
	Intervals map[string]Estimate `json:"intervals"` // of the response time: mean, p50, p95, p99
	Warmup    *Warmup             `json:"warmup"`
	Steady    *Steadiness         `json:"steady"`
	Law       *ArrivalLaw         `json:"arrivals_law,omitempty"` // open groups
}

// A Generator is what it cost to emulate a group, over the whole run: the content of the variable GROUP.generator.
type Generator struct {
	CPU         Number   `json:"cpu_seconds"`         // of the loop's thread
	Utilisation Number   `json:"utilisation"`         // share of a processor that the loop's thread used; this and jitter: the worst of the group's processes
	ProcessCPU  Number   `json:"process_cpu_seconds"` // of all threads of the process
	JitterP50   Number   `json:"jitter_p50_seconds"`  // how late the loop's sleeps ended
	JitterP99   Number   `json:"jitter_p99_seconds"`
	JitterMax   Number   `json:"jitter_max_seconds"`
	Spin        Number   `json:"spin_seconds,omitempty"` // polled instead of slept before an instant, which takes CPU time
	Connections uint64   `json:"connections"`            // opened
	Idle        int      `json:"idle,omitempty"`         // connections of `idle:` that were open at the end
	IdleLost    uint64   `json:"idle_lost,omitempty"`    // of them, those that servers closed
	Retried     uint64   `json:"retried"`                // sent again, because a kept connection turned out to be closed
	BytesIn     uint64   `json:"bytes_in"`
	BytesOut    uint64   `json:"bytes_out"`
	Messages    []string `json:"messages,omitempty"` // errors in words, and how often
}

// An Estimate is a mean or a quantile with its confidence interval by batches, in seconds.
type Estimate struct {
	Value       Number `json:"value"`
	Low         Number `json:"low"` // null, as High is: it cannot be told
	High        Number `json:"high"`
	Confidence  Number `json:"confidence"`
	Batches     int    `json:"batches"` // 0: too few samples for an interval
	Samples     int    `json:"samples"`
	TooShort    bool   `json:"too_short"`   // TooFew or Correlated: the interval is too narrow, or there is none
	TooFew      bool   `json:"too_few"`     // samples; or batches are shorter than 10 times the autocorrelation time
	Correlated  bool   `json:"correlated"`  // neighbouring batches are alike
	Correlation Number `json:"correlation"` // of neighbouring batches
}

// Accounting is the whereabouts of each request of a group over the whole run, warm-up included.
type Accounting struct {
	Issued    int64  `json:"issued"`
	Sent      int64  `json:"sent"` // handed to the network; the others failed before, or were not yet
	OK        int64  `json:"ok"`
	Errors    int64  `json:"errors"`           // Abandoned included
	Abandoned int64  `json:"abandoned"`        // given up by their users
	InFlight  int64  `json:"in_flight"`        // issued, and not finished when the run ended
	Balanced  bool   `json:"balanced"`         // nothing is broken
	Broken    string `json:"broken,omitempty"` // which equation does not hold, with its figures
}

// Resource is the name of a resource of a server: cpu, disk, memory, link.
type Resource string

// Resourced is the result of one resource over the window.
type Resourced struct {
	Utilisation Number `json:"utilisation"` // busy share of the capacity, 0 to 1
	Queue       Number `json:"queue_mean"`  // jobs present, waiting and served
	// Requested and Delivered are demands in seconds of service; null for memory, which counts bytes.
	Requested      Number `json:"demand_requested_seconds"`
	Delivered      Number `json:"demand_delivered_seconds"`
	RequestedBytes Number `json:"demand_requested_bytes,omitempty"`
	DeliveredBytes Number `json:"demand_delivered_bytes,omitempty"`
	// How long each demand waited there, and was served; of memory, was waited for and held. Nil where none ended.
	Wait    *Distribution `json:"wait_seconds,omitempty"`
	Service *Distribution `json:"service_seconds,omitempty"`
}

// A Service is the result of one service over the window.
type Service struct {
	Latency   Distribution `json:"latency_seconds"`   // at its callers
	Residence Distribution `json:"residence_seconds"` // at its servers
	// Of the residence: waiting for what its servers have, and being served by them. Nil where no request ended.
	Wait     *Distribution `json:"wait_seconds,omitempty"`
	Service  *Distribution `json:"service_seconds,omitempty"`
	Requests int64         `json:"requests"`
	Errors   int64         `json:"errors"`
	Rejected int64         `json:"rejected,omitempty"` // answered 503 by its servers, unserved
}

// A Decision is one step of an adaptation.
type Decision struct {
	Time    Number            `json:"time"`
	Rule    string            `json:"rule"`
	Action  string            `json:"action"`
	Phase   string            `json:"phase"`
	Cause   string            `json:"cause,omitempty"`
	When    string            `json:"when,omitempty"`
	Reading map[string]Number `json:"reading,omitempty"`
}

// An Expect is the verdict on one condition.
type Expect struct {
	Text     string            `json:"text"`
	Verdict  stat.Verdict      `json:"verdict"`
	Readings map[string]Number `json:"readings,omitempty"`
	Reason   string            `json:"reason,omitempty"` // why it is inconclusive
}

// A Module is what became of one module.
type Module struct {
	Name  string `json:"name"`
	State string `json:"state"`
	Exit  string `json:"exit,omitempty"` // "exit status 1", "signal: killed"
	At    Number `json:"at"`             // when it ended; null while it ran to the end
}

// Groups lists the client groups, in the order of CompareNames.
func (s *Summary) Groups() []string { return names(s.Clients) }

// ServerNames lists the servers, in the order of CompareNames.
func (s *Summary) ServerNames() []string { return names(s.Servers) }

// ServiceNames lists the services, in the order of CompareNames.
func (s *Summary) ServiceNames() []string { return names(s.Services) }

func names[T any](m map[string]T) []string { return slices.SortedFunc(maps.Keys(m), CompareNames) }

// Bytes returns the content of summary.json: equal summaries give equal bytes.
func (s *Summary) Bytes() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(s); err != nil {
		return nil, fmt.Errorf("write summary: %w", err)
	}
	return b.Bytes(), nil
}

// ParseSummary reads the content of a summary.json.
func ParseSummary(b []byte) (*Summary, error) {
	var s Summary
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, fmt.Errorf("read summary: %w", err)
	}
	if s.Summary != SummaryVersion {
		return nil, fmt.Errorf("read summary: version %d, where this Eve reads %d", s.Summary, SummaryVersion)
	}
	return &s, nil
}
