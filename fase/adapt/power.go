package adapt

import (
	"slices"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/service"
)

// power is what is known of a server from its variable SERVER.up.
type power struct {
	known bool
	down  bool        // it told that it was down all the time since it told last
	fell  dsv.Instant // when it went down that had been up; Never
}

// powered watches whether the servers are up.
func (l *Loop) powered() {
	if l.powers != nil {
		return
	}
	l.powers = make([]power, len(l.cfg.Topology.Servers))
	for i, s := range l.cfg.Topology.Servers {
		l.powers[i].fell = dsv.Never
		l.topic(service.UpName(s)).server = i + 1
	}
}

// told takes what a server tells of being up, and reports whether that is news.
func (p *power) told(at dsv.Instant, u *dsv.Update) bool {
	d := u.Delta
	if d == nil || d.Weight <= 0 {
		return false
	}
	was, known := p.down, p.known
	p.down, p.known = d.Value.Float <= 0, true
	if p.down && !was && known {
		p.fell = at
	}
	return p.down != was
}

// dead reports whether a server is down that ought to be up: one on standby ought to once it was.
func (l *Loop) dead(x string, since dsv.Instant) bool {
	i := l.cfg.Topology.Server(x)
	if i < 0 || i >= len(l.powers) || !l.powers[i].down {
		return false
	}
	return !slices.Contains(l.cfg.Standby, i) || l.powers[i].fell >= since && l.powers[i].fell < dsv.Never
}
