;; A manipulator that works as long as it is told: it goes round as often as the sample says, and answers how often it went.
(module
  (memory 1)
  (func $twice (param $x i32) (result i32) (i32.mul (local.get $x) (i32.const 2)))
  (func (export "init") (result f64) (f64.const 0))
  (func (export "fold") (param $shadow f64) (param $sample f64) (result f64)
    (local $i i32)
    (block $done
      (loop $more
        (br_if $done (f64.ge (f64.convert_i32_u (local.get $i)) (local.get $sample)))
        (i32.store (i32.const 0) (call $twice (local.get $i)))
        (memory.copy (i32.const 64) (i32.const 0) (i32.const 64))
        (memory.fill (i32.const 128) (local.get $i) (i32.const 64))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $more)))
    (f64.convert_i32_u (local.get $i))))
