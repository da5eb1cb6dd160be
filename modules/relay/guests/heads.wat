;; An extension that inspects: it tells how many heads of HTTP messages came, each of which ends with an empty line. It looks
;; at eight bytes at once; where one of them is a newline, also at the eight that begin one and two bytes before.
(module
  (memory (export "memory") 2)
  (data (i32.const 8) "..")                 ;; what stands before the buffer: the last two bytes of the chunk before
  (global $told (export "told") (mut i64) (i64.const 0))
  (func (export "buffer") (param $size i32) (result i32) (i32.const 10))
  (func $zeros (param $x i64) (result i64)  ;; the highest bit of each byte that is 0
    (i64.and (i64.const 0x8080808080808080)
      (i64.xor (i64.const -1) (i64.or (local.get $x)
        (i64.add (i64.and (local.get $x) (i64.const 0x7f7f7f7f7f7f7f7f)) (i64.const 0x7f7f7f7f7f7f7f7f))))))
  (func (export "inspect") (param $size i32) (result i32)
    (local $i i32) (local $x i64) (local $newlines i64) (local $before i64) (local $n i64)
    (i64.store offset=10 (local.get $size) (i64.const 0)) ;; behind the end is no newline
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $i) (local.get $size)))
        (local.set $x (i64.xor (i64.load offset=10 (local.get $i)) (i64.const 0x0a0a0a0a0a0a0a0a)))
        (local.set $newlines (i64.and (i64.const 0x8080808080808080) ;; $zeros, without a call
          (i64.xor (i64.const -1) (i64.or (local.get $x)
            (i64.add (i64.and (local.get $x) (i64.const 0x7f7f7f7f7f7f7f7f)) (i64.const 0x7f7f7f7f7f7f7f7f))))))
        (if (i32.eqz (i64.eqz (local.get $newlines))) (then
          (local.set $before (i64.load offset=9 (local.get $i)))
          (local.set $n (i64.add (local.get $n) (i64.popcnt (i64.and (local.get $newlines)
            (i64.or
              (call $zeros (i64.xor (local.get $before) (i64.const 0x0a0a0a0a0a0a0a0a)))
              (i64.and
                (call $zeros (i64.xor (local.get $before) (i64.const 0x0d0d0d0d0d0d0d0d)))
                (call $zeros (i64.xor (i64.load offset=8 (local.get $i)) (i64.const 0x0a0a0a0a0a0a0a0a)))))))))))
        (local.set $i (i32.add (local.get $i) (i32.const 8)))
        (br $next)))
    (i32.store16 (i32.const 8) (i32.load16_u offset=8 (local.get $size)))
    (global.set $told (i64.add (global.get $told) (local.get $n)))
    (i32.const 0)))
