;; An extension that transforms: letters from a to z become capitals, eight at once. What it tells is how many bytes came.
(module
  (memory (export "memory") 2)
  (global $told (export "told") (mut i64) (i64.const 0))
  (func (export "buffer") (param $size i32) (result i32) (i32.const 0))
  (func (export "transform") (param $size i32) (result i64)
    (local $i i32) (local $x i64) (local $low i64)
    (block $done
      (loop $next ;; past the end too, where nobody looks
        (br_if $done (i32.ge_u (local.get $i) (local.get $size)))
        (local.set $x (i64.load (local.get $i)))
        (local.set $low (i64.and (local.get $x) (i64.const 0x7f7f7f7f7f7f7f7f)))
        (i64.store (local.get $i) (i64.xor (local.get $x)
          (i64.shr_u
            (i64.and
              (i64.and (i64.xor (local.get $x) (i64.const -1)) (i64.const 0x8080808080808080))
              (i64.xor
                (i64.add (local.get $low) (i64.const 0x1f1f1f1f1f1f1f1f))   ;; at least a
                (i64.add (local.get $low) (i64.const 0x0505050505050505)))) ;; above z
            (i64.const 2))))
        (local.set $i (i32.add (local.get $i) (i32.const 8)))
        (br $next)))
    (global.set $told (i64.add (global.get $told) (i64.extend_i32_u (local.get $size))))
    (i64.extend_i32_u (local.get $size))))
