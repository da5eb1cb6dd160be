;; Refused: a fold of single precision.
(module (func (export "fold") (param f32 f32) (result f32) (local.get 1)))
