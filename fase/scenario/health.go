package scenario

import (
	"time"

	"github.com/eve-emulation/eve/fase/service"
)

// rawHealth is `health:` of a service.
type rawHealth struct {
	at                       *node
	failures                 spot[int]
	every, ejection, longest spot[time.Duration]
	most                     spot[float64]
}

func healthFields(h *rawHealth) []field {
	return []field{
		{key: "failures", value: whole(&h.failures, 1, 1_000_000), def: "5", help: "calls in a row that fail, with a status of 500 or more, without an answer or too late for their caller, eject a replica (Envoy: consecutive_5xx)"},
		{key: "every", value: duration(&h.every, time.Millisecond, false), def: "10s", help: "how often ejected replicas are looked at, which return when their time is over (interval)"},
		{key: "ejection", value: duration(&h.ejection, time.Millisecond, false), def: "30s", help: "how long a replica is left out; so much longer each time that it is ejected again (base_ejection_time)"},
		{key: "longest", value: duration(&h.longest, time.Millisecond, false), def: "300s", help: "it is never left out for longer (max_ejection_time)"},
		{key: "most", value: amount(&h.most, plainUnit(), bounds{0, 1, "from 0% to 100%"}), def: "10%", help: "the share of the replicas that are ejected at most; one always may be (max_ejection_percent)"},
	}
}

// config is how callers judge; without `health:` they do not.
func (h *rawHealth) config() service.HealthConfig {
	if h.at == nil {
		return service.HealthConfig{}
	}
	return service.HealthConfig{
		Failures: h.failures.v, Every: h.every.v, Ejection: h.ejection.v, Longest: max(h.longest.v, h.ejection.v), Most: h.most.v,
	}
}
