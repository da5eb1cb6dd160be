;; Refused: a pass that takes one number where its name has two.
(module (func (export "pass(level, sink.load)") (param f64) (result i32) (i32.const 1)))
