package engine

// A conn is one connection of a reactor. An idle one holds no buffers, so that many cost little: its working state is an
// exchange, which it has only while it is busy.
type conn struct {
	x      *exchange
	when   int64  // instant at which its time-out strikes
	serial uint64 // of the next request; goes on when the slot is used again, which makes old Refs stale
	fd     int32  // -1 if the slot is free
	gen    uint32 // of the connection, to tell late events
	slot   uint32
	prev   uint32 // in the list of its time-out
	next   uint32
	list   timeout
	want   uint8 // what the poller watches: wantIn, wantOut; with a ring, the turn in which it last sent
	flags  uint16
}

const (
	wantIn uint8 = 1 << iota
	wantOut
)

const (
	ended     uint16 = 1 << iota // the peer has sent its end of stream
	last                         // no further request is read: the connection closes after the pending responses
	linger                       // we have sent our end of stream, and throw away what still comes
	blocked                      // the socket takes no more for now
	held                         // input waits until responses have gone out
	unread                       // edge only: there may be input that no further edge will tell of
	finished                     // edge and ring only: the peer's end of stream has been told of, and not yet been read
	again                        // edge only: in the reactor's list of that name
	armed                        // ring only: input is being received
	stopping                     // ring only: and that is being ended
	postponed                    // ring only: to be settled at the next turn
)

// An exchange is the working state of a busy connection.
type exchange struct {
	pending []pending // requests not yet answered in order; the first is the oldest

	in      []byte // received and not yet used: the start of one request, or requests held back
	scanned int    // bytes of in that were searched for the end of the head
	frame   frame  // of the body that is arriving

	out    []byte // rendered and not yet sent
	sent   int    // of out
	fills  []fill
	queued int64 // bytes that out and fills hold in all

	dirty   bool // in the reactor's list of connections to settle
	inBody  bool
	interim bool // 100 Continue is to be sent once nothing is pending
}

// A pending request is one whose response has not been rendered, or waits for an earlier one.
type pending struct {
	out    []byte // the response, rendered ahead of its turn
	filler int64
	owner  uint8 // the loop it was passed to
	flags  uint8
}

const (
	isHead     uint8 = 1 << iota // the response has no body
	isClosing                    // the connection closes after the response
	isDone                       // answered
	isPassed                     // handed to another loop
	isOld                        // HTTP/1.0: the response says keep-alive
	toldClosed                   // the handler knows that the peer has gone
	isHanded                     // of a session: the handler knows of the request
)

// A fill is n bytes of filler that belong after out[:at].
type fill struct {
	at int
	n  int64
}

// Ref: loop in 6 bits, slot in 24, serial in 34.
const (
	serialBits = 34
	serialMask = 1<<serialBits - 1
	slotBits   = 24
	maxSlots   = 1 << slotBits
	maxLoops   = 64
)

func makeRef(loop int, slot uint32, serial uint64) Ref {
	return Ref(uint64(loop)<<(serialBits+slotBits) | uint64(slot)<<serialBits | serial&serialMask)
}

func (r Ref) loop() int      { return int(r >> (serialBits + slotBits)) }
func (r Ref) slot() uint32   { return uint32(r>>serialBits) & (maxSlots - 1) }
func (r Ref) serial() uint64 { return uint64(r) & serialMask }

const chunkBits = 8

// A table holds a reactor's connections in chunks, so that it grows without copying and a *conn stays valid.
type table struct {
	chunks [][]conn
	free   []uint32 // slots, the latest freed last
	open   int
}

// at returns the slot's conn, nil if there never was one.
func (t *table) at(slot uint32) *conn {
	c := int(slot >> chunkBits)
	if c >= len(t.chunks) {
		return nil
	}
	return &t.chunks[c][slot&(1<<chunkBits-1)]
}

// take returns a free conn for fd, nil if the table is full.
func (t *table) take(fd int) *conn {
	if len(t.free) == 0 {
		base := uint32(len(t.chunks) << chunkBits)
		if base >= maxSlots {
			return nil
		}
		chunk := make([]conn, 1<<chunkBits)
		t.chunks = append(t.chunks, chunk)
		for i := range chunk {
			chunk[i].slot, chunk[i].fd = base+uint32(i), -1
			t.free = append(t.free, base+uint32(len(chunk)-1-i))
		}
	}
	c := t.at(t.free[len(t.free)-1])
	t.free = t.free[:len(t.free)-1]
	t.open++
	*c = conn{slot: c.slot, gen: c.gen + 1, serial: c.serial, fd: int32(fd)}
	return c
}

// put frees the slot of c.
func (t *table) put(c *conn) {
	c.fd = -1
	t.free = append(t.free, c.slot)
	t.open--
}

// each calls fn for every open connection; fn may close it.
func (t *table) each(fn func(*conn)) {
	for _, chunk := range t.chunks {
		for i := range chunk {
			if chunk[i].fd >= 0 {
				fn(&chunk[i])
			}
		}
	}
}
