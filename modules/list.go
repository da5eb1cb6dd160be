package modules

import (
	"context"
	"fmt"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel/wire"
)

// List lists the declarations of the variables that match a pattern, in the order of their names. What is created or
// deleted meanwhile may be in it or not.
func (p *Proxy) List(ctx context.Context, pattern string) ([]dsv.Declaration, error) {
	var all []dsv.Declaration
	r := wire.Req{Op: wire.OpList, Pattern: pattern}
	for {
		res, err := p.do(ctx, r, true)
		if err != nil {
			return nil, local(err, "list", dsv.Name(pattern))
		}
		for _, w := range res.Decls {
			d, err := w.Decl()
			if err != nil {
				return nil, fmt.Errorf("list %s: %w", pattern, err)
			}
			all = append(all, d)
		}
		if !res.More || len(res.Decls) == 0 {
			return all, nil
		}
		r.After = all[len(all)-1].Name
	}
}
