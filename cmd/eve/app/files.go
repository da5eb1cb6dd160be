package app

import (
	"context"
	"fmt"

	"github.com/eve-emulation/eve/modules/server"
)

// files writes the files that servers of this host will really read, which may take longer than a module has to start, and
// returns what gives them up. Servers that are started by hand may be elsewhere, and write their own.
func (x *execution) files(ctx context.Context) (done func(), err error) {
	if x.hand != nil {
		return func() {}, nil
	}
	giveUp, err := server.WriteFiles(ctx, x.plan)
	if err != nil {
		return nil, err
	}
	return func() {
		if err := giveUp(); err != nil {
			x.tell(fmt.Sprintf("the files of the run could not be removed: %v", err))
		}
	}, nil
}
