package runs

import (
	"math"

	"github.com/eve-emulation/eve/fase/service"
)

// A Cache is what became of the files that were asked for at a server, over the window.
type Cache struct {
	Hits     int64  `json:"hits"`
	Misses   int64  `json:"misses"`
	HitRatio Number `json:"hit_ratio"`  // null when no file was asked for
	Bytes    Number `json:"bytes_mean"` // of files in the cache
}

// CacheNames lists the servers with files, in the order of CompareNames.
func (s *Summary) CacheNames() []string { return names(s.Caches) }

// caches computes what was measured of servers with files; nil without any.
func (t *totals) caches(servers []string) map[string]Cache {
	var out map[string]Cache
	for _, name := range servers {
		if _, ok := t.declarations[service.CacheName(name, "hits")]; !ok {
			continue
		}
		x := Cache{
			Hits: t.count(service.CacheName(name, "hits")), Misses: t.count(service.CacheName(name, "misses")),
			HitRatio: Number(math.NaN()), Bytes: Number(orZero(t.measured(service.CacheName(name, "bytes")).Mean())),
		}
		if all := x.Hits + x.Misses; all > 0 {
			x.HitRatio = Number(float64(x.Hits) / float64(all))
		}
		if out == nil {
			out = map[string]Cache{}
		}
		out[name] = x
	}
	return out
}
