;; A manipulator that does what it must not, as the sample says: 0 nothing, 1 unreachable, 2 a division by zero, 3 a loop
;; without end, 4 a recursion without end, 5 a recursion that doubles at each step, 6 more memory than there is, 7 not a
;; number, 8 infinite, 9 a copy without end, 10 a call of nothing, 11 growing without end.
(module
  (type $nothing (func))
  (table 1 funcref)
  (memory 1 2)
  (func $forever (result f64) (f64.add (call $forever) (f64.const 1)))
  (func $doubling (param $n i32)
    (if (local.get $n)
      (then
        (call $doubling (i32.sub (local.get $n) (i32.const 1)))
        (call $doubling (i32.sub (local.get $n) (i32.const 1))))))
  (func (export "fold") (param $shadow f64) (param $sample f64) (result f64)
    (block $none
      (block $grow
        (block $indirect
          (block $copy
            (block $infinite
              (block $nan
                (block $memory
                  (block $doubles
                    (block $recursion
                      (block $loop
                        (block $division
                          (block $unreachable
                            (br_table $none $unreachable $division $loop $recursion $doubles $memory $nan $infinite $copy
                              $indirect $grow $none (i32.trunc_sat_f64_u (local.get $sample))))
                          unreachable)
                        (drop (i32.div_s (i32.const 1) (i32.const 0))))
                      (loop $again (br $again)))
                    (return (call $forever)))
                  (call $doubling (i32.const 100))
                  (return (f64.const 0)))
                (block $full
                  (loop $more (br_if $more (i32.ge_s (memory.grow (i32.const 1)) (i32.const 0)))))
                (return (f64.load (i32.const 0x40000))))
              (return (f64.div (f64.const 0) (f64.const 0))))
            (return (f64.div (f64.const 1) (f64.const 0))))
          (loop $again (memory.copy (i32.const 0) (i32.const 0x8000) (i32.const 0x8000)) (br $again)))
        (call_indirect (type $nothing) (i32.const 0)))
      (loop $again (drop (memory.grow (i32.const 1))) (br $again)))
    (local.get $sample)))
