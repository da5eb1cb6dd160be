package plan

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/eve-emulation/eve/fase/scenario"
)

// A Tier is something of a scenario that is counted and may be varied.
type Tier struct {
	Name        string // of the farm, the service, or the service's pool
	Path        string // as overrides take it
	Unit        string // server, replica, worker or, of any other path, nothing
	Now         int    // as the scenario has it
	Least, Most int
	Cost        float64 // of one more; at least 1e-6, so that fewer is always cheaper
	hosts       []string
	farm        bool
	pool        bool
	limit       int // of Most, whatever was asked for
}

// Bounds of counts that nothing else bounds.
const (
	mostServers = 256
	mostWorkers = 4096
)

// Tiers lists what may be varied of a plan: the farms and the services with replicas, or what the paths name, each perhaps with
// =FROM..TO. A short name of the scenario stands for its path. A farm whose servers hold a service with `replicas` counts through that.
func Tiers(p *scenario.Plan, vary []string) ([]Tier, error) {
	var ts []Tier
	if len(vary) == 0 {
		for i := range p.Farms {
			if !replicated(p, p.Farms[i].Servers) {
				ts = append(ts, farmTier(p, &p.Farms[i]))
			}
		}
		for i := range p.Services {
			if len(p.Services[i].Candidates) > 0 {
				ts = append(ts, replicaTier(p, i))
			}
		}
	}
	for _, text := range vary {
		path, bounds, ranged := strings.Cut(text, "=")
		t, err := tierAt(p, longPath(p, strings.TrimSpace(path)))
		if err != nil {
			return nil, err
		}
		t.limit = t.Most
		if ranged {
			if t.Least, t.Most, err = between(bounds, t.Most); err != nil {
				return nil, fmt.Errorf("%w: %s: %w", ErrQuestion, text, err)
			}
		}
		if slices.ContainsFunc(ts, func(o Tier) bool { return o.Path == t.Path }) {
			return nil, fmt.Errorf("%w: %s is varied twice", ErrQuestion, t.Path)
		}
		ts = append(ts, t)
	}
	for i := range ts {
		ts[i].limit = max(ts[i].limit, ts[i].Most)
	}
	costs(p, ts)
	return ts, nil
}

// costs gives every tier what one more costs: what the scenario says, or else as much for every server. Workers cost next to nothing
// beside servers.
func costs(p *scenario.Plan, ts []Tier) {
	told := Costed(p)
	servers := slices.ContainsFunc(ts, func(t Tier) bool { return !t.pool })
	for i := range ts {
		t := &ts[i]
		switch {
		case t.pool && servers:
			t.Cost = 1e-6
		case told && len(t.hosts) > 0:
			if at := p.Topology.Server(t.hosts[0]); at >= 0 && at < len(p.Servers) {
				t.Cost = p.Servers[at].Cost
			}
			t.Cost = math.Max(t.Cost, 1e-6)
		default:
			t.Cost = 1
		}
	}
}

// Costed says whether any server has a cost.
func Costed(p *scenario.Plan) bool {
	return slices.ContainsFunc(p.Servers, func(s scenario.Server) bool { return s.Cost > 0 })
}

// Cost is what the servers of a plan cost together; one on standby counts too.
func Cost(p *scenario.Plan) float64 {
	sum := 0.0
	for i := range p.Servers {
		sum += p.Servers[i].Cost
	}
	return sum
}

func replicated(p *scenario.Plan, servers []int) bool {
	for i := range p.Services {
		for _, s := range p.Services[i].Candidates {
			if slices.Contains(servers, s) {
				return true
			}
		}
	}
	return false
}

func farmTier(p *scenario.Plan, f *scenario.Farm) Tier {
	t := Tier{Name: f.Name, Path: "servers." + f.Name + ".count", Unit: "server", Now: len(f.Servers), Least: 1, Most: mostServers, farm: true}
	for _, s := range f.Servers {
		t.hosts = append(t.hosts, p.Topology.Servers[s])
	}
	return t
}

func replicaTier(p *scenario.Plan, i int) Tier {
	s := &p.Services[i]
	t := Tier{Name: s.Name, Path: "services." + s.Name + ".replicas", Unit: "replica", Now: len(s.On), Least: 1, Most: len(s.Places())}
	for _, at := range s.Places() {
		t.hosts = append(t.hosts, p.Topology.Servers[at])
	}
	return t
}

