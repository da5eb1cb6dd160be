package service

import "github.com/eve-emulation/eve/fase/step"

// Tag returns the tag of the request that a Burn effect is for: of the first that waits, for a file that is read for several, and of
// the caller's request, for a call of the server to itself. It is false once the demand has ended.
func (h *Host) Tag(ref step.Ref) (tag uint64, ok bool) {
	if r := h.lib.find(ref); r != nil {
		if len(r.waiting) == 0 {
			return 0, false
		}
		ref = r.waiting[0]
	}
	for {
		x, ok := h.run.Execution(ref)
		if !ok {
			return 0, false
		}
		v := &h.visits[x]
		if v.call == 0 {
			return v.tag, true
		}
		ref = h.run.Calls.Owner(v.call).Ref
	}
}
