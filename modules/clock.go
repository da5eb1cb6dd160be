package modules

import (
	"context"
	"time"

	"github.com/eve-emulation/eve/internal/mono"
)

// Offset estimates how far the kernel's clock is ahead of this host's, and by how much the estimate may be wrong: of
// twenty round trips the shortest knows best, and it was asked within its time. Both are 0 where the two clocks are one,
// which the boot id tells.
func (p *Proxy) Offset(ctx context.Context) (offset, uncertain time.Duration, err error) {
	w, err := p.Welcome(ctx)
	if err != nil {
		return 0, 0, err
	}
	boot := p.link.Boot
	if boot == "" {
		if boot, err = mono.BootID(); err != nil {
			return 0, 0, err
		}
	}
	if w.Boot == boot {
		return 0, 0, nil
	}
	var best time.Duration
	for i := range 20 {
		sent := mono.Now()
		there, err := p.clock(ctx)
		if err != nil {
			return 0, 0, err
		}
		trip := time.Duration(mono.Now() - sent)
		if i == 0 || trip < best {
			best, offset = trip, time.Duration(there-sent)-trip/2
		}
	}
	return offset, best / 2, nil
}
