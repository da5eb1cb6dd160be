;; Refused: a table of a hundred million entries.
(module (table 100000000 funcref) (func (export "fold") (param f64 f64) (result f64) (local.get 1)))
