package app

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/trace"
	"github.com/eve-emulation/eve/fase/user"
)

// parseLaw reads the law of arrivals: "poisson", "constant", or "mmpp 1:9s,10:1s", whose states are FACTOR:STAY.
func parseLaw(text string) (user.Law, *user.Bursts, error) {
	name, states, _ := strings.Cut(strings.TrimSpace(text), " ")
	switch {
	case name == "poisson" && states == "":
		return user.Poisson, nil, nil
	case name == "constant" && states == "":
		return user.Constant, nil, nil
	case name != "mmpp":
		return 0, nil, errors.New("want poisson, constant, or mmpp with its states, as 'mmpp 1:9s,10:1s'")
	}
	b, most := &user.Bursts{}, 0.0
	for i, state := range strings.Split(states, ",") {
		factor, stay, _ := strings.Cut(strings.TrimSpace(state), ":")
		x, err := strconv.ParseFloat(factor, 64)
		d, wrong := time.ParseDuration(stay)
		if err != nil || wrong != nil || !(x >= 0 && x <= maxBurst) || d < time.Millisecond {
			return 0, nil, fmt.Errorf("state %d, %q: want FACTOR:STAY, a factor of the rate from 0 to %.0g and a mean time of at least 1ms, as 10:1s", i+1, strings.TrimSpace(state), maxBurst)
		}
		b.States, most = append(b.States, user.Burst{Factor: x, Stay: d}), math.Max(most, x)
	}
	if len(b.States) < 2 || most == 0 {
		return 0, nil, errors.New("want two states at least, one with a factor above 0, as 'mmpp 1:9s,10:1s'")
	}
	return user.MMPP, b, nil
}

// maxBurst bounds a factor of an MMPP, as in scenarios.
const maxBurst = 1e6

// parseSwing reads a rate, or one that swings: "300/s ± 200/s every 10s" is a sine. +- stands for ±.
func parseSwing(text string) (float64, *user.Sine, error) {
	mean, swing, swings := strings.Cut(strings.ReplaceAll(text, "+-", "±"), "±")
	rate, err := parseRate(mean)
	switch {
	case err != nil:
		return 0, nil, err
	case rate == 0:
		return 0, nil, fmt.Errorf("%q: want a rate above 0", strings.TrimSpace(mean))
	case !swings:
		return rate, nil, nil
	}
	by, period, ok := strings.Cut(swing, "every")
	amplitude, err := parseRate(by)
	d, wrong := time.ParseDuration(strings.TrimSpace(period))
	switch {
	case !ok || err != nil || wrong != nil || d <= 0:
		return 0, nil, fmt.Errorf("%q: want a rate that swings as '300/s ± 200/s every 10s'", strings.TrimSpace(text))
	case amplitude > rate:
		return 0, nil, fmt.Errorf("%q: the rate would be negative at times; want a swing of at most the mean", strings.TrimSpace(text))
	}
	return rate, &user.Sine{Amplitude: amplitude / rate, Period: d}, nil
}

// replay makes the group one whose requests are due when the lines of a file were, and returns how long that takes. Where URL
// is a server alone, lines ask it what they asked; else only their times count.
func (f *loadFlags) replay(g *loadGroup) (time.Duration, error) {
	file, err := os.Open(f.trace)
	if err != nil {
		return 0, fmt.Errorf("--trace %q: %w", f.trace, cause(err))
	}
	defer file.Close()
	if s, err := file.Stat(); err != nil || !s.Mode().IsRegular() {
		return 0, fmt.Errorf("--trace %q: want a regular file", f.trace)
	}
	asks := f.targets == "" && f.rdr == "" && f.method == "" && g.targets[0].at.Path == "/"
	log, err := trace.Read(f.trace, file, trace.Config{TimesOnly: !asks})
	if asks && bare(err) {
		asks = false
		if _, err = file.Seek(0, io.SeekStart); err == nil {
			log, err = trace.Read(f.trace, file, trace.Config{TimesOnly: true})
		}
	}
	if err != nil {
		return 0, fmt.Errorf("--trace: %w", plainMistakes(err))
	}
	if log.Resolution > 0 {
		g.cfg.Spread(log.At, log.Resolution)
	}
	t := &user.Trace{File: f.trace, Lines: log.Lines, Due: make([]dsv.Instant, len(log.At))}
	for i, at := range log.At {
		t.Due[i] = dsv.Instant(math.Round(float64(at) / f.speed))
	}
	if asks {
		t.Ask = log.Ask
		for _, a := range log.Asks {
			t.Asks = append(t.Asks, user.Ask{Method: a.Method, Path: a.Path})
		}
	}
	g.cfg.Law, g.cfg.Trace = user.Replay, t
	last := time.Duration(t.Due[len(t.Due)-1])
	if last > maxReplay {
		return 0, fmt.Errorf("--trace %s: it lasts %v, longer than %v; want a higher --speed", f.trace, last.Round(time.Second), maxReplay)
	}
	return last.Truncate(syncEvery) + syncEvery, nil
}

// bare reports whether lines hold nothing but a time, where more was looked for.
func bare(err error) bool {
	ms, ok := errors.AsType[trace.Mistakes](err)
	return ok && ms[0].Line <= 2 && !strings.ContainsAny(ms[0].Text, ",;\t {")
}

// plainMistakes are lines that are wrong, without what a scenario could do about them.
func plainMistakes(err error) error {
	ms, ok := errors.AsType[trace.Mistakes](err)
	if !ok {
		return err
	}
	var lines []string
	for _, m := range ms {
		lines = append(lines, fmt.Sprintf("%s:%d: %s", m.File, m.Line, m.Msg))
	}
	return errors.New(strings.Join(lines, "\n"))
}

// maxReplay is the longest trace that is replayed.
const maxReplay = 7 * 24 * time.Hour
