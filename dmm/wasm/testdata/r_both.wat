;; Refused: it inspects and transforms.
(module
  (memory (export "memory") 1)
  (func (export "buffer") (param i32) (result i32) (i32.const 0))
  (func (export "inspect") (param i32) (result i32) (i32.const 0))
  (func (export "transform") (param i32) (result i64) (i64.const 0)))
