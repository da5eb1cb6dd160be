package netpoll_test

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/eve-emulation/eve/internal/netpoll"
)

func TestPipe(t *testing.T) {
	in, from := pair(t, netip.Addr{})
	to, out := pair(t, netip.Addr{})
	p := must(netpoll.NewPipe(1 << 18))(t)
	if p.Size() < 1<<12 {
		t.Errorf("size: got %d", p.Size())
	}
	if n, err := p.Fill(from, p.Size()); n != 0 || !errors.Is(err, netpoll.ErrAgain) {
		t.Errorf("fill of nothing: got %d, %v, want %v", n, err, netpoll.ErrAgain)
	}
	if n, err := p.Drain(to, 10); n != 0 || !errors.Is(err, netpoll.ErrAgain) {
		t.Errorf("drain of nothing: got %d, %v, want %v", n, err, netpoll.ErrAgain)
	}
	must(netpoll.Write(in, []byte("hello, world")))(t)
	if n, err := p.Fill(from, 100); n != 12 || err != nil {
		t.Fatalf("fill: got %d, %v, want 12", n, err)
	}
	for _, want := range []string{"hello", ", world"} {
		if n, err := p.Drain(to, len(want)); n != len(want) || err != nil {
			t.Fatalf("drain: got %d, %v, want %d", n, err, len(want))
		}
	}
	got := make([]byte, 100)
	if n, err := netpoll.Read(out, got); string(got[:n]) != "hello, world" || err != nil {
		t.Errorf("got %q, %v", got[:n], err)
	}
	if err := netpoll.CloseWrite(in); err != nil {
		t.Fatal(err)
	}
	if n, err := p.Fill(from, 100); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("fill at the end: got %d, %v, want %v", n, err, io.EOF)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if _, err := p.Fill(from, 1); err == nil {
		t.Error("fill of a closed pipe: got no error")
	}
}

// However small the pieces are that came, a pipe that got fewer bytes than it has slots has taken all that was there.
func TestPipeSlots(t *testing.T) {
	in, from := pair(t, netip.Addr{})
	to, out := pair(t, netip.Addr{})
	p := must(netpoll.NewPipe(1 << 16))(t)
	if got, want := p.Slots(), p.Size()/os.Getpagesize(); got != want || got < 1 {
		t.Errorf("slots: got %d, want %d", got, want)
	}
	full := false
	for round := 0; round < 50 || !full && round < 1000; round++ {
		for _, sent := range []int{1, p.Slots() - 1, p.Slots(), 10 * p.Slots()} {
			for range sent {
				must(netpoll.Write(in, []byte("x")))(t) // each in a segment of its own
			}
			for moved := 0; moved < sent; {
				there := must(unix.IoctlGetInt(from, unix.TIOCINQ))(t)
				n, err := p.Fill(from, p.Size())
				if errors.Is(err, netpoll.ErrAgain) {
					continue // still under way
				}
				if err != nil {
					t.Fatal(err)
				}
				full = full || n < there
				if n < there && n < p.Slots() {
					t.Errorf("got %d bytes of %d in %d slots", n, there, p.Slots())
				}
				moved += n
				if d, err := p.Drain(to, n); d != n || err != nil {
					t.Fatalf("drain: got %d, %v, want %d", d, err, n)
				}
				for left := n; left > 0; {
					n, err := netpoll.Read(out, make([]byte, left))
					if err != nil && !errors.Is(err, netpoll.ErrAgain) {
						t.Fatal(err)
					}
					left -= n
				}
			}
		}
	}
	if !full {
		t.Error("the pipe was never full")
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

// A pipe whose socket takes nothing keeps what it holds.
func TestPipeFull(t *testing.T) {
	in, from := pair(t, netip.Addr{})
	to, out := pair(t, netip.Addr{})
	p := must(netpoll.NewPipe(1 << 16))(t)
	block := bytes.Repeat([]byte("0123456789abcdef"), 1<<12)
	sent, held := 0, 0
	for held == 0 {
		_, err := netpoll.Write(in, block)
		if err != nil && !errors.Is(err, netpoll.ErrAgain) {
			t.Fatal(err)
		}
		filled, err := p.Fill(from, p.Size())
		if err != nil && !errors.Is(err, netpoll.ErrAgain) {
			t.Fatal(err)
		}
		sent += filled
		for held = filled; held > 0; {
			n, err := p.Drain(to, held)
			if errors.Is(err, netpoll.ErrAgain) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			held -= n
		}
	}
	buf := make([]byte, 1<<16)
	for got := 0; got < sent; {
		n, err := netpoll.Read(out, buf)
		if err == nil {
			got += n
			continue
		}
		if !errors.Is(err, netpoll.ErrAgain) {
			t.Fatal(err)
		}
		if n, err := p.Drain(to, max(held, 1)); err == nil {
			held -= n
		}
	}
	if held != 0 {
		t.Errorf("held: got %d, want 0", held)
	}
	// To whom is gone nothing can be moved, and the process lives on.
	if err := netpoll.Abort(out); err != nil {
		t.Fatal(err)
	}
	must(netpoll.Write(in, []byte("x")))(t)
	for {
		n, err := p.Fill(from, 1)
		if errors.Is(err, netpoll.ErrAgain) {
			continue
		}
		if n != 1 || err != nil {
			t.Fatalf("fill: got %d, %v", n, err)
		}
		break
	}
	_, err := p.Drain(to, 1)
	if _, again := p.Drain(to, 1); !netpoll.Reset(err) || !netpoll.Reset(again) {
		t.Errorf("drain to whom is gone: got %v, %v, want resets", err, again)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}
