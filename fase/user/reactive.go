package user

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/step"
)

// A Setting is what may be changed of a group while it runs: by `eve set`, by a rule, or by an expression that it follows. Its
// present value is the variable GROUP.NAME.
type Setting struct {
	Name string // "rate"
	Unit string // "1/s"
	Help string
	// Most is the greatest value, in the unit; the least is 0.
	Most  float64
	Whole bool
}

// The names of settings. The weight of a request in a mix is called WeightPrefix and the request's name.
const (
	RateSetting     = "rate"
	UsersSetting    = "users"
	ThinkSetting    = "think"
	PatienceSetting = "patience"
	WeightPrefix    = "weight."
)

// The bounds of settings: the greatest rate of a group per second, its largest population, its longest think time and
// patience.
const (
	MaxRate  = 1e7
	MaxUsers = 1_000_000
	MaxTime  = 30 * 24 * time.Hour
	// MaxWeight is the greatest weight of a request in a mix.
	MaxWeight = 1e9
)

// Settings lists what may be changed of the group: its rate if it is open, else its users and their think time; their
// patience; and the weights of a mix.
func (c *Config) Settings() []Setting {
	list := c.population()
	if c.Sessions == nil || !c.Sessions.Mix {
		return list
	}
	for _, p := range c.Sessions.Pages {
		list = append(list, Setting{WeightPrefix + p.Name, "1", "weight of " + p.Name + " among the requests of the group", MaxWeight, false})
	}
	return list
}

// population is the settings of how many ask, and how long they wait.
func (c *Config) population() []Setting {
	patience := Setting{PatienceSetting, "s", "patience of requests that begin from now on; 0: endless", MaxTime.Seconds(), false}
	switch {
	case c.Trace != nil:
		return []Setting{patience} // when requests are due is the trace's
	case c.open():
		return []Setting{{RateSetting, "1/s", "arrivals per second that an expression or `set` gave the group", MaxRate, false}, patience}
	}
	return []Setting{
		{UsersSetting, "1", "users of the group", MaxUsers, true},
		{ThinkSetting, "s", "mean of the pauses that begin from now on", MaxTime.Seconds(), false},
		patience,
	}
}

// Setting finds one by its name.
func (c *Config) Setting(name string) (Setting, bool) {
	list := c.Settings()
	i := slices.IndexFunc(list, func(s Setting) bool { return s.Name == name })
	if i < 0 {
		return Setting{}, false
	}
	return list[i], true
}

// Initial is the value of a setting at the start; false for what has none: a rate that follows a curve, an endless patience.
func (c *Config) Initial(name string) (float64, bool) {
	switch name {
	case RateSetting:
		if len(c.Rate) == 1 && c.Sine == nil {
			return c.Rate[0].Rate, true
		}
	case UsersSetting:
		return float64(c.Users), true
	case ThinkSetting:
		if c.Think == nil {
			return 0, true
		}
		return c.Think.Mean.Seconds(), true
	case PatienceSetting:
		return c.Patience.Seconds(), c.Patience > 0
	}
	if i := c.weighted(name); i >= 0 {
		return c.Sessions.Pages[i].Weight, true
	}
	return 0, false
}

// weighted is the request of a mix whose weight a setting is, or -1.
func (c *Config) weighted(name string) int {
	of, ok := strings.CutPrefix(name, WeightPrefix)
	if !ok || c.Sessions == nil || !c.Sessions.Mix {
		return -1
	}
	return slices.IndexFunc(c.Sessions.Pages, func(p Page) bool { return p.Name == of })
}

// Check refuses what is no value of the setting.
func (s Setting) Check(x float64) error {
	switch {
	case math.IsNaN(x):
		return fmt.Errorf("the %s is not a number", s.noun())
	case x < 0:
		return fmt.Errorf("the %s %g is negative", s.noun(), x)
	case x > s.Most:
		return fmt.Errorf("the %s %g%s is above %g%[3]s", s.noun(), x, unitBehind(s.Unit), s.Most)
	case s.Whole && x != math.Trunc(x):
		return fmt.Errorf("the %s %g is not whole", s.noun(), x)
	}
	return nil
}

// noun is what a value of the setting is.
func (s Setting) noun() string {
	switch {
	case s.Name == UsersSetting:
		return "number of users"
	case s.Name == ThinkSetting:
		return "think time"
	case strings.HasPrefix(s.Name, WeightPrefix):
		return "weight"
	}
	return s.Name
}

// unitBehind is how a unit stands behind a number.
func unitBehind(unit string) string {
	switch unit {
	case "1":
		return ""
	case "1/s":
		return "/s"
	}
	return unit
}

// reaction is what a group needs to be changed while it runs.
type reaction struct {
	settings []Setting
	users    uint64 // those below it belong to the group, present or, in another part, elsewhere
	known    uint64 // those below it have begun
	away     map[uint64]uint64
	think    Think
	weights  []float64 // of a mix, once one was set
	told     uint32    // changes that were handed in
	inForce  []uint32  // by setting: which of them is
}