// tierAt is the tier of a path.
func tierAt(p *scenario.Plan, path string) (Tier, error) {
	keys := strings.Split(path, ".")
	kind, name, leaf := keys[0], "", ""
	if len(keys) >= 3 {
		name, leaf = keys[1], strings.Join(keys[2:], ".")
	}
	at := p.Topology.Service(name)
	switch {
	case kind == "servers" && leaf == "count":
		if i := slices.IndexFunc(p.Farms, func(f scenario.Farm) bool { return f.Name == name }); i >= 0 {
			return farmTier(p, &p.Farms[i]), nil
		}
		return Tier{}, fmt.Errorf("%w: %s: %s is no farm: give it a `count` in the scenario", ErrQuestion, path, name)
	case kind == "services" && at >= 0 && (leaf == "replicas" || leaf == "replicas.start"):
		t := replicaTier(p, at)
		t.Path = path
		return t, nil
	case kind == "services" && at >= 0 && leaf == "pool.threads" && p.Services[at].Pool.Threads > 0:
		return Tier{Name: name + ".pool", Path: path, Unit: "worker", Now: p.Services[at].Pool.Threads, Least: 1, Most: mostWorkers, pool: true}, nil
	case kind == "servers" && (leaf == "cpus" || leaf == "reactors") && p.Called(name) != nil:
		t := Tier{Name: name + "." + leaf, Path: path, Now: 1, Least: 1, Most: mostServers}
		for _, s := range p.Called(name) {
			t.hosts = append(t.hosts, p.Topology.Servers[s])
		}
		if s := p.Called(name)[0]; s < len(p.Servers) && leaf == "cpus" {
			t.Now = max(p.Servers[s].Machine.CPU.Cores, 1)
		}
		return t, nil
	case kind == "servers" && leaf == "engine.threads" && p.Called(name) != nil && p.Called(name)[0] < len(p.Servers):
		s := &p.Servers[p.Called(name)[0]]
		return Tier{Name: name + ".engine", Path: path, Unit: "worker", Now: max(s.Threads, 1), Least: 1, Most: mostWorkers, pool: true}, nil
	}
	return Tier{}, fmt.Errorf("%w: %s: want a count: servers.FARM.count, services.SERVICE.replicas, services.SERVICE.pool.threads or servers.SERVER.cpus", ErrQuestion, path)
}

func longPath(p *scenario.Plan, path string) string {
	for _, s := range p.Short {
		if s.Name == path && len(s.Paths) == 1 {
			return s.Paths[0]
		}
	}
	return path
}

// between reads FROM..TO, one of which may be missing.
func between(text string, most int) (from, to int, err error) {
	a, b, ok := strings.Cut(strings.TrimSpace(text), "..")
	from, to = 1, most
	if a != "" {
		from, err = strconv.Atoi(strings.TrimSpace(a))
	}
	if b != "" && err == nil {
		to, err = strconv.Atoi(strings.TrimSpace(b))
	}
	if !ok || err != nil || from < 1 || to < from || to > most {
		return 0, 0, fmt.Errorf("%q: want FROM..TO, as 2..8, from 1 and at most %d", text, most)
	}
	return from, to, nil
}

// place says what a resource is called for all servers of its farm together, at which server it is, and whether it is software: workers,
// which the measurements call SERVICE.pool and the analytic model SERVER.SERVICE.pool, a lock, or an engine's threads.
func place(p *scenario.Plan, resource string) (class, server string, soft bool) {
	owner, rest, _ := strings.Cut(resource, ".")
	leaf := rest[strings.LastIndexByte(rest, '.')+1:]
	soft = leaf == "pool" || leaf == "engine" || leaf == "admit" || strings.HasPrefix(rest, "lock.")
	server = owner
	if at := p.Topology.Service(owner); at >= 0 {
		server = ""
		if on := p.Services[at].On; len(on) > 0 {
			server = p.Topology.Servers[on[0]]
		}
		return resource, server, soft
	}
	if leaf == "pool" && strings.Contains(rest, ".") {
		return rest, server, soft
	}
	return farmName(p, owner) + "." + rest, server, soft
}

// farmName is the farm of a server, or the server's own name.
func farmName(p *scenario.Plan, server string) string {
	at := p.Topology.Server(server)
	for _, f := range p.Farms {
		if at >= 0 && slices.Contains(f.Servers, at) {
			return f.Name
		}
	}
	return server
}

// tierOf is the tier by which there is more of a resource, by index; -1: none of them.
func tierOf(p *scenario.Plan, ts []Tier, class, server string) int {
	for i := range ts {
		if ts[i].pool && (class == ts[i].Name || strings.TrimSuffix(ts[i].Name, ".engine") == farmName(p, server) && strings.HasSuffix(class, ".engine")) {
			return i
		}
	}
	for i := range ts {
		t := &ts[i]
		if !t.pool && (t.farm && farmName(p, server) == t.Name || !t.farm && slices.Contains(t.hosts, server)) {
			return i
		}
	}
	return -1
}
