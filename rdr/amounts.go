package rdr

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// distributions are the words that begin one.
var distributions = map[string]dist{
	"exp": distExp, "uniform": distUniform, "normal": distNormal, "lognormal": distLognormal,
	"pareto": distPareto, "erlang": distErlang, "empirical": distEmpirical,
}

// amount reads a constant or a distribution for a statement of kind k.
func (p *parser) amount(a *amount, k kind) bool {
	a.unit = k.unit()
	t := p.tok()
	if t.kind == tokNumber {
		x, ok := p.number(a.unit)
		if !ok {
			return false
		}
		if a.unit == unitCount && x != float64(int64(x)) {
			return p.fault(t, fmt.Sprintf("`%s` is not a whole number", t.text), "")
		}
		a.n = int64(min(x+0.5, 1<<62))
		return p.checkAmount(t, a)
	}
	d, ok := distributions[t.text]
	if t.kind != tokWord || !ok {
		return p.noAmount(t, k, a.unit)
	}
	p.next()
	a.dist = d
	if !p.want('(', fmt.Sprintf("after `%s`", t.text)) {
		return false
	}
	if d == distEmpirical {
		ok = p.empirical(a)
	} else {
		ok = p.parameters(a)
	}
	return ok && p.want(')', "after the parameters of `"+t.text+"`") && p.checkAmount(t, a)
}

func (p *parser) noAmount(t token, k kind, u unit) bool {
	fix := map[unit]string{
		unitTime:  "write an amount such as 5ms or exp(5ms)",
		unitBytes: "write an amount such as 16KiB or exp(16KiB)",
		unitCount: "write an amount such as 3 or uniform(1, 5)",
	}[u]
	if t.kind == tokWord && statements[t.text] == 0 {
		names := distNames[1:]
		if s := suggest(t.text, names); s != "" {
			fix = fmt.Sprintf("did you mean `%s`?", s)
		} else if p.tokens[p.i+1].kind == '(' {
			fix = "distributions are " + strings.Join(names, ", ")
		}
	}
	what := k.String()
	switch k {
	case kCall:
		what = "send"
	case kRetry:
		what = "backoff"
	}
	return p.missing(fmt.Sprintf("%s is due after `%s`, not %s", u, what, t.describe()), fix)
}

func (p *parser) checkAmount(t token, a *amount) bool {
	if p.loose && a.dist == distEmpirical {
		return true
	}
	err := a.check()
	if err == nil {
		return true
	}
	if len(p.errs) < maxErrors {
		msg, _ := strings.CutSuffix(err.Error(), ": "+ErrLimit.Error())
		p.errs = append(p.errs, p.src.errorAt(t.at, sentinel(err), msg, ""))
	}
	return false
}

// number reads one number of a unit.
func (p *parser) number(u unit) (float64, bool) {
	t := p.tok()
	if t.kind != tokNumber {
		return 0, p.missing(fmt.Sprintf("%s is due, not %s", u, t.describe()), "")
	}
	x, msg, fix := quantity(t.text, u)
	if msg != "" {
		return 0, p.fault(t, msg, fix)
	}
	p.next()
	return x, true
}

// parameters reads the numbers of a distribution.
func (p *parser) parameters(a *amount) bool {
	name := "`" + a.dist.String() + "`"
	var ok bool
	if a.dist == distErlang {
		t := p.tok()
		k, ok := p.number(unitNone)
		if !ok {
			return false
		}
		if a.n = int64(min(k, 1<<30)); float64(a.n) != k {
			return p.fault(t, fmt.Sprintf("`%s` stages", t.text), "erlang(k, mean) needs a whole k")
		}
		if !p.want(',', "after the stages of "+name) {
			return false
		}
	}
	if a.a, ok = p.number(a.unit); !ok || a.dist == distExp || a.dist == distErlang {
		return ok
	}
	if !p.want(',', "after the first parameter of "+name) {
		return false
	}
	u := a.unit
	if a.dist == distLognormal || a.dist == distPareto {
		u = unitNone
	}
	a.b, ok = p.number(u)
	return ok
}

// empirical reads the name of a file and, from the file, a sorted table: one
// sample a line, with its unit; empty lines and comments are skipped.
func (p *parser) empirical(a *amount) bool {
	t := p.tok()
	if t.kind != tokString || t.value == "" {
		return p.missing(fmt.Sprintf("the name of a file is due, not %s", t.describe()), "write empirical(\"samples.txt\")")
	}
	if p.loose {
		p.next()
		return true
	}
	if p.cfg.Load == nil {
		return p.fault(t, "empirical cannot read a file here", "put the request into a scenario, which carries the samples along")
	}
	data, err := p.cfg.Load(t.value)
	if err != nil {
		return p.fault(t, err.Error(), "")
	}
	for i, line := range bytes.Split(data, []byte("\n")) {
		line, _, _ = bytes.Cut(line, []byte("#"))
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if p.size += 8; p.size > 16*p.lim.Size {
			p.errs = append(p.errs, p.src.errorAt(t.at, ErrLimit,
				fmt.Sprintf("samples take more than %d bytes", 16*p.lim.Size), "use fewer samples"))
			return false
		}
		x, err := sample(string(line), a.unit)
		if err != nil {
			return p.fault(t, fmt.Sprintf("%s:%d: %s", t.value, i+1, err), "")
		}
		a.table = append(a.table, x)
	}
	slices.Sort(a.table)
	p.next()
	return true
}

func sample(line string, u unit) (int64, error) {
	x, msg, fix := quantity(line, u)
	switch {
	case msg != "" && fix != "":
		return 0, errors.New(msg + "; " + fix)
	case msg != "":
		return 0, errors.New(msg)
	case x > u.max():
		return 0, fmt.Errorf("`%s` is too large", line)
	}
	return int64(x + 0.5), nil
}
