;; A filter that reads the event's data: those that contain an E, of at most 256 bytes, pass, and all of a priority above 0.
(module
  (memory (export "memory") 1)
  (func (export "buffer") (param $size i32) (result i32)
    (if (i32.gt_u (local.get $size) (i32.const 256)) (then (return (i32.const -1))))
    (i32.const 1024))
  (func (export "pass(priority, data)") (param $priority f64) (param $size i32) (result i32)
    (local $i i32)
    (if (f64.gt (local.get $priority) (f64.const 0)) (then (return (i32.const 1))))
    (block $none
      (loop $more
        (br_if $none (i32.ge_u (local.get $i) (local.get $size)))
        (if (i32.eq (i32.load8_u offset=1024 (local.get $i)) (i32.const 69)) (then (return (i32.const 1))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $more)))
    (i32.const 0)))
