package rdr

// Add adds so many times another mean: what several requests demand together. Fail becomes the mean number of failures.
func (m *Mean) Add(o Mean, times float64) {
	if m.Use == nil {
		m.Use = map[string]*Use{}
	}
	for service, u := range o.Use {
		sum := m.Use[service]
		if sum == nil {
			sum = &Use{}
			m.Use[service] = sum
		}
		sum.add(u, times)
	}
	for at, f := range o.Files {
		if m.Files == nil {
			m.Files = map[FilesAt]FileUse{}
		}
		sum := m.Files[at]
		m.Files[at] = FileUse{Gets: sum.Gets + times*f.Gets, Replies: sum.Replies + times*f.Replies}
	}
	m.Fail += times * o.Fail
	m.Timeouts += o.Timeouts
}

func (u *Use) add(o *Use, times float64) {
	u.Visits += times * o.Visits
	u.CPU += times * o.CPU
	u.Wait += times * o.Wait
	u.DiskReads += times * o.DiskReads
	u.DiskReadBytes += times * o.DiskReadBytes
	u.DiskWrites += times * o.DiskWrites
	u.DiskSyncs += times * o.DiskSyncs
	u.DiskWriteBytes += times * o.DiskWriteBytes
	u.Memories += times * o.Memories
	u.MemoryBytes += times * o.MemoryBytes
	u.Replies += times * o.Replies
	u.ReplyBytes += times * o.ReplyBytes
	u.SendBytes += times * o.SendBytes
	u.Locks += times * o.Locks
}
