package solve

import "math"

// entry finds how long an entry takes, at the waits that are known.
func (s *solver) entry(i int, e *entry) {
	x, c := s.eval(e.root, e.class), &s.calls[i]
	if c.hold == nil {
		c.hold = make([]moments, len(e.hold))
	}
	c.open, c.stay = 1, x.r
	for h := len(e.hold) - 1; h >= 0; h-- {
		c.hold[h] = momentsOf(x)
		wait, vari, rho := s.waits(e.hold[h].visits, e.class)
		x.mean, x.vari = x.mean+wait, x.vari+vari
		x.rho = blend(x.rho, x.r, rho, wait)
		x.r, x.rv = x.r+wait, x.rv+vari
		turned := s.turned(e.hold[h].visits)
		c.open *= 1 - turned
		x.ok *= 1 - turned
	}
	x.r += e.delay
	x.rl += e.delay
	c.stay = x.r
	c.span = x
}

// waits is the wait for what is held: its mean and variance, and how busy it is there.
func (s *solver) waits(visits []visit, class int) (mean, vari, rho float64) {
	second := 0.0
	for i := range visits {
		v := &visits[i]
		st := &s.at[v.station]
		w := st.wait[class]
		mean += v.share * w
		second += v.share * (st.vari[class] + w*w)
		rho += v.share * st.rho
	}
	return mean, second - mean*mean, rho
}

// stay is how long visits take, waiting and in service.
func (s *solver) stay(visits []visit, class int) span {
	x := span{ok: 1}
	second, shares, least := 0.0, 0.0, math.Inf(1)
	for i := range visits {
		v := &visits[i]
		st := &s.at[v.station]
		var mean, vari float64
		if s.n.stations[v.station].order == sharing {
			// The variance beyond that of the demand is as M/M/1 has it (Coffman, Muntz and Trotter, JACM 17(1), 1970).
			grow := 1 + st.wait[class]
			mean = v.m1 * grow
			vari = grow*grow*(v.m2-v.m1*v.m1) + mean*mean*2*st.rho/max(2-st.rho, 1)*min(1, st.wait[class]*(1-st.rho))
		} else {
			n := max(v.run, 1)
			mean = st.wait[class]/n + v.m1
			vari = st.vari[class]/n + v.m2 - v.m1*v.m1
		}
		x.mean += v.share * mean
		x.rho += v.share * mean * st.rho
		second += v.share * (vari + mean*mean)
		shares += v.share
		least = min(least, v.least)
		x.ok -= v.share * st.turned
	}
	if x.mean > 0 {
		x.rho /= x.mean
	}
	x.vari = max(0, second-x.mean*x.mean)
	if shares > 1-1e-9 {
		x.most = least
	}
	return x
}

// eval finds how long an act takes when begun.
func (s *solver) eval(a *act, class int) span {
	x := s.take(a, class)
	s.spans[a.id] = x
	return x
}

func (s *solver) take(a *act, class int) span {
	switch a.verb {
	case doSeq:
		return s.sequence(a, class)
	case doDemand:
		return whole(s.stay(a.visits, class))
	case doWait:
		return whole(span{ok: 1, mean: a.amount.m1, vari: a.amount.m2 - a.amount.m1*a.amount.m1, most: a.amount.least})
	case doReply: // the block goes on at once, its caller waits
		x := s.stay(a.visits, class)
		return span{ok: 1, r: x.mean, rv: x.vari, rl: x.most, replied: 1, rho: x.rho}
	case doPar:
		return s.par(a, class)
	case doFork:
		s.eval(a.body[0], class)
		return span{ok: 1}
	case doChoose:
		arms := make([]span, len(a.body))
		for i, x := range a.body {
			arms[i] = s.eval(x, class)
		}
		return mixture(arms, a.p)
	case doRepeat:
		return repeated(s.eval(a.body[0], class), a.amount)
	case doRetry:
		return attempts(s.eval(a.body[0], class), a.count, a.amount)
	case doTimeout:
		x := s.eval(a.body[0], class)
		cut := cutOff(x, a.amount.m1)
		cut.replied = x.replied
		return cut
	case doLock:
		x := s.eval(a.body[0], class)
		wait, vari, rho := s.waits(a.visits, class)
		x.rho = blend(x.rho, x.mean, rho, wait)
		x.mean, x.vari, x.r, x.rv = x.mean+wait, x.vari+vari, x.r+wait, x.rv+vari
		return x
	case doFail:
		return span{ok: 1 - a.p[0]}
	}
	return s.call(a, class)
}

// whole is a span without a reply in it.
func whole(x span) span {
	x.r, x.rv, x.rl = x.mean, x.vari, x.most
	return x
}

