;; A manipulator with memory of its own: the mean of the last four samples, from a start of 10.
(module
  (memory 1)
  (global $next (mut i32) (i32.const 0))
  (global $some (mut i32) (i32.const 0))
  (func (export "init") (result f64) (f64.const 10))
  (func (export "fold") (param $shadow f64) (param $sample f64) (result f64)
    (local $i i32) (local $sum f64)
    (f64.store (i32.shl (global.get $next) (i32.const 3)) (local.get $sample))
    (global.set $next (i32.and (i32.add (global.get $next) (i32.const 1)) (i32.const 3)))
    (if (i32.lt_s (global.get $some) (i32.const 4))
      (then (global.set $some (i32.add (global.get $some) (i32.const 1)))))
    (loop $more
      (local.set $sum (f64.add (local.get $sum) (f64.load (i32.shl (local.get $i) (i32.const 3)))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $more (i32.lt_s (local.get $i) (global.get $some))))
    (f64.div (local.get $sum) (f64.convert_i32_s (global.get $some)))))
