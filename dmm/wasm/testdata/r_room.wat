;; Refused: it inspects a stream, and has no buffer for it.
(module
  (memory (export "memory") 1)
  (func (export "inspect") (param i32) (result i32) (i32.const 0)))
