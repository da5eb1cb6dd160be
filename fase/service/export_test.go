package service

// Sizes of what must not grow with the length of a run.

// Waiting is the length of the list of calls that wait for a mapping of a service.
func (c *Caller) Waiting(svc int) int { return len(c.routes[svc].parked) }

// Locks is how many critical sections the host keeps.
func (h *Host) Locks() int { return len(h.hw.locks) }

// Pending is how many mappings the host keeps until their instant.
func (h *Host) Pending() int { return len(h.run.maps) }
