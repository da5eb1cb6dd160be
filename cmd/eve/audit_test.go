package main

import (
	"fmt"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/modules/resource/resourcetest"
)

// audit checks the books of a run with resource managers.
func audit(ts *testscript.TestScript, args []string) error {
	f, err := runs.Open(ts.MkAbs(args[0]))
	if err != nil {
		return err
	}
	defer f.Close()
	read := func(n dsv.Name, fn func(string) error) error {
		return f.Store().History(n, -1, dsv.Never, func(u dsv.Update) error { return fn(u.Reading.Value.Text) })
	}
	b, err := resourcetest.Audit(read, strings.Split(args[1], ","), strings.Split(args[2], ","), nil)
	if err == nil && (b.Requests == 0 || b.Outcomes["granted"] == 0) {
		err = fmt.Errorf("the records are %+v", b)
	}
	ts.Logf("%+v", b)
	return err
}
