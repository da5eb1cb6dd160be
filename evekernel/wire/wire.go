// Package wire speaks the protocol between the kernel and its modules, both ends of it: docs/protocol.md in Go.
//
//   - A [Frame] is one message; each type of frame has a body: [Hello], [Req], [Batch], [Upd] and so on.
//   - A [Coding], CBOR or JSON, turns frames into bytes and back, within limits.
//   - A [Conn] is one connection in frames, with keep-alive and write deadlines.
//   - [Dial] makes one to a kernel; [Upgrade] makes one of an HTTP request, when its Host, its Origin and its token allow.
//   - An [Error] is an error that crossed the wire: errors.Is finds the sentinel that its code stands for.
//
// It is the only package that knows of WebSockets.
package wire

import (
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
)

// Proto is the version of the protocol that this package speaks.
const Proto = 1

// Path is where a kernel serves the protocol.
const Path = "/eve"

// The limits of the protocol.
const (
	MaxMessage = 1 << 20 // bytes of one frame
	MaxDepth   = 16      // nested maps and arrays of one frame

	HelloTimeout = 5 * time.Second // from the connection to its hello
	WriteTimeout = 5 * time.Second // a frame that takes longer ends the connection
	PingEvery    = 5 * time.Second
	DeadAfter    = 15 * time.Second // a connection from which nothing comes for so long is dead
)

// A Frame is one message. Exactly one field is set; which one is the frame's type.
type Frame struct {
	Hello   *Hello   `json:"hello,omitempty"`
	Welcome *Welcome `json:"welcome,omitempty"`
	Req     *Req     `json:"req,omitempty"`
	Res     *Res     `json:"res,omitempty"`
	Batch   *Batch   `json:"batch,omitempty"`
	Ack     *Ack     `json:"ack,omitempty"`
	Upd     *Upd     `json:"upd,omitempty"`
	Gap     *Gap     `json:"gap,omitempty"`
	Evt     *Evt     `json:"evt,omitempty"`
	Peers   *Peers   `json:"peers,omitempty"`
	Tick    *Tick    `json:"tick,omitempty"`
	Act     *Act     `json:"act,omitempty"`
	Bye     *Bye     `json:"bye,omitempty"`
}

// Hello is a participant's first frame.
type Hello struct {
	Proto  int    `json:"proto"`
	Module string `json:"module,omitempty"` // empty for a guest
	Token  string `json:"token,omitempty"`  // unless the HTTP request carried it
	Resume string `json:"resume,omitempty"` // the session to take up, with its Writer and Epoch
	Writer Uint   `json:"writer,omitempty"`
	Epoch  Uint   `json:"epoch,omitempty"`
}

// Welcome is the kernel's answer to Hello.
type Welcome struct {
	Proto    int    `json:"proto"`
	Run      string `json:"run,omitempty"`
	Kernel   string `json:"kernel,omitempty"` // tells a kernel from the one that succeeds it
	Session  string `json:"session"`
	Writer   Uint   `json:"writer"`
	Epoch    Uint   `json:"epoch"`
	Revision Uint   `json:"revision,omitempty"`
	Boot     string `json:"boot,omitempty"`
	T0       Int    `json:"t0,omitempty"` // ns of CLOCK_MONOTONIC; 0 while not announced
}

// An Op is what a request asks for.
type Op string

// The operations.
const (
	OpCreate     Op = "create"
	OpRead       Op = "read"
	OpWrite      Op = "write"
	OpTestAndSet Op = "test_and_set"
	OpInfo       Op = "info"
	OpDelete     Op = "delete"
	OpHistory    Op = "history"
	OpList       Op = "list"
	OpWatch      Op = "watch"
	OpMore       Op = "more"
	OpUnwatch    Op = "unwatch"
	OpJoin       Op = "join"
	OpEnter      Op = "enter"
	OpLeave      Op = "leave"
	OpMembers    Op = "members"
	OpClock      Op = "clock"
)

