;; Refused: it does not come to an end when it begins.
(module
  (func $begin (loop $again (br $again)))
  (start $begin)
  (func (export "fold") (param f64 f64) (result f64) (local.get 1)))
