package modules

import (
	"cmp"
	"maps"
	"slices"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel/wire"
)

// standing is what a participant has made at its kernel and what a kernel that does not know of it has to be told again:
// the requests that made it, by the name of what they made.
type standing struct {
	created map[dsv.Name]wire.Req
	opened  map[dsv.Name]wire.Req
	entered map[dsv.Name]wire.Req
}

func newStanding() standing {
	return standing{created: map[dsv.Name]wire.Req{}, opened: map[dsv.Name]wire.Req{}, entered: map[dsv.Name]wire.Req{}}
}

// note keeps a request that was done.
func (s *standing) note(r wire.Req) {
	switch r.Op {
	case wire.OpCreate:
		was := s.created[r.Decl.Name]
		r.Sync = cmp.Or(r.Sync, was.Sync)
		r.Dmm = cmp.Or(r.Dmm, was.Dmm)
		s.created[r.Decl.Name] = r
	case wire.OpOpen:
		s.opened[r.Channel.Name] = r
	case wire.OpEnter:
		s.entered[r.Name] = r
	case wire.OpLeave:
		delete(s.entered, r.Name)
	}
}

// again lists the requests in the order in which a kernel can do them.
func (s *standing) again() []wire.Req {
	var rs []wire.Req
	for _, m := range []map[dsv.Name]wire.Req{s.created, s.opened, s.entered} {
		for _, n := range slices.Sorted(maps.Keys(m)) {
			rs = append(rs, m[n])
		}
	}
	return rs
}
