;; The filter of K4 as a guest: events go to the sinks whose rank is below the event's level.
(module
  (func (export "pass(level, sink.rank)") (param $level f64) (param $rank f64) (result i32)
    (f64.lt (local.get $rank) (local.get $level))))
