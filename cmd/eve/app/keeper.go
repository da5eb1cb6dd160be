package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/eve-emulation/eve/dsv"
)

// A keeper hands what is measured to the run's store and ends the run when that can keep no more, as when the disk is
// full: what is not kept need not be measured.
type keeper struct {
	dsv.Recorder
	fail context.CancelCauseFunc
}

// keep returns a context that ends when the store fails, with a lossError as its cause. stop gives it up.
func keep(ctx context.Context, store dsv.Recorder) (_ context.Context, _ *keeper, stop func()) {
	ctx, fail := context.WithCancelCause(ctx)
	return ctx, &keeper{store, fail}, func() { fail(nil) }
}

// Record implements dsv.Recorder.
func (k *keeper) Record(u dsv.Update) error {
	err := k.Recorder.Record(u)
	lost := err
	if f, ok := k.Recorder.(interface{ Failing() error }); ok && lost == nil {
		lost = f.Failing() // a store that waits for room
	}
	if lost != nil {
		k.fail(&lossError{lost})
	}
	return err
}

// Past implements dsv.Historian for a store that does.
func (k *keeper) Past(n dsv.Name, from, to dsv.Instant, after dsv.Revision, fn func(dsv.Update) error) error {
	if h, ok := k.Recorder.(dsv.Historian); ok {
		return h.Past(n, from, to, after, fn)
	}
	return dsv.ErrNoHistory
}

// A lossError says that the store keeps no more.
type lossError struct{ err error }

func (e *lossError) Error() string {
	return fmt.Sprintf("the run ended early, because no more could be kept: %v", e.err)
}

func (e *lossError) Unwrap() error { return e.err }

// loss returns the lossError that ended a context; nil when none did.
func loss(ctx context.Context) error {
	if e, ok := errors.AsType[*lossError](context.Cause(ctx)); ok {
		return e
	}
	return nil
}

// brief is an error of several as one line: the first, and how many more.
func brief(err error) error {
	var all []error
	var collect func(error)
	collect = func(err error) {
		if many, ok := err.(interface{ Unwrap() []error }); ok {
			for _, e := range many.Unwrap() {
				collect(e)
			}
			return
		}
		all = append(all, err)
	}
	collect(err)
	if len(all) < 2 {
		return err
	}
	return fmt.Errorf("%w (and %d errors more)", all[0], len(all)-1)
}
