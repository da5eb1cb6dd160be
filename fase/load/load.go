// Package load carries what groups of clients decide over real sockets: it is the client side of HTTP/1.1.
//
// A [Loop] is one thread that steps the cores of one or more groups and owns their connections. A group says when it next
// wants to act; the loop waits for its sockets until exactly then, carries the calls that the group asks for, and hands
// back what became of each. There is no goroutine for a user or a request, and a request allocates nothing.
//
// Connections are kept open and used again, the latest freed first; one request is under way on a connection at a time. Every
// call that a group issues ends in exactly one way, so that at any time
//
//	issued = answered + errors by cause + abandoned + in flight
//
// docs/measurement.md says what is measured, and when the clock is read.
package load

import (
	"crypto/tls"
	"net/netip"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/step"
)

// Precise is what a loop polls that is to be exact, as Config.Spin: longer than most waits take to end when nothing else
// runs.
const Precise = 60 * time.Microsecond

// A Group is what a Loop steps: a population of clients, as user.Group is. Its effects are Send and Abandon, and it may
// be handed several inputs before its effects are taken. The slots of its Refs are dense: about as many as calls are in
// flight at most, for the loop keeps a table of them. All methods are called on the loop's thread, with instants that
// never fall.
type Group interface {
	step.Core
	// InFlight is how many requests have begun and not ended, calls under way or not.
	InFlight() int
	// Request returns what the call of a Send effect carries, nil if the group has given it up since. The loop uses it
	// before it calls the group again.
	Request(ref step.Ref) *service.Request
	// Sent tells when the loop took the call up: it wrote the request to an open connection or began to open one. It
	// comes at most once for a call, and not at all for a call that failed before.
	Sent(at dsv.Instant, ref step.Ref)
	// Answer tells how the call ended, once, unless the group abandoned it. Cause is OK for a whole answer whatever
	// its status.
	Answer(at dsv.Instant, ref step.Ref, a service.Answer)
	// Changed tells that a service is mapped elsewhere.
	Changed(at dsv.Instant, svc int, m service.Mapping)
}

// A Connecter is a Group that wants to know what connections cost.
type Connecter interface {
	Group
	// Connected tells that the connection which a call waited for stands, and how long opening it took, before the call
	// is written to it. A call that is carried by a connection already open has none.
	Connected(at dsv.Instant, ref step.Ref, took time.Duration)
}

// An Owner is a Group whose users keep connections of their own: a call is carried by a connection of its owner, and a
// user that asks in parallel has several.
type Owner interface {
	Group
	// Owner numbers the user that a call is of, densely from 0: the loop keeps a table. It is called for a call that is
	// being sent. A number is used for another user only after an effect Leave has named it.
	Owner(ref step.Ref) uint32
}

// Config says what a Loop carries and where to.
type Config struct {
	T0     int64   // the run's T0 in nanoseconds of CLOCK_MONOTONIC; may lie ahead
	Groups []Group // stepped in this order when they want to act at the same instant

	// Address tells where a server is: "127.0.0.1:8080", "http://127.0.0.1:8080" or "https://127.0.0.1:8443", empty while it is
	// unknown. It is called for every call, on the loop's thread, and may change its mind.
	Address  func(node int) string
	Services []string // names by index, for the path of an RDR: /rdr/NAME
	Host     string   // what Host says; by default the address
	Sites    []Site   // by server: what is particular about it; there may be fewer

	// End is when no further request is due. From then on the loop waits for the requests in flight, at most for Grace,
	// and abandons the rest. Without End, Run ends when nothing is in flight and no group will ever act.
	End   dsv.Instant
	Grace time.Duration

	// Light has the loop's thread keep a processor of Go's runtime to itself while there is work, for up to 10 ms at a time, and for
	// a second after it: a wait costs less, and ends sooner. There must be more of them (GOMAXPROCS) than threads that do so.
	Light bool
	// Readiness has the loop wait for sockets by epoll, also where io_uring is to be had, which needs less of the CPU for a request.
	Readiness bool

	Spin        time.Duration // polled instead of slept before an instant is due: exact, at the price of the CPU
	Connections int           // most connections open to one address; 0 is no limit. Calls beyond wait in line
	Own         bool          // each user keeps connections of its own; its one group is an Owner, and Connections is 0
	Requests    int           // answers after which a connection is closed, and a new one opened when need be; 0 is no limit
	Hold        []int         // by server: connections opened as soon as Run begins, and left idle beside the others
	Sources     []netip.Addr  // local addresses of connections, taken in turn; the kernel chooses instead of one that leads nowhere
	Mailbox     int           // functions that Post holds before it waits; default 1024

	ConnectTimeout time.Duration // how long a connection may take until it stands, its TLS included; default 30 s
	MaxBody        int64         // bytes of an answer's body; one that is longer, or says so, is cut off as service.Oversized; default 1 GiB
}

// A Site says how one server is spoken to.
type Site struct {
	Host string      // what Host says, and whose certificate is wanted; by default Config.Host
	TLS  *tls.Config // the server speaks TLS; nil for one whose address does not begin with https:, or is verified by the host's certificates. See [TLS]
}
