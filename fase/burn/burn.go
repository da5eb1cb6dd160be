// Package burn really consumes what a demand asks for: CPU time of the calling thread, disk transfers, memory.
//
// A [Burner] belongs to one thread: its methods are called by one goroutine that is locked to its thread, because CPU time is
// measured by that thread's own clock. That clock runs only while the thread does, so a demand is met in full also when other
// threads compete for the processor. What was delivered is returned and can be compared with what was asked.
package burn
