;; Refused: tables that grow.
(module
  (table $t 1 funcref)
  (func (export "fold") (param f64 f64) (result f64)
    (drop (table.grow $t (ref.null func) (i32.const 1000)))
    (local.get 1)))