// Req asks the kernel for an operation.
type Req struct {
	ID      Uint     `json:"id"`
	Op      Op       `json:"op"`
	Name    dsv.Name `json:"name,omitempty"`
	Decl    *Decl    `json:"decl,omitempty"`
	Value   *Value   `json:"value,omitempty"`
	Old     Uint     `json:"old,omitempty"`
	Watch   Uint     `json:"watch,omitempty"`
	Pattern string   `json:"pattern,omitempty"`
	Mode    string   `json:"mode,omitempty"`
	From    Uint     `json:"from,omitempty"`
	Credit  int      `json:"credit,omitempty"` // of watch and more; 0 holds nothing back
	Sub     Uint     `json:"sub,omitempty"`
	Channel *Channel `json:"channel,omitempty"`
	Event   *Evt     `json:"event,omitempty"`
	Sink    *Sink    `json:"sink,omitempty"`    // of subscribe, describe and filter
	Version Uint     `json:"version,omitempty"` // of seen

	Sync string `json:"sync,omitempty"` // of create: when the participant synchronises what it measures, in words

	Dmm    *dmm.Recipe `json:"dmm,omitempty"`    // of create: a manipulator in the kernel
	Window Int         `json:"window,omitempty"` // of read and watch of a derived value: ns
	Every  Int         `json:"every,omitempty"`  // of watch of a derived value: ns

	// Of history: deltas that ended in (Since, To], in windows of Resolution ns, at most Limit, behind Cursor.
	Since      Int  `json:"since,omitempty"`
	To         Int  `json:"to,omitempty"`
	Resolution Int  `json:"resolution,omitempty"`
	Limit      int  `json:"limit,omitempty"`
	Cursor     Uint `json:"cursor,omitempty"`

	// Of list: variables of Pattern whose names come after this one.
	After dsv.Name `json:"after,omitempty"`
}

// Res answers a Req. Code and Msg are empty when it went well.
type Res struct {
	ID      Uint     `json:"id"`
	Code    Code     `json:"code,omitempty"`
	Msg     string   `json:"msg,omitempty"`
	Var     Uint     `json:"var,omitempty"`
	Rev     Uint     `json:"rev,omitempty"`
	Reading *Reading `json:"reading,omitempty"`
	Info    *Info    `json:"info,omitempty"`
	Start   *Start   `json:"start,omitempty"`
	Members []string `json:"members,omitempty"`
	Now     Int      `json:"now,omitempty"`
	Channel *Channel `json:"channel,omitempty"` // of channel, with Secret
	Secret  string   `json:"secret,omitempty"`  // what processes show each other on direct links
	Peers   *Peers   `json:"peers,omitempty"`   // of attach

	Delivered int     `json:"delivered,omitempty"` // of publish: sinks that it went to
	Deltas    []Delta `json:"deltas,omitempty"`    // of history, with Cursor and More
	Cursor    Uint    `json:"cursor,omitempty"`
	More      bool    `json:"more,omitempty"`
	Decls     []*Decl `json:"decls,omitempty"` // of list, with More
}

// Err is the error that the answer carries, nil when it went well.
func (r *Res) Err() error { return (&Fault{Code: r.Code, Msg: r.Msg}).Err() }

// Batch brings deltas, listed or packed.
type Batch struct {
	Seq    Uint    `json:"seq"`
	Deltas []Delta `json:"deltas,omitempty"`
	Packed []byte  `json:"packed,omitempty"` // what a Packer made
}

// Ack says that all batches up to Seq are merged, but for the errors, which are those of batch Seq.
type Ack struct {
	Seq    Uint    `json:"seq"`
	Errors []Fault `json:"errors,omitempty"`
}

// Upd is one update of a watch.
type Upd struct {
	Watch   Uint     `json:"watch"`
	Name    dsv.Name `json:"name"`
	Rev     Uint     `json:"rev"`
	Reading *Reading `json:"reading,omitempty"`
	Delta   *Delta   `json:"delta,omitempty"`
	Deleted bool     `json:"deleted,omitempty"`
	Skipped int      `json:"skipped,omitempty"`
}

// Gap ends a watch that was too slow.
type Gap struct {
	Watch  Uint `json:"watch"`
	Oldest Uint `json:"oldest"`
}

// Tick asks a program that controls a run, at an instant of real or of virtual time, what to do. It travels on the standard
// input of the program, and the Act that answers it on the standard output, one frame a line.
type Tick struct {
	At       Int                 `json:"at"`
	N        Uint                `json:"n,omitempty"`        // of the tick, from 1
	Readings map[string]*float64 `json:"readings,omitempty"` // in base units, by the names of the scenario; nil for what is unknown
	Value    *float64            `json:"value,omitempty"`    // what stands of what it controls; absent while unknown
	Replicas map[string]int      `json:"replicas,omitempty"` // by service: how many serve, as the mapping says
}

// Act answers the Tick of the same N: what to do, or a number for what the scenario has the program control. Neither is
// nothing to do.
type Act struct {
	N       Uint     `json:"n"`
	Actions []string `json:"actions,omitempty"` // as rules write them: "scale app to 3"
	Value   *float64 `json:"value,omitempty"`
	Why     string   `json:"why,omitempty"` // kept with the decisions that follow
}

// Bye ends a connection in order. A Code says that the reason is an error.
type Bye struct {
	Code Code   `json:"code,omitempty"`
	Msg  string `json:"msg,omitempty"`
}
