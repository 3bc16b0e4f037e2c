;; The extension module `_immortal`: makes Python objects immortal (PEP 683), which Python itself offers only in C.
;;
;;     _immortal.mark(objects: list) -> list     those of them that were not immortal before
;;
;; A shared library for CPython 3.14 on wasm32: https://github.com/WebAssembly/tool-conventions/blob/main/DynamicLinking.md
;; `lib/_immortal.cpython-314-wasm32-wasi.so` is made from this file; a test compares them.
(module
  (@dylink.0
    (mem-info (memory 99 2) (table 1 0)))
  (import "env" "memory" (memory 0))
  (import "env" "__indirect_function_table" (table 1 funcref))
  (import "env" "__memory_base" (global $memory_base i32))
  (import "env" "__table_base" (global $table_base i32))
  (import "env" "PyModule_Create2" (func $PyModule_Create2 (param i32 i32) (result i32)))
  (import "env" "PyList_New" (func $PyList_New (param i32) (result i32)))
  (import "env" "PyList_Append" (func $PyList_Append (param i32 i32) (result i32)))

  ;; 0: PyModuleDef (52 bytes); 52: PyMethodDef, and one of zeros; 84, 94: names.
  (data (offset (i32.add (global.get $memory_base) (i32.const 84))) "_immortal\00mark\00")
  (elem (global.get $table_base) func $mark)

  (func $set (param $offset i32) (param $value i32)
    (i32.store (i32.add (global.get $memory_base) (local.get $offset)) (local.get $value)))

  (func $address (param $offset i32) (result i32)
    (i32.add (global.get $memory_base) (local.get $offset)))

  (func (export "PyInit__immortal") (result i32)
    (call $set (i32.const 20) (call $address (i32.const 84)))    ;; m_name
    (call $set (i32.const 28) (i32.const -1))                    ;; m_size: no state of its own
    (call $set (i32.const 32) (call $address (i32.const 52)))    ;; m_methods
    (call $set (i32.const 52) (call $address (i32.const 94)))    ;; ml_name
    (call $set (i32.const 56) (global.get $table_base))          ;; ml_meth
    (call $set (i32.const 60) (i32.const 8))                     ;; ml_flags: METH_O
    ;; PYTHON_API_VERSION
    (call $PyModule_Create2 (call $address (i32.const 0)) (i32.const 1013)))

  (func $mark (param $module i32) (param $objects i32) (result i32)
    (local $found i32) (local $item i32) (local $end i32) (local $object i32)
    (local.set $found (call $PyList_New (i32.const 0)))
    (if (i32.eqz (local.get $found)) (then (return (i32.const 0))))
    ;; PyListObject: ob_refcnt, ob_type, ob_size, ob_item
    (local.set $item (i32.load offset=12 (local.get $objects)))
    (local.set $end
      (i32.add (local.get $item) (i32.shl (i32.load offset=8 (local.get $objects)) (i32.const 2))))
    (block $done
      (loop $next
        (br_if $done (i32.eq (local.get $item) (local.get $end)))
        (local.set $object (i32.load (local.get $item)))
        (local.set $item (i32.add (local.get $item) (i32.const 4)))
        ;; More references than any object has that is counted at all: it is immortal already.
        (br_if $next (i32.ge_u (i32.load (local.get $object)) (i32.const 0x80000)))
        ;; _Py_IMMORTAL_INITIAL_REFCNT (Include/refcount.h, 32 bits)
        (i32.store (local.get $object) (i32.const 0x50000000))
        (br_if $next (i32.eqz (call $PyList_Append (local.get $found) (local.get $object))))
        (return (i32.const 0))))
    (local.get $found)))
