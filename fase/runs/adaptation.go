package runs

// An Adaptation says how well a run kept what was asked of it while its load, its servers or its rules changed, at what
// expense, and what would have been possible: fase/judge computes it. All is over the measured window; docs/summary.md
// defines each figure.
type Adaptation struct {
	SLO        []Objective `json:"slo"`               // by which it is judged; empty: the scenario has none
	Judged     Number      `json:"judged_seconds"`    // seconds of which all that can be told is known
	Violation  Number      `json:"violation_seconds"` // of them, those in which some condition did not hold; null without conditions
	Violations []Interval  `json:"violations"`        // stretches of such seconds
	Settling   *Settling   `json:"settling,omitempty"`

	ServerSeconds Number             `json:"server_seconds"` // ∫ servers that hold a service, in whatever state
	ServersMean   Number             `json:"servers_mean"`
	ServersMost   int                `json:"servers_most"`
	Changes       int                `json:"changes"`            // of where services are
	Oscillations  int                `json:"oscillations"`       // changes that took back the one before, and were taken back
	Services      map[string]Elastic `json:"services,omitempty"` // those whose places may change
	Baselines     *Baselines         `json:"baselines,omitempty"`
}

// An Objective is one condition, judged second by second.
type Objective struct {
	Text      string            `json:"text"`
	Violation Number            `json:"violation_seconds"`
	Judged    Number            `json:"judged_seconds"`
	Worst     map[string]Number `json:"worst,omitempty"` // the greatest reading of a second, by its text
	Bound     Number            `json:"bound"`           // of a condition that is a plain upper bound of one reading; else null
	// Overshoot is by how much the worst reading was above the bound, as a share of it; null where it never was, or the
	// condition is no plain bound.
	Overshoot Number `json:"overshoot"`
}

// Settling says how long violations lasted: from the first second of each until none came for SettledAfter.
type Settling struct {
	Disturbances int    `json:"disturbances"` // violations that were SettledAfter or more apart
	Mean         Number `json:"mean_seconds"`
	Max          Number `json:"max_seconds"`
	Unsettled    bool   `json:"unsettled"` // the last one had not ended SettledAfter before the end
}

// SettledAfter is how many seconds without a violation settle a system.
const SettledAfter = 5

// A ReplicaLevel is a number of replicas from an instant on, in seconds since T0.
type ReplicaLevel struct {
	From     Number `json:"from"`
	Replicas int    `json:"replicas"`
}

// Elastic says how the replicas of a service followed the demand: the metrics of elasticity of Herbst, Kounev and Reussner
// ("Elasticity in Cloud Computing: What It Is, and What It Is Not", ICAC 2013) as SPEC's research group states them
// ("Ready for Rain? A View from SPEC Research on the Future of Cloud Metrics", SPEC-RG-2016-01).
type Elastic struct {
	Supply []ReplicaLevel `json:"supply"`           // replicas that serve, at servers that are up
	Demand []ReplicaLevel `json:"demand,omitempty"` // the fewest with which the SLO held: those of Baselines.Best; absent if unknown
	Up     int            `json:"up"`               // rises of the supply
	Down   int            `json:"down"`

	Provisioning *Provisioning `json:"provisioning,omitempty"` // where the demand is known
}

// Provisioning compares supply and demand of a service.
type Provisioning struct {
	UnderAccuracy Number `json:"under_accuracy"`    // θ_U: mean of what was missing, as a share of the demand
	OverAccuracy  Number `json:"over_accuracy"`     // θ_O: mean of what was too much, as a share of the demand
	UnderTime     Number `json:"under_time_share"`  // τ_U: share of the time in which something was missing
	OverTime      Number `json:"over_time_share"`   // τ_O
	Instability   Number `json:"instability"`       // υ: share of the time in which supply and demand do not change alike
	Jitter        Number `json:"jitter_per_minute"` // j: changes of the supply less those of the demand; negative: it missed some
	Overshoot     Number `json:"overshoot"`         // replicas above the demand right after a rise, as a share of the demand; the greatest
}

// Baselines are what the same arrivals would have met: in virtual time, with the same seed and the same faults.
type Baselines struct {
	None    *Baseline `json:"none,omitempty"`    // without adaptation
	Peak    *Baseline `json:"peak,omitempty"`    // the smallest provisioning that is the same all the time and keeps the SLO as well as any
	Best    *Baseline `json:"best,omitempty"`    // the smallest that changes at the ends of intervals, and knows what will come
	Missing string    `json:"missing,omitempty"` // why some are not there

	Interval    Number `json:"interval_seconds,omitempty"`        // at which Best may change
	AtLeast     Number `json:"at_least_server_seconds,omitempty"` // no schedule of such intervals needs less than this
	Simulations int    `json:"simulations"`                       // that it took
}

// A Baseline is one way to serve the arrivals of the run.
type Baseline struct {
	Violation     Number                    `json:"violation_seconds"` // null without an SLO
	ServerSeconds Number                    `json:"server_seconds"`
	Replicas      map[string][]ReplicaLevel `json:"replicas,omitempty"` // by service
	Clients       map[string]BaselineGroup  `json:"clients"`
}

// BaselineGroup is what a group of clients met.
type BaselineGroup struct {
	Requests int64  `json:"requests"`
	Errors   int64  `json:"errors"`
	Mean     Number `json:"mean_seconds"`
	P95      Number `json:"p95_seconds"`
	P99      Number `json:"p99_seconds"`
}
