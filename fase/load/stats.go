package load

import (
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/internal/mono"
)

// Stats is what a loop has done since Run began.
type Stats struct {
	Issued    uint64   // calls that groups asked for
	Answered  uint64   // whole answers, whatever their status
	Errors    []uint64 // by service.Cause: calls that failed
	Abandoned uint64   // calls that a group gave up, or that were in flight when the run ended
	InFlight  uint64   // calls without an end yet

	Messages []Message // what is behind the causes Malformed, NoRoute and Other
	Queued   uint64    // calls that waited because Config.Connections were in use
	Retried  uint64    // calls sent again because a kept connection turned out to be closed

	Opened   uint64 // connections that were established
	Open     int    // connections now, those being opened included
	Held     int    // connections that are left idle; once Run has ended, those that were then
	HeldLost uint64 // connections left idle that the server closed; others were opened for them
	BytesIn  uint64
	BytesOut uint64

	Mechanism string // how the loop waits: io_uring or epoll

	Connect Spread // time from the beginning of a connection until it stood
	Lag     Spread // how late the loop came to what was due; the oldest of each time round
	Jitter  Spread // how late waits ended that nothing but their instant ended: the kernel's doing, and the machine's

	ThreadCPU  time.Duration // CPU time of the loop's thread
	ProcessCPU time.Duration // CPU time of all threads of the process, what else it does included
	Wall       time.Duration
}

// A Message is an error in words, and how often it occurred. A loop keeps the first sixteen different ones.
type Message struct {
	Text  string
	Count uint64
}

// Failed is the sum of Errors.
func (s *Stats) Failed() uint64 {
	n := uint64(0)
	for _, e := range s.Errors {
		n += e
	}
	return n
}

// Balanced reports whether every call is accounted for.
func (s *Stats) Balanced() bool {
	return s.Issued == s.Answered+s.Failed()+s.Abandoned+s.InFlight
}

// Utilisation is the part of the wall time in which the loop's thread used a processor. A loop near 1 is the limit of
// what it measures.
func (s *Stats) Utilisation() float64 {
	if s.Wall <= 0 {
		return 0
	}
	return s.ThreadCPU.Seconds() / s.Wall.Seconds()
}

// Stats returns what the loop has done so far, or did in all once Run has returned.
func (l *Loop) Stats() Stats {
	l.mu.Lock()
	p := l.phase
	l.mu.Unlock()
	if p == running {
		reply := make(chan Stats, 1)
		if l.Post(func(dsv.Instant) { reply <- l.snapshot() }) {
			return <-reply
		}
		<-l.done
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.final
	if s.Errors == nil {
		s.Errors = make([]uint64, len(service.Causes())+1)
	}
	return s
}

func (l *Loop) snapshot() Stats {
	s := l.stats
	s.Errors = append([]uint64(nil), s.Errors...)
	s.Messages = append([]Message(nil), s.Messages...)
	s.Connect, s.Lag, s.Jitter = s.Connect.clone(), s.Lag.clone(), s.Jitter.clone()
	s.ThreadCPU = time.Duration(mono.ThreadCPU() - l.cpuStart)
	s.ProcessCPU = time.Duration(mono.ProcessCPU() - l.processStart)
	s.Wall = time.Duration(mono.Now() - l.started)
	return s
}

// note keeps an error in words.
func (l *Loop) note(text string) {
	if i, ok := l.messages[text]; ok {
		l.stats.Messages[i].Count++
		return
	}
	if len(l.stats.Messages) < 16 {
		l.messages[text] = len(l.stats.Messages)
		l.stats.Messages = append(l.stats.Messages, Message{Text: text, Count: 1})
	}
}