// Set changes a setting from the instant from on, or from at, if that is later. All parts of a group that are told the same
// from in time change at one instant. What is no setting of the group, or no value of it, is ignored: whoever hands it in
// has checked it by Setting.Check.
//
// Requests under way and thoughts that have begun go on as they began: a new think time or patience is for those that begin
// later. Users that leave are those with the highest numbers; they finish what they do. Users that come begin by thinking.
func (g *Group) Set(at, from dsv.Instant, name string, x float64) {
	i := slices.IndexFunc(g.reaction.settings, func(s Setting) bool { return s.Name == name })
	if i < 0 || g.reaction.settings[i].Check(x) != nil {
		return
	}
	g.Advance(at)
	if at > 0 { // what is set at the start is known before
		from = max(from, g.run.Told(at))
	}
	g.reaction.told++
	g.run.Agenda.Push(max(at, from), service.Event{Kind: eventSet, Ref: step.NewRef(uint32(i), g.reaction.told), N: int64(math.Float64bits(x))})
}

// SetRate replaces the rate curve of an open group; see [Group.Set]. A number above MaxRate is taken for it.
func (g *Group) SetRate(at, from dsv.Instant, perSecond float64) {
	if !math.IsInf(perSecond, 1) {
		g.Set(at, from, RateSetting, min(perSecond, MaxRate))
	}
}

// SetUsers changes the population of a closed group; see [Group.Set].
func (g *Group) SetUsers(at, from dsv.Instant, users int) {
	g.Set(at, from, UsersSetting, float64(users))
}

// SetThink changes the mean think time of a closed group; see [Group.Set].
func (g *Group) SetThink(at, from dsv.Instant, mean time.Duration) {
	g.Set(at, from, ThinkSetting, mean.Seconds())
}

// SetPatience changes the patience, 0 for an endless one; see [Group.Set].
func (g *Group) SetPatience(at, from dsv.Instant, patience time.Duration) {
	g.Set(at, from, PatienceSetting, patience.Seconds())
}

// SetMix changes the weight of a request in a mix; see [Group.Set].
func (g *Group) SetMix(at, from dsv.Instant, request string, weight float64) {
	g.Set(at, from, WeightPrefix+request, weight)
}

// put puts a setting into force, unless one that was told later is: a partition may have held this one up for longer.
func (g *Group) put(at dsv.Instant, told step.Ref, x float64) {
	r := &g.reaction
	if i := told.Slot(); told.Gen() >= r.inForce[i] {
		r.inForce[i] = told.Gen()
		g.set(at, &r.settings[i], x)
	}
}

// set puts a setting into force.
func (g *Group) set(at dsv.Instant, s *Setting, x float64) {
	switch s.Name {
	case RateSetting:
		g.setRate(at, x)
	case UsersSetting:
		g.setUsers(at, uint64(x))
	case ThinkSetting:
		r := &g.reaction
		if g.cfg.Think != nil {
			r.think.Exponential = g.cfg.Think.Exponential
		}
		r.think.Mean = duration(x)
		g.cfg.Think = &r.think
	case PatienceSetting:
		g.cfg.Patience = duration(x)
	default:
		g.setWeight(g.cfg.weighted(s.Name), x)
	}
}

// setWeight moves the thresholds by which requests of a mix are drawn. While all weights are 0, the last others stay.
func (g *Group) setWeight(i int, x float64) {
	r := &g.reaction
	if r.weights == nil {
		for _, p := range g.cfg.Sessions.Pages {
			r.weights = append(r.weights, p.Weight)
		}
		g.walks.first = slices.Clone(g.walks.first)
	}
	r.weights[i] = x
	total := 0.0
	for _, w := range r.weights {
		total += w
	}
	if total == 0 {
		return
	}
	for k := range g.walks.first {
		g.walks.first[k].P = r.weights[g.walks.first[k].To] / total
	}
}

func duration(seconds float64) time.Duration { return time.Duration(math.Round(seconds * 1e9)) }

// setRate replaces the rate. What is left of the gap until the next arrival stays left, so the arrivals keep their law.
func (g *Group) setRate(at dsv.Instant, perSecond float64) {
	if g.rate.constant(perSecond) {
		return // the instants stay the plan's to the nanosecond
	}
	for _, c := range []*curve{&g.rate, &g.offered} {
		c.to(at)
		c.over = perSecond
	}
	g.run.Agenda.Remove(func(e service.Event) bool { return e.Kind == eventArrival })
	g.schedule()
}

// setUsers has users come or leave.
func (g *Group) setUsers(at dsv.Instant, users uint64) {
	r, parts := &g.reaction, g.cfg.parts()
	from := r.users
	r.users = users
	if users <= from {
		return // they leave when they next have nothing to do
	}
	part := uint64(g.cfg.Part)
	first := from + (part+parts-from%parts)%parts
	begin := max(at, g.cfg.Start)
	for u := first; u < users; u += parts {
		if n, left := r.away[u]; left {
			delete(r.away, u)
			g.think(begin, u, n)
		} else if u >= r.known {
			g.think(begin, u, 0)
		}
	}
	r.known = max(r.known, users)
}

// leaves reports whether a user has left the group, and remembers which request of it would be next.
func (g *Group) leaves(user, n uint64) bool {
	r := &g.reaction
	if user < r.users {
		return false
	}
	if r.away == nil {
		r.away = map[uint64]uint64{}
	}
	r.away[user] = n
	return true
}