func blend(a, wa, b, wb float64) float64 {
	if wa+wb <= 0 {
		return max(a, b)
	}
	return (a*wa + b*wb) / (wa + wb)
}

func (s *solver) sequence(a *act, class int) span {
	sum := span{ok: 1}
	for _, act := range a.body {
		x := s.eval(act, class)
		w, before := sum.ok, sum.ok*(1-sum.replied)
		if sum.mean < x.mean/10 {
			sum.away += (1 - sum.away) * x.away
		}
		sum.rho = blend(sum.rho, max(sum.mean, sum.r), x.rho, w*max(x.mean, x.r))
		sum.mean, sum.vari = sum.mean+w*x.mean, sum.vari+w*x.vari
		sum.r, sum.rv = sum.r+before*x.r, sum.rv+before*x.rv
		if w == 1 {
			sum.most += x.most
			if sum.replied == 0 {
				sum.rl += x.rl
			}
		}
		sum.replied += (1 - sum.replied) * x.replied
		sum.ok *= x.ok
	}
	return sum
}

// call is a call as its caller sees it: what it sends, both ways, and the entry up to its reply.
func (s *solver) call(a *act, class int) span {
	x := s.calls[a.entry.id].span
	out := s.stay(a.visits, class)
	trip := a.amount
	y := span{
		ok: x.ok, mean: out.mean + trip.m1 + x.r, vari: out.vari + x.rv, most: trip.least + x.rl,
		rho: blend(x.rho, x.r, out.rho, out.mean),
	}
	if open := s.calls[a.entry.id].open; open < 1 { // those that are turned away come back at once
		r, second := x.r, x.rv+x.r*x.r
		y.mean = out.mean + trip.m1 + open*r
		y.vari = out.vari + open*second - open*open*r*r
		y.most = trip.least
		y.away = 1 - open
	}
	return whole(y)
}

// mixture is one of several, each with its probability.
func mixture(arms []span, ps []float64) span {
	if len(arms) == 1 {
		return arms[0]
	}
	var x span
	second, rsecond := 0.0, 0.0
	x.most, x.rl = math.Inf(1), math.Inf(1)
	for i, a := range arms {
		p := ps[i]
		if p == 0 {
			continue
		}
		x.ok += p * a.ok
		x.replied += p * a.replied
		x.away += p * a.away
		x.rho = blend(x.rho, x.mean, a.rho, p*a.mean)
		x.mean += p * a.mean
		second += p * (a.vari + a.mean*a.mean)
		x.r += p * a.r
		rsecond += p * (a.rv + a.r*a.r)
		x.most, x.rl = min(x.most, a.most), min(x.rl, a.rl)
	}
	x.vari, x.rv = max(0, second-x.mean*x.mean), max(0, rsecond-x.r*x.r)
	return x
}

// repeated is passes one after the other, up to the first that fails.
func repeated(x span, n moments) span {
	ok := math.Pow(x.ok, n.m1)
	k := passes(x.ok, n.m1)
	return whole(span{ok: ok, mean: k * x.mean, vari: k*x.vari + (n.m2-n.m1*n.m1)*x.mean*x.mean, most: math.Floor(n.least) * x.most, rho: x.rho})
}

// attempts is tries up to the first that does not fail, with pauses in between.
func attempts(x span, more int, pause moments) span {
	fail := 1 - x.ok
	n, second, q := 0.0, 0.0, 1.0
	for k := 1; k <= more+1; k++ { // k attempts
		p := q * x.ok
		if k == more+1 {
			p = q
		}
		n, second = n+p*float64(k), second+p*float64(k*k)
		q *= fail
	}
	each := x.mean + pause.m1
	return whole(span{
		ok: 1 - q, mean: n*x.mean + (n-1)*pause.m1, vari: n*x.vari + (n-1)*(pause.m2-pause.m1*pause.m1) + (second-n*n)*each*each, most: x.most, rho: x.rho,
	})
}

// cutOff ends what has not ended within a limit, as a failure that took the limit.
func cutOff(x span, limit float64) span {
	shape := Shape{Least: x.most, Mean: x.mean, Deviation: math.Sqrt(x.vari)}
	in := shape.Below(limit)
	if in > 1-1e-12 {
		return x
	}
	rest := x.mean - x.most
	y := span{ok: x.ok * in, most: min(x.most, limit), rho: x.rho, mean: limit, away: x.away}
	if d := limit - x.most; rest > 0 && x.vari > 0 && d > 0 {
		k := rest * rest / x.vari
		scale := rest / k
		one, two := gammaBelow(k+1, d/scale), gammaBelow(k+2, d/scale)
		first := rest*one + d*(1-in)
		second := k*(k+1)*scale*scale*two + d*d*(1-in)
		y.mean, y.vari = x.most+first, max(0, second-first*first)
	}
	return whole(y)
}
