package rdr

import "math"

// Verb says what a [Step] does. The words of the language stand for themselves; a Step of a `{ }` within par is a VerbSeq.
type Verb uint8

// The verbs. Those with amounts have an [Amount]; see the fields of Step.
const (
	VerbCPU      Verb = iota // Amount: s at speed 1
	VerbRead                 // disk read; Amount: bytes
	VerbWrite                // disk write; Amount: bytes; Sync
	VerbMemory               // Amount: bytes; Body
	VerbReply                // Amount: bytes
	VerbSendFile             // reply file; Name: of the set
	VerbFile                 // Name: of the set
	VerbWait                 // Amount: s
	VerbCall                 // Name: service; Amount: bytes to send; Block
	VerbHTTP                 // Name: target; Amount: bytes of body
	VerbPar                  // Body: one strand each
	VerbFork                 // Body
	VerbSeq                  // Body
	VerbChoose               // Arms with P
	VerbRepeat               // Amount: how often; Body
	VerbLevel                // Arms with Name
	VerbLock                 // Name; Body
	VerbFail                 // P
	VerbTimeout              // Amount: s; Body
	VerbRetry                // Count: further attempts; Amount: s of back-off; Body
	VerbPriority             // Amount: a count
	VerbDeadline             // Amount: s
)

// A Step is one statement of a block for those who analyse it. It is a copy: nothing in it belongs to the block but Block.
type Step struct {
	Verb   Verb
	Name   string
	Amount Amount
	Sync   bool
	P      float64
	Count  int
	Body   []Step
	Arms   []Arm
	Block  *Block // of a call; nil where an operation is not linked
	where  *source
	at     int
}

// An Arm is one branch of a choose or a level.
type Arm struct {
	Name string
	P    float64 // of a choose; the last one has what is left
	Body []Step
}

// An Amount is what a statement draws: seconds, bytes or a count, by the moments of the draw. Draws are independent. They are exact up to
// the rounding of times and bytes; Mean and the others are +Inf where the law has no such moment, although a draw is cut off at 1000 h.
type Amount struct {
	Mean, Second, Third float64 // of x, x², x³
	Law                 string  // constant, exp, uniform, normal, lognormal, pareto, erlang or empirical
	Least               float64 // no draw is less

	amt   amount
	scale float64
}

// SCV is the squared coefficient of variation, 0 of an amount that is 0.
func (a Amount) SCV() float64 {
	if a.Mean == 0 {
		return 0
	}
	return max(0, a.Second/a.Mean/a.Mean-1)
}

// Quantile is what a share u of the draws stays below, for u from 0 up to 1; of an erlang, that of its normal approximation by Wilson and
// Hilferty, as it is no function of one uniform.
func (a Amount) Quantile(u float64) float64 {
	switch a.amt.dist {
	case distConst:
		return a.Mean
	case distEmpirical:
		return float64(a.amt.table[min(int(u*float64(len(a.amt.table))), len(a.amt.table)-1)]) * a.scale
	case distErlang:
		k := float64(a.amt.n)
		z := math.Sqrt2 * math.Erfinv(2*u-1)
		return a.Mean * math.Pow(max(0, 1-1/(9*k)+z/(3*math.Sqrt(k))), 3)
	}
	key := Key(u * 0x1p53)
	return max(0, a.amt.sample(key<<11)) * a.scale
}

// Position is where the statement stands: the file as given to the parser, the line and the column, both from 1. line is 0 where the
// block has no text.
func (s Step) Position() (file string, line, col int) {
	e := s.where.errorAt(s.at, nil, "", "")
	return e.File, e.Line, e.Col
}

// Outline returns the statements of the block, attributes included. Those of a called block are the Outline of its Block.
func (b *Block) Outline() []Step { return outline(b.body, b.src) }

func outline(body []node, src *source) []Step {
	steps := make([]Step, len(body))
	for i := range body {
		n := &body[i]
		s := Step{
			Verb: verbs[n.kind], Name: n.name, Sync: n.sync, P: n.prob, Count: int(n.count), Block: n.block,
			Body: outline(n.body, src), where: src, at: n.at, Amount: n.amt.outline(n.kind.unit()),
		}
		if n.kind == kHTTP {
			s.Amount = s.Amount.plus(n.bodyBytes())
		}
		last := 0.0
		for j := range n.arms {
			upto := math.Min(n.arms[j].upto, 1)
			s.Arms = append(s.Arms, Arm{Name: n.arms[j].name, P: upto - last, Body: outline(n.arms[j].body, src)})
			last = upto
		}
		steps[i] = s
	}
	return steps
}

