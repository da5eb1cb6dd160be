;; Refused: more memory than guests have, as Rust asks for unless it is told otherwise.
(module (memory 17) (func (export "fold") (param f64 f64) (result f64) (local.get 1)))
