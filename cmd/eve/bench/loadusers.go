package bench

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// weigh measures what a user takes in memory: one who thinks, and one who has a connection of its own, as slopes between two numbers
// of them.
func (x *gallop) weigh(ctx context.Context, r *Report) error {
	x.cfg.say("load: memory of users")
	few, many, own := pick(x.cfg, 1000, 100), pick(x.cfg, manyUsers, 5000), pick(x.cfg, 15_000, 300)
	var thinking, connected []float64
	server, err := x.cfg.partOn(ctx, serverCPU, "clocked", "GOMAXPROCS=4")
	if err != nil {
		return err
	}
	defer server.stop()
	var d door
	if err := server.call("open", struct{}{}, &d); err != nil {
		return err
	}
	for range pick(x.cfg, 5, 1) {
		a, err := x.weighed(ctx, few)
		if err != nil {
			return err
		}
		b, err := x.weighed(ctx, many)
		if err != nil {
			return err
		}
		thinking = append(thinking, (b-a)/float64(many-few))
	}
	for i := range pick(x.cfg, 3, 1) {
		source := netip.AddrFrom4([4]byte{127, 0, 1, byte(1 + i)}) // whose ports no round before has left in TIME_WAIT
		a, err := x.weighedOwn(ctx, d.TCP, source, few)
		if err != nil {
			return err
		}
		b, err := x.weighedOwn(ctx, d.TCP, source, own)
		if err != nil {
			return err
		}
		connected = append(connected, (b-a)/float64(own-few))
	}
	x.reportMemory(r, few, many, own, thinking, connected)
	return nil
}

// weighed is the memory of a new process in which so many users think.
func (x *gallop) weighed(ctx context.Context, users int) (bytes float64, err error) {
	p, err := x.clients(ctx)
	if err != nil {
		return 0, err
	}
	defer p.stop()
	return bytes, p.call("weigh", waiting{Users: users}, &bytes)
}

// weighedOwn is the memory of a new process whose users have each asked over a connection of their own, and think.
func (x *gallop) weighedOwn(ctx context.Context, address string, source netip.Addr, users int) (float64, error) {
	p, err := x.clients(ctx)
	if err != nil {
		return 0, err
	}
	defer p.stop()
	var v visited
	think := pick(x.cfg, 1500*time.Millisecond, 50*time.Millisecond)
	err = p.call("run", guests{Address: address, Sources: []netip.Addr{source}, Users: users, Own: true, Think: think, Run: 3 * think, Seed: 1}, &v)
	if err == nil && v.Requests != v.OK {
		err = fmt.Errorf("%d of %d requests failed: %v", v.Requests-v.OK, v.Requests, v.Errors)
	}
	return v.Resident, err
}

// manyUsers think for manyThink between an answer and the next request.
const (
	manyUsers = 100_000
	manyThink = 10 * time.Second
)

// many runs 100 000 users in one process.
func (x *gallop) many(ctx context.Context, r *Report) error {
	users, think := pick(x.cfg, manyUsers, 2000), pick(x.cfg, manyThink, time.Second)
	x.cfg.say("load: %d users who think for %v", users, think)
	part, err := x.clients(ctx)
	if err != nil {
		return err
	}
	defer part.stop()
	w, err := x.fast(ctx)
	if err != nil {
		return err
	}
	defer w.stop()
	c := &runner{name: ours, part: part, crowd: guests{Users: users, Think: think, Run: pick(x.cfg, 10*time.Second, 300*time.Millisecond), Seed: 1}}
	v, err := x.round(ctx, c, w.address, w.pid)
	if err != nil {
		return err
	}
	x.reportMany(r, users, think, c, &v)
	return nil
}

// limitedBy joins the reasons for which generators were the limit.
func limitedBy(c *runner) error {
	if c.limited == 0 {
		return nil
	}
	return errors.New(strings.Join(c.reasons, "; "))
}
