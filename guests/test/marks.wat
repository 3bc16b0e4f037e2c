;; A component for WASI 0.2 that looks whether its memory, tables and globals are as the component says, and then marks them.
;; It answers with the status 400 and the sum of what it found otherwise:
;;
;;   1 memory      2 size of the memory      4 table      8 size of the table      16 globals
;;
;; How much it marks is told by the method: GET a few pages of memory that lie together, POST very many that lie apart,
;; PUT all of it, and what it can grow by. The table and the globals are marked by each.
(component
  (type $types-type
    (instance
      (export "fields" (type $fields (sub resource)))
      (export "headers" (type $headers (eq $fields)))
      (export "incoming-request" (type $incoming-request (sub resource)))
      (export "outgoing-response" (type $outgoing-response (sub resource)))
      (export "response-outparam" (type $response-outparam (sub resource)))
      (type $method'
        (variant
          (case "get") (case "head") (case "post") (case "put") (case "delete") (case "connect") (case "options")
          (case "trace") (case "patch") (case "other" string)))
      (export "method" (type $method (eq $method')))
      (type $status-code' u16)
      (export "status-code" (type $status-code (eq $status-code')))

      (type $dns' (record (field "rcode" (option string)) (field "info-code" (option u16))))
      (export "DNS-error-payload" (type $dns (eq $dns')))
      (type $tls' (record (field "alert-id" (option u8)) (field "alert-message" (option string))))
      (export "TLS-alert-received-payload" (type $tls (eq $tls')))
      (type $size' (record (field "field-name" (option string)) (field "field-size" (option u32))))
      (export "field-size-payload" (type $size (eq $size')))
      (type $error-code'
        (variant
          (case "DNS-timeout")
          (case "DNS-error" $dns)
          (case "destination-not-found")
          (case "destination-unavailable")
          (case "destination-IP-prohibited")
          (case "destination-IP-unroutable")
          (case "connection-refused")
          (case "connection-terminated")
          (case "connection-timeout")
          (case "connection-read-timeout")
          (case "connection-write-timeout")
          (case "connection-limit-reached")
          (case "TLS-protocol-error")
          (case "TLS-certificate-error")
          (case "TLS-alert-received" $tls)
          (case "HTTP-request-denied")
          (case "HTTP-request-length-required")
          (case "HTTP-request-body-size" (option u64))
          (case "HTTP-request-method-invalid")
          (case "HTTP-request-URI-invalid")
          (case "HTTP-request-URI-too-long")
          (case "HTTP-request-header-section-size" (option u32))
          (case "HTTP-request-header-size" (option $size))
          (case "HTTP-request-trailer-section-size" (option u32))
          (case "HTTP-request-trailer-size" $size)
          (case "HTTP-response-incomplete")
          (case "HTTP-response-header-section-size" (option u32))
          (case "HTTP-response-header-size" $size)
          (case "HTTP-response-body-size" (option u64))
          (case "HTTP-response-trailer-section-size" (option u32))
          (case "HTTP-response-trailer-size" $size)
          (case "HTTP-response-transfer-coding" (option string))
          (case "HTTP-response-content-coding" (option string))
          (case "HTTP-response-timeout")
          (case "HTTP-upgrade-failed")
          (case "HTTP-protocol-error")
          (case "loop-detected")
          (case "configuration-error")
          (case "internal-error" (option string))))
      (export "error-code" (type $error-code (eq $error-code')))

      (export "[method]incoming-request.method" (func
        (param "self" (borrow $incoming-request))
        (result $method)))
      (export "[constructor]fields" (func (result (own $fields))))
      (export "[constructor]outgoing-response" (func
        (param "headers" (own $headers))
        (result (own $outgoing-response))))
      (export "[method]outgoing-response.set-status-code" (func
        (param "self" (borrow $outgoing-response))
        (param "status-code" $status-code)
        (result (result))))
      (export "[static]response-outparam.set" (func
        (param "param" (own $response-outparam))
        (param "response" (result (own $outgoing-response) (error $error-code)))))))
  (import "wasi:http/types@0.2.12" (instance $types (type $types-type)))
  (alias export $types "incoming-request" (type $incoming-request))
  (alias export $types "response-outparam" (type $response-outparam))

  (core module $state
    ;; 4 MiB, of which the image fills a page here and there.
    (memory (export "memory") 64)
    (data (i32.const 64) "the image of a memory")
    (data (i32.const 1048570) "across the boundary of two pages")
    (data (i32.const 3000000) "far from the rest")
    (table $table 2000 funcref)
    (elem (i32.const 7) func $first $second)
    (global $number (mut i32) (i32.const 42))
    (global $large (mut i64) (i64.const -7))
    (func $first)
    (func $second)

    ;; A sum in which each word of the memory counts, with its place.
    (func $sum (result i64)
      (local $at i32)
      (local $sum i64)
      (loop $again
        (local.set $sum (i64.xor
          (i64.mul (local.get $sum) (i64.const 0x100000001b3))
          (i64.load (local.get $at))))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (br_if $again (i32.lt_u (local.get $at) (i32.const 4194304))))
      (local.get $sum))

    ;; How many entries of the table are set.
    (func $entries (result i32)
      (local $at i32)
      (local $set i32)
      (loop $again
        (if (i32.eqz (ref.is_null (table.get $table (local.get $at))))
          (then (local.set $set (i32.add (local.get $set) (i32.const 1)))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br_if $again (i32.lt_u (local.get $at) (i32.const 2000))))
      (local.get $set))

    (func (export "check") (result i32)
      (local $found i32)
      (if (i64.ne (call $sum) (i64.const 0x78561679564f5d4b))
        (then (local.set $found (i32.const 1))))
      (if (i32.ne (memory.size) (i32.const 64))
        (then (local.set $found (i32.or (local.get $found) (i32.const 2)))))
      (if (i32.or
            (i32.ne (call $entries) (i32.const 2))
            (i32.or
              (ref.is_null (table.get $table (i32.const 7)))
              (ref.is_null (table.get $table (i32.const 8)))))
        (then (local.set $found (i32.or (local.get $found) (i32.const 4)))))
      (if (i32.ne (table.size $table) (i32.const 2000))
        (then (local.set $found (i32.or (local.get $found) (i32.const 8)))))
      (if (i32.or
            (i32.ne (global.get $number) (i32.const 42))
            (i64.ne (global.get $large) (i64.const -7)))
        (then (local.set $found (i32.or (local.get $found) (i32.const 16)))))
      (local.get $found))

    ;; Writes a word every `step` bytes from `at` to `end`.
    (func $mark-memory (param $at i32) (param $end i32) (param $step i32)
      (loop $again
        (i64.store (local.get $at) (i64.const 0x6d61726b6d61726b))
        (local.set $at (i32.add (local.get $at) (local.get $step)))
        (br_if $again (i32.lt_u (local.get $at) (local.get $end)))))

    ;; `method` is the number of a case of `wasi:http/types.method`.
    (func (export "mark") (param $method i32)
      (local $grown i32)
      (global.set $number (i32.const 1))
      (global.set $large (i64.const 1))
      (table.fill $table (i32.const 100) (ref.func $first) (i32.const 500))
      (table.set $table (i32.const 7) (ref.null func))
      (if (i32.eq (local.get $method) (i32.const 0))
        (then (call $mark-memory (i32.const 0) (i32.const 12288) (i32.const 512)))
        (else (if (i32.eq (local.get $method) (i32.const 2))
          (then (call $mark-memory (i32.const 128) (i32.const 4194304) (i32.const 20480)))
          (else
            (drop (table.grow $table (ref.func $second) (i32.const 1000)))
            (if (i32.ne (memory.grow (i32.const 16)) (i32.const -1))
              (then (local.set $grown (i32.const 1048576))))
            (call $mark-memory
              (i32.const 0)
              (i32.add (i32.const 4194304) (local.get $grown))
              (i32.const 8)))))))

    ;; For the case "other" alone, which has a text.
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (unreachable)))
  (core instance $state (instantiate $state))

  (core func $method
    (canon lower (func $types "[method]incoming-request.method")
      (memory (core memory $state "memory")) (realloc (core func $state "realloc")) string-encoding=utf8))
  (core func $new-fields (canon lower (func $types "[constructor]fields")))
  (core func $new-response (canon lower (func $types "[constructor]outgoing-response")))
  (core func $set-status (canon lower (func $types "[method]outgoing-response.set-status-code")))
  (core func $answer
    (canon lower (func $types "[static]response-outparam.set") (memory (core memory $state "memory"))))

  (core module $main
    (import "state" "memory" (memory 64))
    (import "state" "check" (func $check (result i32)))
    (import "state" "mark" (func $mark (param i32)))
    (import "http" "method" (func $method (param i32 i32)))
    (import "http" "new-fields" (func $new-fields (result i32)))
    (import "http" "new-response" (func $new-response (param i32) (result i32)))
    (import "http" "set-status" (func $set-status (param i32 i32) (result i32)))
    (import "http" "answer" (func $answer (param i32 i32 i32 i32 i64 i32 i32 i32 i32)))
    (func (export "handle") (param $request i32) (param $out i32)
      (local $response i32)
      (local.set $response (call $new-response (call $new-fields)))
      (drop (call $set-status
        (local.get $response)
        (i32.add (i32.const 400) (call $check))))
      (call $method (local.get $request) (i32.const 2048))
      (call $mark (i32.load8_u (i32.const 2048)))
      (call $answer
        (local.get $out)
        (i32.const 0) (local.get $response)
        (i32.const 0) (i64.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))))
  (core instance $main
    (instantiate $main
      (with "state" (instance $state))
      (with "http" (instance
        (export "method" (func $method))
        (export "new-fields" (func $new-fields))
        (export "new-response" (func $new-response))
        (export "set-status" (func $set-status))
        (export "answer" (func $answer))))))

  (func $handle (param "request" (own $incoming-request)) (param "response-out" (own $response-outparam))
    (canon lift (core func $main "handle")))
  (instance $handler (export "handle" (func $handle)))
  (export "wasi:http/incoming-handler@0.2.12" (instance $handler)))
