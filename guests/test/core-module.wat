;; A core module as compilers make it for `wasm32-wasip1`: what it lacks is to be made a component.
(module
  (memory (export "memory") 1)
  (func (export "_start")))
