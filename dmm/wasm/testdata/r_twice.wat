;; Refused: an input that comes twice.
(module (func (export "pass(level, level)") (param f64 f64) (result i32) (i32.const 1)))
