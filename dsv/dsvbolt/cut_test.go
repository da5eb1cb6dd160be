package dsvbolt_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/dsv/dsvbolt"
)

// TestFileCutWhileItRecords cuts the file of a Store that goes on: whoever writes or reads gets an error, the file
// closes, and nothing ends the process or hangs.
func TestFileCutWhileItRecords(t *testing.T) {
	for _, size := range []int64{0, 4096, 8192, 16384, 65536} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			db, err := dsvbolt.Create(filepath.Join(t.TempDir(), "run.db"))
			must(t, err)
			s := dsv.NewStore(db)
			write := func(rounds int) (err error) {
				for i := range rounds {
					n := dsv.Name(fmt.Sprintf("v_%d", i%50))
					must(t, s.Create(t.Context(), dsv.Declaration{Name: n, Kind: dsv.Text, History: true}))
					_, err = s.Write(t.Context(), n, dsv.TextValue(fmt.Sprintf("%01000d", i)))
					must(t, err)
				}
				return db.Flush()
			}
			must(t, write(1000))
			must(t, write(1000))
			must(t, os.Truncate(db.Path(), size))
			done := make(chan struct{})
			go func() {
				defer close(done)
				_, err := s.History(t.Context(), dsv.HistoryRequest{Name: "v_7", From: -1})
				if !errors.Is(err, dsvbolt.ErrDamaged) && size < 65536 {
					t.Errorf("history: %v, want %v", err, dsvbolt.ErrDamaged)
				}
				for i := range 50 {
					if _, err := s.Write(t.Context(), dsv.Name(fmt.Sprintf("v_%d", i)), dsv.TextValue("x")); err != nil {
						t.Error(err)
					}
				}
				for _, err := range []error{db.Flush(), s.Close(), db.Close()} {
					if !errors.Is(err, dsvbolt.ErrDamaged) {
						t.Errorf("flush, close: %v, want %v", err, dsvbolt.ErrDamaged)
					}
				}
			}()
			select {
			case <-done:
			case <-time.After(20 * time.Second):
				t.Fatal("it hangs")
			}
		})
	}
}
