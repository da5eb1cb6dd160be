package egs_test

import (
	"testing"

	"github.com/eve-emulation/eve/evekernel/egs"
)

// TestUnreadAnswers checks that the answers which nobody reads are bounded in bytes, and that those beyond are counted.
func TestUnreadAnswers(t *testing.T) {
	const answers, size, most = 100, 256 << 10, 4 << 20
	d := egs.NewDesk(&egs.Channel{Name: "work"}, 1)
	q, err := d.Open(d.NextID())
	if err != nil {
		t.Fatal(err)
	}
	for range answers {
		d.Answer(&egs.Event{Re: q.ID(), Data: make([]byte, size)})
	}
	late := d.Late()
	if waits := answers - int(late); waits < 1 || waits*size > most {
		t.Errorf("%d answers of %d bytes wait, want at most %d bytes", waits, size, most)
	}
	for range answers - int(late) {
		if _, err := q.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	d.Answer(&egs.Event{Re: q.ID(), Data: []byte("again")})
	if e, err := q.Next(t.Context()); err != nil || string(e.Data) != "again" || d.Late() != late {
		t.Errorf("got %q (error %v) after %d late ones, want one more answer", e.Data, err, d.Late())
	}
}
