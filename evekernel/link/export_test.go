package link

import (
	"sync/atomic"

	"github.com/eve-emulation/eve/evekernel/egs"
)

// Feed handles bytes as if they came over a link.
func Feed(b []byte, c *egs.Channel, handler func(egs.Event)) {
	box := egs.NewInbox(egs.InboxConfig{Channel: c, Sink: &egs.Sink{}, Handler: handler})
	desk := egs.NewDesk(c, 0)
	n := New(Config{
		Inbox: func(sub uint64) *egs.Inbox {
			if sub > 1 {
				return nil
			}
			return box
		},
		Desk: func(num uint64) *egs.Desk {
			if num > 0 {
				return nil
			}
			return desk
		},
	})
	var r reading
	var frames atomic.Uint64
	for len(b) > 0 {
		used, _, err := r.handle(n, b, &frames)
		if err != nil || used == 0 {
			return
		}
		b = b[used:]
	}
}

// Queued is how many bytes wait.
func (l *Link) Queued() int { return int(l.queued.Load()) }
