package evekernel

import (
	"fmt"
	"sort"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel/wire"
)

// The bounds of one answer to a list.
const (
	listMost  = 2000
	listBytes = 256 << 10
)

// list lists declarations in the order of their names, as many as one answer takes.
func (p *peer) list(r *wire.Req, res *wire.Res) error {
	pattern := r.Pattern
	if pattern == "" {
		pattern = "*"
	}
	if err := dsv.CheckPattern(pattern); err != nil {
		return fmt.Errorf("list: %w", err)
	}
	most := listMost
	if r.Limit > 0 {
		most = min(most, r.Limit)
	}
	all := p.k.store.Declarations()
	size := 0
	for _, d := range all[sort.Search(len(all), func(i int) bool { return all[i].Name > r.After }):] {
		if !d.Name.Match(pattern) {
			continue
		}
		if size += 100 + len(d.Name) + len(d.Unit) + len(d.Help); len(res.Decls) == most || size > listBytes && len(res.Decls) > 0 {
			res.More = true
			return nil
		}
		res.Decls = append(res.Decls, wire.FromDecl(d))
	}
	return nil
}
