package scenario

import (
	"time"

	"github.com/eve-emulation/eve/fase/user"
)

// rawRetry is how users try again, as written.
type rawRetry struct {
	at             *node
	attempts       spot[int]
	backoff, most  spot[time.Duration]
	factor, jitter spot[float64]
	ratio, least   spot[float64]
	window         spot[time.Duration]
}

func retryFields(r *rawRetry) []field {
	share := bounds{0, 1, "from 0% to 100%"}
	return []field{
		{key: "attempts", value: whole(&r.attempts, 1, 1000), need: true, help: "further attempts at a request, at most"},
		{key: "backoff", value: duration(&r.backoff, 0, false), def: "100ms", help: "the pause before the second attempt"},
		{key: "factor", value: amount(&r.factor, plainUnit(), bounds{1, 100, "from 1 to 100"}), def: "2", help: "each further pause is so many times the one before"},
		{key: "most", value: duration(&r.most, 0, false), def: "10s", help: "no pause is longer"},
		{key: "jitter", value: amount(&r.jitter, plainUnit(), share), def: "100%", help: "the share of a pause that is drawn: at 100% it is anything from 0 to the whole, at 0% always the whole"},
		{key: "budget", value: retryBudget(r), help: "further attempts by request, of the whole group, such as 20%: who finds none left has failed; without it there is no bound"},
	}
}

func budgetFields(r *rawRetry) []field {
	return []field{
		{key: "ratio", value: amount(&r.ratio, plainUnit(), positive(1000, "above 0% and at most 100000%")), need: true, help: "further attempts by request"},
		{key: "least", value: amount(&r.least, rateUnit(), bounds{0, maxRate, "at most 10000000/s"}), def: "0/s", help: "further attempts that are granted beside, whatever the requests are"},
		{key: "window", value: duration(&r.window, time.Second, false), def: "10s", help: "what requests brought is forgotten after it"},
	}
}

// retryBudget is a ratio, or a mapping that says more.
func retryBudget(r *rawRetry) value {
	fields := budgetFields(r)
	v := object("budget", fields)
	inner := v.read
	v.name, v.or = "share, or mapping", fields[0].value.schema()
	v.read = func(rd *reader, n *node) {
		switch {
		case n.src == nil: // there is none
		case n.kind == scalarNode:
			fields[0].value.read(rd, n)
		default:
			inner(rd, n)
		}
	}
	return v
}

// retry is how users of a group try again.
func (r *rawRetry) retry() user.Retry {
	if r.at == nil {
		return user.Retry{}
	}
	return user.Retry{
		Attempts: r.attempts.v, Backoff: r.backoff.v, Factor: r.factor.v, Most: r.most.v, Jitter: r.jitter.v,
		Budget: user.Budget{Ratio: r.ratio.v, Least: r.least.v, Window: r.window.v},
	}
}
