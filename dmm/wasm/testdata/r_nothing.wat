;; Refused: neither fold nor pass.
(module (func (export "fild") (param f64 f64) (result f64) (local.get 1)))
