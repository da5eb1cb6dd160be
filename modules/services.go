package modules

import (
	"context"
	"fmt"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel/egs"
	"github.com/eve-emulation/eve/evekernel/wire"
)

// Join implements egs.Service.
func (p *Proxy) Join(ctx context.Context, barrier dsv.Name) (egs.Start, error) {
	res, err := p.do(ctx, wire.Req{Op: wire.OpJoin, Name: barrier}, true)
	if err != nil {
		return egs.Start{}, local(err, "join", barrier)
	}
	if res.Start == nil {
		return egs.Start{}, fmt.Errorf("join %s: no start in the answer: %w", barrier, wire.ErrProtocol)
	}
	return egs.Start{T0: int64(res.Start.T0), Boot: res.Start.Boot}, nil
}

// Enter implements egs.Service.
func (p *Proxy) Enter(ctx context.Context, group dsv.Name) error {
	_, err := p.do(ctx, wire.Req{Op: wire.OpEnter, Name: group}, true)
	return local(err, "enter", group)
}

// Leave implements egs.Service.
func (p *Proxy) Leave(ctx context.Context, group dsv.Name) error {
	_, err := p.do(ctx, wire.Req{Op: wire.OpLeave, Name: group}, true)
	return local(err, "leave", group)
}

// Members implements egs.Service.
func (p *Proxy) Members(ctx context.Context, group dsv.Name) ([]string, error) {
	res, err := p.do(ctx, wire.Req{Op: wire.OpMembers, Name: group}, true)
	if err != nil {
		return nil, local(err, "members", group)
	}
	return res.Members, nil
}

// Open implements egs.Service.
func (p *Proxy) Open(ctx context.Context, c egs.Channel) error {
	_, err := p.do(ctx, wire.Req{Op: wire.OpOpen, Channel: wire.FromChannel(c)}, true)
	return local(err, "open", c.Name)
}

// clock reads the kernel's monotonic clock.
func (p *Proxy) clock(ctx context.Context) (int64, error) {
	res, err := p.do(ctx, wire.Req{Op: wire.OpClock}, true)
	if err != nil {
		return 0, local(err, "clock", "")
	}
	return int64(res.Now), nil
}

// log sends one line to the kernel's log; without a connection it is lost.
func (p *Proxy) log(line string) {
	p.mu.Lock()
	conn := p.conn
	p.mu.Unlock()
	if conn != nil {
		_ = conn.Send(&wire.Frame{Evt: &wire.Evt{Channel: wire.LogChannel, Data: []byte(line)}})
	}
}
