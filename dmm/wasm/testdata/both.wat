;; A guest that begins by itself, and both folds and filters: the sum of what was written, and every second event.
(module
  (global $n (mut i32) (i32.const 0))
  (global $start (mut f64) (f64.const 0))
  (func $begin (global.set $start (f64.const 100)))
  (start $begin)
  (func (export "_initialize") (global.set $start (f64.mul (global.get $start) (f64.const 2))))
  (func (export "init") (result f64) (global.get $start))
  (func (export "fold") (param $shadow f64) (param $sample f64) (result f64)
    (f64.add (local.get $shadow) (local.get $sample)))
  (func (export "pass") (result i32)
    (global.set $n (i32.add (global.get $n) (i32.const 1)))
    (i32.and (global.get $n) (i32.const 1))))
