// Package burn really consumes what a demand asks for: CPU time of the calling thread, disk transfers, memory.
//
// A [Burner] belongs to one thread: its methods are called by one goroutine that is locked to its thread, because CPU time is
// measured by that thread's own clock. That clock runs only while the thread does, so a demand is met in full also when other
// threads compete for the processor. What was delivered is returned and can be compared with what was asked.
//
// [Files] is a set of real files on the disk, which all processes of a host share and a Burner reads.
//
// Other reads come from the file that the same Burner has written, and so from the kernel's page cache as far as that holds it.
package burn

import (
	"errors"
	"fmt"
	"os"

	"github.com/eve-emulation/eve/internal/mono"
)

// Config says where and how a Burner works. The zero value works.
type Config struct {
	Dir       string // scratch directory of the disk's file, the system's temporary directory if empty
	FileBytes int64  // size at which transfers wrap around to the start of the file; 64 MiB if 0
}

// A Burner consumes demands on one thread. Close removes its file.
type Burner struct {
	cfg Config

	check int64   // ns of CPU that one reading of the thread's clock costs
	rate  float64 // turns of the loop in a nanosecond, as last measured
	sink  uint64  // what the loop computes, so that it cannot be left out

	file   *os.File
	size   int64 // of the file
	at     int64 // where the next transfer begins
	buffer []byte
	pages  []byte // for File, aligned
}

// New returns a Burner for the calling thread and measures, in about a millisecond, how fast that burns.
func New(cfg Config) (*Burner, error) {
	if cfg.FileBytes == 0 {
		cfg.FileBytes = 64 << 20
	}
	if cfg.FileBytes < 0 {
		return nil, fmt.Errorf("new burner: file of %d bytes: negative size", cfg.FileBytes)
	}
	b := &Burner{cfg: cfg, rate: 0.5}
	b.calibrate()
	return b, nil
}

// Twin returns a Burner for another thread, which may call it, with the speed that b has measured: it costs nothing. b must not be
// used meanwhile.
func (b *Burner) Twin() *Burner { return &Burner{cfg: b.cfg, check: b.check, rate: b.rate} }

// calibrate finds the cost of a check and the speed of the loop. The least of several readings is taken, because a
// disturbance only ever adds.
func (b *Burner) calibrate() {
	const readings = 32
	b.check = 1 << 20
	for range 4 {
		first := mono.ThreadCPU()
		for range readings {
			mono.ThreadCPU()
		}
		b.check = min(b.check, (mono.ThreadCPU()-first)/(readings+1))
	}
	best := 0.0
	for range 8 {
		const turns = 50_000
		first := mono.ThreadCPU()
		b.spin(turns)
		if ns := mono.ThreadCPU() - first - b.check; ns > 0 {
			best = max(best, turns/float64(ns))
		}
	}
	if best > 0 {
		b.rate = best
	}
}

// spin turns the loop n times: a chain of multiplications that the processor cannot shorten.
func (b *Burner) spin(n int64) {
	x := b.sink | 1
	for range n {
		x = x*6364136223846793005 + 1442695040888963407
	}
	b.sink = x
}

const (
	lastPart  = 40_000 // ns: a rest that is burned at once
	mostPart  = 0.96   // of a longer rest
	learnFrom = 5_000  // ns: a part that is long enough to measure the loop's speed by
)

// CPU uses demand nanoseconds of the calling thread's CPU time and returns how many it used. It burns most of the demand
// unobserved and then checks the thread's clock two or three times, more often for a demand of many milliseconds. The
// checks count as part of the demand. A demand too short to be checked is burned by the loop's known speed alone, and
// is then returned as asked.
func (b *Burner) CPU(demand int64) (delivered int64) {
	if demand <= 0 {
		return 0
	}
	if demand < 3*b.check {
		b.spin(int64(float64(demand) * b.rate))
		return demand
	}
	first := mono.ThreadCPU()
	for used := b.check; ; {
		left := demand - used
		if left < b.check {
			// Another check would pass the mark further than the loop can miss it.
			b.spin(int64(float64(max(left, 0)) * b.rate))
			return used + max(left, 0)
		}
		part := left - b.check
		if left > lastPart {
			part = int64(float64(left) * mostPart)
		}
		turns := int64(float64(part) * b.rate)
		b.spin(turns)
		now := mono.ThreadCPU() - first + b.check
		b.learn(turns, now-used-b.check)
		used = now
	}
}

// learn follows the speed of the processor.
func (b *Burner) learn(turns, ns int64) {
	if ns < learnFrom {
		return
	}
	rate := float64(turns) / float64(ns)
	b.rate += 0.5 * (min(max(rate, b.rate/2), b.rate*2) - b.rate)
}

// Close removes the Burner's file. It may be called twice, and a Burner that is used afterwards makes a new one.
func (b *Burner) Close() error {
	if b.file == nil {
		return nil
	}
	name := b.file.Name()
	err := errors.Join(b.file.Close(), os.Remove(name))
	b.file, b.size, b.at, b.buffer, b.pages = nil, 0, 0, nil, nil
	if err != nil {
		return fmt.Errorf("close burner: %w", err)
	}
	return nil
}
