// Package stage is the building block of a staged event-driven architecture (SEDA): an event queue with a bound, a pool of threads that
// serve it, and the controllers that tune the two.
//
// A [Stage] has events offered to it, which it admits or refuses, and hands them to its handler in batches, on threads of the operating
// system of its own. [Threads] decides when it gets a thread more or loses one; [Batching] decides how many events a thread takes at a time. Both
// are cores: they read no clock. An [Admission] may refuse events besides the queue's bound.
//
//	parse, err := stage.New(stage.Config{Name: "parse", Queue: 1024}, func(t *stage.Thread, batch []event) {
//		for _, e := range batch {
//			if !handle.Offer(e) {
//				refuse(e)
//			}
//		}
//	})
//	go parse.Run(ctx)
//
// The architecture and its controllers are those of M. Welsh, D. Culler and E. Brewer, "SEDA: An Architecture for Well-Conditioned, Scalable
// Internet Services", SOSP 2001, and of the Sandstorm platform that they released (classes ThreadPoolController and AggThrottle).
//
// What differs from theirs: of several idle threads the one that slept last is woken, so that those there are too many of stay idle and
// can be removed; and a handler may give events of its batch back ([Stage.Return]), so that events do not wait behind one that takes long while
// other threads are idle.
package stage
