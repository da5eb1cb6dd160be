;; Refused: the shadow begins as no number.
(module
  (func (export "init") (result f64) (f64.const nan))
  (func (export "fold") (param f64 f64) (result f64) (local.get 1)))
