;; Refused: it knows what the steps are counted in, and is not valid by itself.
(module
  (global $mine (export "eve.steps") (mut i64) (i64.const 0))
  (func (export "fold") (param f64 f64) (result f64)
    (global.set $mine (i64.const 0x7fffffffffffffff))
    (local.get 1)))
