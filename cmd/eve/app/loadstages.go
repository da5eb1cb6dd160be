package app

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/user"
)

// parseRate reads requests per second: "2000/s", "2000", "120/m".
func parseRate(text string) (float64, error) {
	digits, per := strings.TrimSpace(text), 1.0
	switch {
	case strings.HasSuffix(digits, "/s"), strings.HasSuffix(digits, "/1s"):
		digits, _, _ = strings.Cut(digits, "/")
	case strings.HasSuffix(digits, "/m"), strings.HasSuffix(digits, "/1m"):
		digits, _, _ = strings.Cut(digits, "/")
		per = 60
	}
	x, err := strconv.ParseFloat(digits, 64)
	if x /= per; err != nil || !(x >= 0) || x > user.MaxRate {
		return 0, fmt.Errorf("%q: want requests per second, as 2000/s", strings.TrimSpace(text))
	}
	return x, nil
}

func parseUsers(text string) (float64, error) {
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 32)
	if err != nil || n > maxUsers {
		return 0, fmt.Errorf("%q: want a number of users, at most %d", strings.TrimSpace(text), maxUsers)
	}
	return float64(n), nil
}

// parseStages reads stages, "10s:100/s,30s:100/s..500/s": each lasts so long at a level, or goes from one to another in a
// line; ..X goes on from where the stage before ended. The curve is linear between its points, two of which at one instant
// are a step.
func parseStages(text string, open bool) ([]user.Point, time.Duration, error) {
	level, what := parseUsers, "10s:50,30s:50..200"
	if open {
		level, what = parseRate, "10s:100/s,30s:100/s..500/s"
	}
	var ps []user.Point
	at, before := time.Duration(0), 0.0
	for i, stage := range strings.Split(text, ",") {
		wrong := func(err error) error {
			return fmt.Errorf("--stages: stage %d, %q: %w; want DURATION:LEVEL or DURATION:FROM..TO, as %s", i+1, strings.TrimSpace(stage), err, what)
		}
		length, levels, ok := strings.Cut(stage, ":")
		if !ok {
			return nil, 0, wrong(fmt.Errorf("no colon"))
		}
		d, err := time.ParseDuration(strings.TrimSpace(length))
		if err != nil || d <= 0 {
			return nil, 0, wrong(fmt.Errorf("%q is no time above 0", strings.TrimSpace(length)))
		}
		from, to, ramp := strings.Cut(levels, "..")
		a := before
		if !ramp || strings.TrimSpace(from) != "" {
			if a, err = level(from); err != nil {
				return nil, 0, wrong(err)
			}
		}
		b := a
		if ramp {
			if b, err = level(to); err != nil {
				return nil, 0, wrong(err)
			}
		}
		if len(ps) == 0 || ps[len(ps)-1].Rate != a {
			ps = append(ps, user.Point{At: dsv.At(at), Rate: a})
		}
		at, before = at+d, b
		ps = append(ps, user.Point{At: dsv.At(at), Rate: b})
	}
	return ps, at, nil
}

// A populationStep is a number of users from an instant on.
type populationStep struct {
	at    dsv.Instant
	users float64
}

// population turns a curve of users into steps: of one user, or of 100 ms where there are more.
func population(ps []user.Point) (first int, steps []populationStep) {
	const tick = dsv.Instant(100e6)
	first = int(ps[0].Rate)
	present := ps[0].Rate
	for i := 1; i < len(ps); i++ {
		a, b := ps[i-1], ps[i]
		for at := a.At; at < b.At; at += tick {
			x := a.Rate + (b.Rate-a.Rate)*float64(at-a.At)/float64(b.At-a.At)
			if x = float64(int(x + 0.5)); x != present {
				steps, present = append(steps, populationStep{at, x}), x
			}
		}
		if b.Rate != present {
			steps, present = append(steps, populationStep{b.At, b.Rate}), b.Rate
		}
	}
	return first, steps
}
