;; An extension that inspects: it tells how many heads of HTTP messages came, each of which ends with an empty line. It looks
;; at eight bytes at once, and at each byte only where one of them is a newline.
(module
  (memory (export "memory") 1)
  (global $told (export "told") (mut i64) (i64.const 0))
  (global $text (mut i32) (i32.const 1)) ;; whether the line has text so far
  (func (export "buffer") (param $size i32) (result i32) (i32.const 0))
  (func $byte (param $b i32)
    (if (i32.eq (local.get $b) (i32.const 10))
      (then
        (if (i32.eqz (global.get $text)) (then (global.set $told (i64.add (global.get $told) (i64.const 1)))))
        (global.set $text (i32.const 0)))
      (else
        (if (i32.ne (local.get $b) (i32.const 13)) (then (global.set $text (i32.const 1)))))))
  (func (export "inspect") (param $size i32) (result i32)
    (local $i i32) (local $x i64) (local $end i32)
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $i) (local.get $size)))
        (if (i32.le_u (i32.add (local.get $i) (i32.const 8)) (local.get $size))
          (then
            (local.set $x (i64.xor (i64.load (local.get $i)) (i64.const 0x0a0a0a0a0a0a0a0a)))
            (if (i64.eqz (i64.and
                  (i64.and (i64.sub (local.get $x) (i64.const 0x0101010101010101)) (i64.xor (local.get $x) (i64.const -1)))
                  (i64.const 0x8080808080808080)))
              (then
                (global.set $text (i32.const 1))
                (local.set $i (i32.add (local.get $i) (i32.const 8)))
                (br $next)))))
        (local.set $end (i32.add (local.get $i) (i32.const 8)))
        (if (i32.gt_u (local.get $end) (local.get $size)) (then (local.set $end (local.get $size))))
        (loop $each
          (call $byte (i32.load8_u (local.get $i)))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $each (i32.lt_u (local.get $i) (local.get $end))))
        (br $next)))
    (i32.const 0)))
