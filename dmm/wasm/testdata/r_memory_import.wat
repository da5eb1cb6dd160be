;; Refused: guests import nothing, memory neither.
(module
  (import "env" "memory" (memory 1))
  (func (export "fold") (param f64 f64) (result f64) (local.get 1)))
