;; A stream's guest that tells something only as its stream ends.
(module
  (memory (export "memory") 2)
  (global $told (export "told") (mut i64) (i64.const 0))
  (func (export "buffer") (param $size i32) (result i32) (i32.const 0))
  (func (export "transform") (param $size i32) (result i64) (i64.extend_i32_u (local.get $size)))
  (func (export "end") (result i64)
    (global.set $told (i64.add (global.get $told) (i64.const 7)))
    (i64.const 0)))
