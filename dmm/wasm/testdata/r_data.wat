;; Refused: it reads data, and has no buffer for them.
(module (func (export "pass(data)") (param i32) (result i32) (i32.const 1)))
