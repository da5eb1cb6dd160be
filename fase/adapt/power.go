package adapt

import (
	"slices"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/service"
)

// power is what is known of a server from its variable SERVER.up.
type power struct {
	down bool        // it told that it was down all the time since it told last
	last dsv.Instant // when the latest stretch began in which it was up for a while; before T0 if there was none
	up   dsv.Instant // when it had come up after it was down; T0 if it never was
}

// powered watches whether the servers are up.
func (l *Loop) powered() {
	if l.powers != nil {
		return
	}
	l.powers = make([]power, len(l.cfg.Topology.Servers))
	for i, s := range l.cfg.Topology.Servers {
		l.powers[i].last = -1
		l.topic(service.UpName(s)).server = i + 1
	}
}

// told takes what a server tells of being up, and reports whether that is news.
func (p *power) told(u *dsv.Update) bool {
	d := u.Delta
	if d == nil || d.Weight <= 0 {
		return false
	}
	was := p.down
	if p.down = d.Value.Float <= 0; !p.down {
		p.last = d.T0
		if was {
			p.up = d.T1
		}
	}
	return p.down != was
}

// dead reports whether a server is down that ought to be up: one on standby ought to once it has been up since an instant.
func (l *Loop) dead(x string, since dsv.Instant) bool {
	i := l.cfg.Topology.Server(x)
	if i < 0 || i >= len(l.powers) || !l.powers[i].down {
		return false
	}
	return !slices.Contains(l.cfg.Standby, i) || l.powers[i].last >= since
}
