// Package step drives cores: the parts of Eve that are handed the time instead of asking for it.
//
// A core (a machine, a user population, a set of rules) says when it next wants to act, acts when it is advanced to
// that instant, and lists what it wants done as flat effects. It reads no clock, starts no goroutine and never blocks,
// so one and the same core runs under an event loop, in the simulator and in a test.
//
// A [Driver] advances the core with the least Next to exactly that instant and routes its effects, until the present is
// reached. A late wake-up therefore never reorders work, and lateness does not feed back into it.
package step

import "github.com/eve-emulation/eve/dsv"

// A Core is stepped. It belongs to one goroutine at a time.
type Core interface {
	// Next is when the core next wants to act; dsv.Never when it waits for input.
	Next() dsv.Instant
	// Advance lets the core act on what is due. to is never past Next.
	Advance(to dsv.Instant)
	// Effects is what the core wants done, in order, and forgets it; valid until the next call of any method.
	Effects() []Effect
}

// A Ref names a thing of a core's, so that an answer can find it: a slot, and the slot's generation, so that a late
// answer to a finished thing drops. The zero Ref names nothing.
type Ref uint64

// NewRef packs slot and generation.
func NewRef(slot, gen uint32) Ref { return Ref(uint64(gen)<<32 | uint64(slot)) }

// Slot is the index that the Ref names.
func (r Ref) Slot() uint32 { return uint32(r) }

// Gen is the slot's generation that the Ref names.
func (r Ref) Gen() uint32 { return uint32(r >> 32) }

// Kind says what an effect asks for.
type Kind uint8

// The kinds of effects.
const (
	Send     Kind = iota + 1 // user: carry the call Ref to server Node; Key, N bytes to send
	Abandon                  // user: give the call Ref up (close its connection)
	Reply                    // host: answer the arrival of tag Key with N bytes, Code; Ref: the file that they are, 0 for none
	Call                     // host: carry the call Ref to server Node; Key, N bytes to send
	Withdraw                 // host: give the call Ref up
	Burn                     // host: consume N ns of CPU (or bytes, by Code) for Ref, then Met
	Set                      // adapt: write variable Ref.Slot; the value is the core's to tell
	Leave                    // user: the session that owns connections under the number N has ended: close them
	Reset                    // host: the arrival of tag Key is lost, or refused: Code is the service.Cause that its caller sees
	Down                     // host: it has crashed: break every connection, and refuse new ones
	Up                       // host: it takes connections again
	Tick                     // adapt: tell who controls from outside what it sees; Ref is the core's to tell
)

// An Effect is one thing that a core wants done. It is flat, so that lists of them are reused without allocation.
type Effect struct {
	At   dsv.Instant // when it was due
	Kind Kind
	Code uint16 // Reply: HTTP status; Burn: the resource
	Node int32  // index of a server, -1 where none
	Ref  Ref
	Key  uint64
	N    int64
}

// A Router carries effects to where they belong: to another core, to a socket.
type Router interface {
	Route(core int, e Effect)
}

// A Driver steps a fixed list of cores. Ties go to the core that comes first in the list. The zero value drives
// nothing; it belongs to one goroutine.
type Driver struct {
	cores  []Core
	router Router
	buf    []Effect
	now    dsv.Instant
}

// NewDriver returns a driver of cores whose effects go to r.
func NewDriver(r Router, cores ...Core) *Driver {
	return &Driver{cores: cores, router: r}
}

// Now is the instant of the last step.
func (d *Driver) Now() dsv.Instant { return d.now }

// Next is the least Next of all cores.
func (d *Driver) Next() dsv.Instant {
	_, t := d.least()
	return t
}

func (d *Driver) least() (int, dsv.Instant) {
	core, at := -1, dsv.Never
	for i, c := range d.cores {
		if t := c.Next(); t < at {
			core, at = i, t
		}
	}
	return core, at
}

// Run advances every core through all that is due until now, in order of instants, and routes the effects. It returns
// the number of steps taken.
func (d *Driver) Run(now dsv.Instant) int {
	d.Flush()
	for steps := 0; ; steps++ {
		i, t := d.least()
		if i < 0 || t > now {
			return steps
		}
		d.now = max(d.now, t)
		d.cores[i].Advance(t)
		d.flush(i)
	}
}

// Flush routes the effects that the cores hold until none is left: a routed effect is an input of another core, which
// may answer with effects at once. Call it after handing an input to a core outside Run.
func (d *Driver) Flush() { d.flush(0) }

// flush asks the cores in turn, from the one that may hold effects on, until all have been silent one after another.
func (d *Driver) flush(i int) {
	for silent := 0; silent < len(d.cores); silent++ {
		if es := d.cores[i].Effects(); len(es) > 0 {
			silent = -1
			d.route(i, es)
		}
		if i++; i == len(d.cores) {
			i = 0
		}
	}
}

// route copies effects before routing them, because a route may feed the very core that emitted them.
func (d *Driver) route(core int, es []Effect) {
	if len(es) == 1 {
		d.router.Route(core, es[0])
		return
	}
	base := len(d.buf)
	d.buf = append(d.buf, es...)
	end := len(d.buf)
	for k := base; k < end; k++ {
		d.router.Route(core, d.buf[k])
	}
	d.buf = d.buf[:base]
}
