package adapt

import (
	"time"

	"github.com/eve-emulation/eve/dsv"
)

// KEDA scales between nothing and one by activity, and above that by an HPA, as KEDA's ScaledObject does (keda.sh,
// "Scaling Deployments, StatefulSets & Custom Resources"): where any metric is above Activation a service with no replica gets
// one, and where none has been for Cooldown, it loses all. Metrics are totals or those of each replica; of totals the target is
// one replica's share.
type KEDA struct {
	HPA
	Activation float64
	Cooldown   time.Duration // 0: 5 min
}

const kedaCooldown = 5 * time.Minute

// New returns the controller.
func (c KEDA) New() Controller {
	if c.Cooldown == 0 {
		c.Cooldown = kedaCooldown
	}
	return &keda{KEDA: c, hpa: c.HPA.New().(*hpa), active: -1}
}

type keda struct {
	KEDA
	hpa    *hpa
	active dsv.Instant // when it was last seen; below 0: not yet
}

// Step implements Controller.
func (c *keda) Step(r *Reading) Answer {
	known, busy := false, false
	for i := range r.Metrics {
		x := r.Metrics[i].Value
		known = known || isFinite(x)
		busy = busy || isFinite(x) && x > c.Activation
	}
	if busy || c.active < 0 || !known {
		c.active = r.At // what is unknown keeps what stands
	}
	switch {
	case r.Value == 0 && busy:
		return within1(r, max(1, r.Bounds.Least))
	case r.Value == 0:
		return None()
	case r.Bounds.Least == 0 && r.At.Sub(c.active) >= c.Cooldown:
		return Answer{Value: 0}
	}
	above := *r
	if above.Bounds.Most > above.Bounds.Least {
		above.Bounds.Least = max(1, above.Bounds.Least)
		above.Bounds.Most = max(above.Bounds.Most, above.Bounds.Least)
	}
	return c.hpa.Step(&above)
}
