;; A component for WASI 0.2 with sixteen memories, each in a core instance of its own, and all of them written to. It
;; holds them for half a second, and answers with the status 200.
(component
  (type $types-type
    (instance
      (export "fields" (type $fields (sub resource)))
      (export "headers" (type $headers (eq $fields)))
      (export "incoming-request" (type (sub resource)))
      (export "outgoing-response" (type $outgoing-response (sub resource)))
      (export "response-outparam" (type $response-outparam (sub resource)))
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

      (export "[constructor]fields" (func (result (own $fields))))
      (export "[constructor]outgoing-response" (func
        (param "headers" (own $headers))
        (result (own $outgoing-response))))
      (export "[static]response-outparam.set" (func
        (param "param" (own $response-outparam))
        (param "response" (result (own $outgoing-response) (error $error-code)))))))
  (import "wasi:http/types@0.2.12" (instance $types (type $types-type)))
  (alias export $types "incoming-request" (type $incoming-request))
  (alias export $types "response-outparam" (type $response-outparam))

  (import "wasi:io/poll@0.2.12" (instance $poll
    (export "pollable" (type $pollable (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@0.2.12" (instance $clock
    (alias outer 1 $pollable (type $outer-pollable))
    (export "pollable" (type $own-pollable (eq $outer-pollable)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $own-pollable))))))

  (core module $hoard
    (memory (export "memory") 1)
    (func $write (i64.store (i32.const 4096) (i64.const 1)))
    (start $write))
  (core instance $first (instantiate $hoard))
  (core instance (instantiate $hoard)) (core instance (instantiate $hoard)) (core instance (instantiate $hoard))
  (core instance (instantiate $hoard)) (core instance (instantiate $hoard)) (core instance (instantiate $hoard))
  (core instance (instantiate $hoard)) (core instance (instantiate $hoard)) (core instance (instantiate $hoard))
  (core instance (instantiate $hoard)) (core instance (instantiate $hoard)) (core instance (instantiate $hoard))
  (core instance (instantiate $hoard)) (core instance (instantiate $hoard)) (core instance (instantiate $hoard))

  (core func $new-fields (canon lower (func $types "[constructor]fields")))
  (core func $new-response (canon lower (func $types "[constructor]outgoing-response")))
  (core func $answer
    (canon lower (func $types "[static]response-outparam.set") (memory (core memory $first "memory"))))
  (core func $subscribe (canon lower (func $clock "subscribe-duration")))
  (core func $block (canon lower (func $poll "[method]pollable.block")))

  (core module $main
    (import "http" "new-fields" (func $new-fields (result i32)))
    (import "http" "new-response" (func $new-response (param i32) (result i32)))
    (import "http" "answer" (func $answer (param i32 i32 i32 i32 i64 i32 i32 i32 i32)))
    (import "time" "subscribe" (func $subscribe (param i64) (result i32)))
    (import "time" "block" (func $block (param i32)))
    (func (export "handle") (param $request i32) (param $out i32)
      (call $block (call $subscribe (i64.const 500000000)))
      (call $answer
        (local.get $out)
        (i32.const 0) (call $new-response (call $new-fields))
        (i32.const 0) (i64.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))))
  (core instance $main
    (instantiate $main
      (with "http" (instance
        (export "new-fields" (func $new-fields))
        (export "new-response" (func $new-response))
        (export "answer" (func $answer))))
      (with "time" (instance
        (export "subscribe" (func $subscribe))
        (export "block" (func $block))))))

  (func $handle (param "request" (own $incoming-request)) (param "response-out" (own $response-outparam))
    (canon lift (core func $main "handle")))
  (instance $handler (export "handle" (func $handle)))
  (export "wasi:http/incoming-handler@0.2.12" (instance $handler)))
