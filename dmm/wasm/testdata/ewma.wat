;; A manipulator: the exponentially weighted moving average of what is written.
(module
  (func (export "fold") (param $shadow f64) (param $sample f64) (result f64)
    (f64.add
      (f64.mul (f64.const 0.9) (local.get $shadow))
      (f64.mul (f64.const 0.1) (local.get $sample)))))
