// Package fit estimates what requests demand of servers from measurements: the other way round of a scenario, which says what is
// demanded and measures what becomes of it. It serves for real servers, of which only the load and the utilisation are known.
//
// The nouns:
//
//   - A [Class] is a kind of request; a [Resource] is what it uses: processors, a disk, a link, or the bytes that come back.
//   - A [Recording] is what one run measured of both, [Read] from its folder, cut into cells of equal length.
//   - A [Fit] is the matrix of demands, a class by a resource, with intervals. [Estimate] makes it of recordings, [Fit.Predict] says
//     what another mix would use, [Fit.RDR] and [Fit.Scenario] write the demands down for everybody else.
//
// The model is the utilisation law: what a resource does in a second is the sum over classes of throughput times demand (Denning
// and Buzen, "The Operational Analysis of Queueing Network Models", ACM Computing Surveys 10(3), 1978), fitted by non-negative
// least squares over batches of time (Bard and Shatzoff, "Statistical Methods in Computer Performance Analysis", 1978; Zhang,
// Cherkasova and Smirni, "A Regression-Based Analytic Model for Dynamic Resource Provisioning", ICAC 2007). How a request that crosses the
// edge of a batch counts, how batches are weighted, and how intervals are made, [Estimate] says.
//
// All is pure but for the histories that [Read] reads. Values are not to be changed by several goroutines at once.
package fit

import (
	"errors"
	"slices"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/scenario"
)

// The errors of fits.
var (
	ErrNoRequests = errors.New("no request ended in the measured window")
	ErrNoUse      = errors.New("no resource was used, or measured")
	ErrTooShort   = errors.New("too few batches")
	ErrNoTarget   = errors.New("no target in the scenario")
)

// A Class is a kind of request: one of `requests:`, whoever asks it.
type Class struct {
	Name     string   `json:"name"`
	Sources  []string `json:"sources"`  // the groups that ask it, GROUP.PAGE of mixes and sessions
	Requests float64  `json:"requests"` // that ended in the measured windows
	Errors   float64  `json:"errors"`   // of these, that failed
}

// A Kind is what a resource gives.
type Kind string

// The kinds of resources.
const (
	CPU   Kind = "cpu"   // seconds of a processor; of emulated servers at speed 1
	Disk  Kind = "disk"  // seconds of the disk
	Link  Kind = "link"  // seconds of the link
	Bytes Kind = "bytes" // bytes that callers received, of a target's answers, without their heads
)

// A Resource is one thing that requests use, of one server, farm or target.
type Resource struct {
	Name   string `json:"name"` // OF.KIND
	Of     string `json:"of"`   // the server, farm or target
	Kind   Kind   `json:"kind"`
	Unit   string `json:"unit"` // of a demand: s or B
	Target bool   `json:"target,omitempty"`
	// Capacity is what it can give in a second, in its unit: processors times speed. 0: not known.
	Capacity float64 `json:"capacity,omitempty"`

	vars    []dsv.Name
	servers []int // by index, of the emulated ones
}

// Options say how to estimate. The zero value works.
type Options struct {
	Batch      time.Duration // how long one is; 0: as the runs allow
	Background bool          // estimate what is used without any request, too
	Confidence float64       // of intervals; 0: 0.95
	Seed       uint64        // of the resampling
	Resamples  int           // how many; 0: 400
}

// A Fit is the matrix of demands with what is needed to believe it.
type Fit struct {
	Confidence float64  `json:"confidence"`
	Runs       []Span   `json:"runs"`
	Batches    int      `json:"batches"`
	Seconds    float64  `json:"batch_seconds"` // how long one is
	Classes    []Class  `json:"classes"`
	Resources  []Fitted `json:"resources"`
	// Condition is the condition number of the throughputs, each class scaled alike: from stat.MaxCondition on classes vary together.
	Condition runs.Number `json:"condition"`
	// Collinear are classes, by name, that cannot be told from each other by how their throughputs vary.
	Collinear [][]string `json:"collinear,omitempty"`
	Warnings  []string   `json:"warnings,omitempty"`

	plans   []*scenario.Plan
	classes map[string]int
	freedom float64
}

// A Span is the part of a run that was used.
type Span struct {
	Name     string  `json:"name"` // of its folder
	Scenario string  `json:"scenario"`
	From     float64 `json:"from_seconds"`
	To       float64 `json:"to_seconds"`
	Batches  int     `json:"batches"`
}

// A Fitted is the demands of all classes of one resource.
type Fitted struct {
	Resource
	Demands    []Demand `json:"demands"`              // by class
	Background *Demand  `json:"background,omitempty"` // per second, not per request
	// Used is what it gave in a second, in the mean over all batches.
	Used float64 `json:"used_per_second"`
	// Explained is the share of the variance between batches that the fit explains; Residual the root of the mean square of what
	// is left of a batch, as a share of Used.
	Explained runs.Number `json:"explained"`
	Residual  runs.Number `json:"residual"`
	// Correlation is that of what is left of neighbouring batches.
	Correlation runs.Number `json:"correlation"`
	// Off is by how much, as a share of what was measured, the fit is off in the mean of each run.
	Off []runs.Number `json:"off_by_run"`
	// Bend is by how much a request takes more in the batch with the most load than at hardly any, as a share; 0 where that may be chance,
	// or is less than 3 %.
	Bend float64 `json:"bend"`

	draws [][]float64 // one resampled solution each; the background last
}

// A Demand is what one request of a class takes of a resource, with its interval. What it is not known to be above 0 begins at 0.
type Demand struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
	// Known is what the scenario says, of an emulated server.
	Known *float64 `json:"known,omitempty"`
}

// Relative is half of the interval's width as a share of the value; infinite of 0.
func (d Demand) Relative() float64 { return (d.High - d.Low) / 2 / d.Value }

// Fitted returns the demands of a resource; nil where there is none of the name.
func (f *Fit) Fitted(resource string) *Fitted {
	if i := slices.IndexFunc(f.Resources, func(r Fitted) bool { return r.Name == resource }); i >= 0 {
		return &f.Resources[i]
	}
	return nil
}

// Demand returns the demand of a class of a resource.
func (f *Fit) Demand(class, resource string) (Demand, bool) {
	i, ok := f.classes[class]
	r := f.Fitted(resource)
	if !ok || r == nil {
		return Demand{}, false
	}
	return r.Demands[i], true
}
