;; A stream's guest that inspects: T traps, L does not end, S wants the connection closed; it spoils its copy of what passes.
(module
  (memory (export "memory") 1)
  (func (export "buffer") (param $size i32) (result i32) (i32.const 0))
  (func (export "inspect") (param $size i32) (result i32)
    (local $what i32)
    (local.set $what (i32.load8_u (i32.const 0)))
    (memory.fill (i32.const 0) (i32.const 0) (local.get $size))
    (if (i32.eq (local.get $what) (i32.const 84)) (then unreachable))
    (if (i32.eq (local.get $what) (i32.const 76)) (then (loop $again (br $again))))
    (i32.eq (local.get $what) (i32.const 83))))