var verbs = [kLast]Verb{
	kCPU: VerbCPU, kDiskRead: VerbRead, kDiskWrite: VerbWrite, kMemory: VerbMemory, kReply: VerbReply, kReplyFile: VerbSendFile,
	kFile: VerbFile, kWait: VerbWait, kCall: VerbCall, kHTTP: VerbHTTP, kPar: VerbPar, kFork: VerbFork, kSeq: VerbSeq, kChoose: VerbChoose,
	kRepeat: VerbRepeat, kLevel: VerbLevel, kLock: VerbLock, kFail: VerbFail, kTimeout: VerbTimeout, kRetry: VerbRetry,
	kPriority: VerbPriority, kDeadline: VerbDeadline,
}

// plus is the amount and a constant.
func (a Amount) plus(c float64) Amount {
	a.Mean, a.Second, a.Third, a.Least = a.Mean+c, a.Second+2*c*a.Mean+c*c, a.Third+3*c*a.Second+3*c*c*a.Mean+c*c*c, a.Least+c
	return a
}

func (a *amount) outline(u unit) Amount {
	scale := 1.0
	if u == unitTime {
		scale = 1e-9
	}
	m := a.moments()
	out := Amount{Mean: m[0] * scale, Second: m[1] * scale * scale, Third: m[2] * scale * scale * scale, Law: a.dist.String(), amt: *a, scale: scale}
	switch a.dist {
	case distConst:
		out.Least = float64(a.n) * scale
	case distUniform, distPareto:
		out.Least = a.a * scale
	case distEmpirical:
		out.Least = float64(a.table[0]) * scale
	}
	return out
}

// moments returns the means of x, x² and x³ of draw, up to the rounding of times and bytes; +Inf where there is none.
func (a *amount) moments() [3]float64 {
	m, a1, b := [3]float64{}, a.a, a.b
	switch a.dist {
	case distExp:
		return [3]float64{a1, 2 * a1 * a1, 6 * a1 * a1 * a1}
	case distErlang:
		k := float64(a.n)
		return [3]float64{a1, a1 * a1 * (1 + 1/k), a1 * a1 * a1 * (1 + 1/k) * (1 + 2/k)}
	case distUniform:
		return [3]float64{(a1 + b) / 2, (a1*a1 + a1*b + b*b) / 3, (a1 + b) * (a1*a1 + b*b) / 4}
	case distNormal:
		return normalMoments(a1, b)
	case distLognormal:
		for i := range m {
			k := float64(i + 1)
			m[i] = math.Pow(a1, k) * math.Exp(k*k*b*b/2)
		}
	case distPareto:
		for i := range m {
			k := float64(i + 1)
			if m[i] = math.Inf(1); b > k {
				m[i] = math.Pow(a1, k) * b / (b - k)
			}
		}
	case distEmpirical:
		for _, v := range a.table {
			x := float64(v)
			m[0], m[1], m[2] = m[0]+x, m[1]+x*x, m[2]+x*x*x
		}
		n := float64(len(a.table))
		return [3]float64{m[0] / n, m[1] / n, m[2] / n}
	default:
		x := float64(a.n)
		return [3]float64{x, x * x, x * x * x}
	}
	return m
}

// normalMoments are those of a normal whose negative values count as 0: with z = mean/sd, of x the sum of mean·Φ(z) and sd·φ(z), and by parts
// E x^(k+1) = mean·E x^k + k·sd²·E x^(k−1).
func normalMoments(mean, sd float64) [3]float64 {
	if sd == 0 {
		x := math.Max(mean, 0)
		return [3]float64{x, x * x, x * x * x}
	}
	positive := math.Erfc(-mean/sd/math.Sqrt2) / 2
	one := normalMean(mean, sd)
	two := mean*one + sd*sd*positive
	return [3]float64{one, two, mean*two + 2*sd*sd*one}
}
