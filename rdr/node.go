package rdr

import "math"

// kind is the kind of a statement. The numbers are the opcodes of the compact
// encoding: never change one, only add.
type kind uint8

const (
	kEnd       kind = iota // ends a body in the compact encoding
	kCPU                   // amt
	kDiskRead              // amt
	kDiskWrite             // amt, sync
	kMemory                // amt, body
	kReply                 // amt
	kWait                  // amt
	kCall                  // name, op or block; amt: send
	kHTTP                  // name, op: method, path; http, amt: send
	kPar                   // body: one strand per statement
	kFork                  // body
	kSeq                   // body: a bare { } in par
	kChoose                // arms with weights
	kRepeat                // amt, body
	kLevel                 // arms with names
	kLock                  // name, body
	kFail                  // weight
	kTimeout               // amt, body
	kRetry                 // count, amt: backoff, body
	kPriority              // amt
	kDeadline              // amt
	kFile                  // name: of the file set
	kReplyFile             // name: of the set that the file is of, found by finish
	kHTTPMore              // in the compact encoding: a kHTTP that says more than its path
	kLast
)

var kindNames = [...]string{
	"end", "cpu", "disk read", "disk write", "memory", "reply", "wait", "call", "http", "par",
	"fork", "{ }", "choose", "repeat", "level", "lock", "fail", "timeout", "retry", "priority", "deadline",
	"file", "reply file", "http",
}

func (k kind) String() string { return kindNames[k] }

// unit is what an amount of this statement is measured in.
func (k kind) unit() unit {
	switch k {
	case kCPU, kWait, kTimeout, kRetry, kDeadline:
		return unitTime
	case kRepeat, kPriority:
		return unitCount
	default:
		return unitBytes
	}
}

// node is one statement. Its number counts the statements of its block in
// pre-order, from 0; a called block counts from 0 again.
type node struct {
	kind  kind
	sync  bool
	num   uint32
	count uint32 // retry: attempts after the first
	at    int    // offset in the source
	amt   amount
	prob  float64 // fail
	name  string
	op    string // call: operation; http: method
	path  string
	http  *HTTP // what else an http says; nil for nothing
	body  []node
	arms  []arm
	block *Block
}

// arm is one branch of choose or level.
type arm struct {
	at   int
	prob float64 // choose: as written
	upto float64 // choose: sum of the probabilities so far, 1 for the last
	name string  // level
	body []node
}

// walk calls f for every statement of body, in pre-order, without following
// calls into their blocks.
func walk(body []node, f func(*node)) {
	for i := range body {
		n := &body[i]
		f(n)
		walk(n.body, f)
		for j := range n.arms {
			walk(n.arms[j].body, f)
		}
	}
}

// finish numbers the statements of a new block, sums the probabilities of its
// choices, finds which set the file of a reply is of, and notes its attributes.
func (b *Block) finish() {
	lastFile(b.body, noFile)
	num := uint32(0)
	walk(b.body, func(n *node) {
		n.num = num
		num++
		if n.kind == kCall && (n.op != "" || n.block != nil && n.block.refs) {
			b.refs = true
		}
		if n.kind != kChoose || len(n.arms) == 0 {
			return
		}
		total := 0.0
		for i := range n.arms {
			total += n.arms[i].prob
		}
		sum := 0.0
		for i := range n.arms {
			sum += n.arms[i].prob
			n.arms[i].upto = sum / total
		}
		n.arms[len(n.arms)-1].upto = math.Inf(1)
	})
	for i := range b.body {
		switch n := &b.body[i]; n.kind {
		case kDeadline:
			b.deadline = n
		case kPriority:
			b.priority = n
		}
	}
}
