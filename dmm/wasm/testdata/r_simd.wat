;; Refused: vectors.
(module
  (func (export "fold") (param f64 f64) (result f64)
    (f64x2.extract_lane 0 (f64x2.splat (local.get 1)))))
