;; The extension module `_immortal`: what an image of memory needs of Python's objects and Python itself offers only in C.
;;
;;     _immortal.mark(objects: list) -> list     makes them immortal (PEP 683); those of them that were not so before
;;     _immortal.recode(function, code) -> int   sets the function's code, and leaves it a version where it had one
;;
;; A shared library for CPython 3.14 on wasm32: https://github.com/WebAssembly/tool-conventions/blob/main/DynamicLinking.md
;; `lib/_immortal.cpython-314-wasm32-wasi.so` is made from this file; a test compares them.
(module
  (@dylink.0
    (mem-info (memory 131 2) (table 2 0)))
  (import "env" "memory" (memory 0))
  (import "env" "__indirect_function_table" (table 2 funcref))
  (import "env" "__memory_base" (global $memory_base i32))
  (import "env" "__table_base" (global $table_base i32))
  (import "env" "PyModule_Create2" (func $PyModule_Create2 (param i32 i32) (result i32)))
  (import "env" "PyList_New" (func $PyList_New (param i32) (result i32)))
  (import "env" "PyList_Append" (func $PyList_Append (param i32 i32) (result i32)))

  (import "env" "PyObject_SetAttrString" (func $PyObject_SetAttrString (param i32 i32 i32) (result i32)))
  (import "env" "PyLong_FromLong" (func $PyLong_FromLong (param i32) (result i32)))

  ;; 0: PyModuleDef (52 bytes); 52, 68: PyMethodDef, and one of zeros; 100, 110, 115, 122: names.
  (data (offset (i32.add (global.get $memory_base) (i32.const 100))) "_immortal\00mark\00recode\00__code__\00")
  (elem (global.get $table_base) func $mark $recode)

  (func $set (param $offset i32) (param $value i32)
    (i32.store (i32.add (global.get $memory_base) (local.get $offset)) (local.get $value)))

  (func $address (param $offset i32) (result i32)
    (i32.add (global.get $memory_base) (local.get $offset)))

  (func (export "PyInit__immortal") (result i32)
    (call $set (i32.const 20) (call $address (i32.const 100)))   ;; m_name
    (call $set (i32.const 28) (i32.const -1))                    ;; m_size: no state of its own
    (call $set (i32.const 32) (call $address (i32.const 52)))    ;; m_methods
    (call $set (i32.const 52) (call $address (i32.const 110)))   ;; ml_name
    (call $set (i32.const 56) (global.get $table_base))          ;; ml_meth
    (call $set (i32.const 60) (i32.const 8))                     ;; ml_flags: METH_O
    (call $set (i32.const 68) (call $address (i32.const 115)))   ;; ml_name
    (call $set (i32.const 72) (i32.add (global.get $table_base) (i32.const 1)))
    (call $set (i32.const 76) (i32.const 0x80))                  ;; ml_flags: METH_FASTCALL
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
    (local.get $found))

  ;; CPython specialises calls by the callee's version (Objects/funcobject.c), and setting `__code__` takes it away for
  ;; good. A new function has the version of its code, whatever its defaults; so has one with new code.
  (func $recode (param $module i32) (param $arguments i32) (param $count i32) (result i32)
    (local $function i32) (local $code i32) (local $version i32)
    (local.set $function (i32.load (local.get $arguments)))
    (local.set $code (i32.load offset=4 (local.get $arguments)))
    ;; PyFunctionObject.func_version
    (local.set $version (i32.load offset=72 (local.get $function)))
    (if (call $PyObject_SetAttrString (local.get $function) (call $address (i32.const 122)) (local.get $code))
      (then (return (i32.const 0))))
    ;; 0: never had one; 1 (FUNC_VERSION_CLEARED): somebody else has changed the function before.
    (if (i32.gt_u (local.get $version) (i32.const 1))
      ;; PyCodeObject.co_version
      (then (i32.store offset=72 (local.get $function) (i32.load offset=68 (local.get $code)))))
    (call $PyLong_FromLong (i32.load offset=72 (local.get $function)))))
