;; A filter: events of a level above 3, to sinks that have room.
(module
  (func (export "pass(level, sink.load)") (param $level f64) (param $load f64) (result i32)
    (i32.and
      (f64.gt (local.get $level) (f64.const 3))
      (f64.lt (local.get $load) (f64.const 0.8)))))
