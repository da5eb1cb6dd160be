package dsvbolt_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/dsv/dsvbolt"
)

// childFile, in the environment, makes this binary the process that is killed.
const childFile = "DSVBOLT_TEST_CHILD_FILE"

func TestMain(m *testing.M) {
	if path := os.Getenv(childFile); path != "" {
		fmt.Println(writeForEver(path))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// writeForEver writes durable values, and says which were acknowledged.
func writeForEver(path string) error {
	db, err := dsvbolt.Open(path, false)
	if errors.Is(err, os.ErrNotExist) {
		db, err = dsvbolt.Create(path)
	}
	if err != nil {
		return err
	}
	s := dsv.NewStore(db)
	if err := db.Restore(s); err != nil {
		return err
	}
	ctx := context.Background()
	if err := s.Create(ctx, dsv.Declaration{Name: "x", Kind: dsv.Int, Durable: true, History: true}); err != nil {
		return err
	}
	r, err := s.Read(ctx, "x")
	if err != nil && !errors.Is(err, dsv.ErrUnset) {
		return err
	}
	for i := r.Value.Int + 1; ; i++ {
		rev, err := s.Write(ctx, "x", dsv.IntValue(i))
		if err != nil {
			return err
		}
		fmt.Println(i, rev)
	}
}

// TestKilledWritersLoseNothing kills a writer at arbitrary moments and reads what it had acknowledged.
func TestKilledWritersLoseNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.db")
	var acked int64
	var revision dsv.Revision
	for round := range 8 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childFile+"="+path)
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			var value int64
			var rev dsv.Revision
			if _, err := fmt.Sscan(lines.Text(), &value, &rev); err != nil {
				t.Fatalf("the writer says %q", lines.Text())
			}
			if value != acked+1 && n > 0 || rev <= revision {
				t.Fatalf("value %d, revision %d after %d, %d", value, rev, acked, revision)
			}
			acked, revision = value, rev
			if n == 20+13*round {
				must(t, cmd.Process.Kill())
			}
		}
		_ = cmd.Wait()
		db, err := dsvbolt.Open(path, true)
		must(t, err)
		last, err := db.Last("x")
		must(t, err)
		if last.Reading.Value.Int < acked {
			t.Fatalf("last value is %d, %d was acknowledged", last.Reading.Value.Int, acked)
		}
		seen := int64(0)
		must(t, db.History("x", -1, dsv.Never, func(u dsv.Update) error {
			if seen++; u.Reading.Value.Int != seen {
				return errors.New("history has " + strconv.FormatInt(u.Reading.Value.Int, 10))
			}
			return nil
		}))
		if seen < acked {
			t.Fatalf("history ends at %d, %d was acknowledged", seen, acked)
		}
		must(t, db.Close())
	}
}
