;; Refused: two of pass.
(module
  (func (export "pass") (result i32) (i32.const 1))
  (func (export "pass(level)") (param f64) (result i32) (i32.const 1)))
