package modules

import (
	"context"
	"errors"
	"fmt"

	"github.com/eve-emulation/eve/dsv"
)

// Follow hands f every change of the variables that match a pattern, the present values first, until ctx ends or the
// connection does, which is no error. When f is too slow for that, changes are skipped: it goes on with the values that
// are present then.
func Follow(ctx context.Context, space dsv.Space, pattern string, f func(dsv.Update)) error {
	for {
		err := follow(ctx, space, pattern, f)
		switch {
		case errors.Is(err, dsv.ErrGap):
		case ctx.Err() != nil || errors.Is(err, dsv.ErrClosed):
			return nil
		default:
			return fmt.Errorf("follow %s: %w", pattern, err)
		}
	}
}

func follow(ctx context.Context, space dsv.Space, pattern string, f func(dsv.Update)) error {
	w, err := space.Watch(ctx, dsv.WatchRequest{Pattern: pattern, Mode: dsv.All})
	if err != nil {
		return err
	}
	defer w.Close()
	for {
		u, err := w.Next(ctx)
		if err != nil {
			return err
		}
		if u.Gap == 0 {
			f(u)
		}
	}
}
