/* An app for WASI 0.2: every request is handled by a fresh instance. */

#include <stdio.h>
#include <string.h>

#include "gen/app.h"

/* The longest answer, in bytes. */
#define BODY_MAX 1024

/* A setting of the manifest, as text; `otherwise` where there is none. Of at most `size` bytes with the ending zero. */
static void setting(const char *name, const char *otherwise, char *value, size_t size)
{
    app_string_t key, *found;
    app_option_string_t result;
    wasi_config_store_error_t error;

    snprintf(value, size, "%s", otherwise);
    app_string_set(&key, name);
    if (wasi_config_store_get(&key, &result, &error) && result.is_some) {
        found = &result.val;
        snprintf(value, size, "%.*s", (int)found->len, (const char *)found->ptr);
    }
}

/* The answer's head and body. */
static void respond(wasi_http_0_2_12_types_own_response_outparam_t out, int status, const char *text)
{
    wasi_http_0_2_12_types_own_fields_t headers = wasi_http_0_2_12_types_constructor_fields();
    wasi_http_0_2_12_types_header_error_t header_error;
    app_string_t name;
    wasi_http_0_2_12_types_field_value_t kind;

    app_string_set(&name, "content-type");
    kind.ptr = (uint8_t *)"text/plain; charset=utf-8";
    kind.len = strlen((const char *)kind.ptr);
    wasi_http_0_2_12_types_method_fields_append(wasi_http_0_2_12_types_borrow_fields(headers), &name, &kind,
                                                &header_error);

    wasi_http_0_2_12_types_own_outgoing_response_t response = wasi_http_0_2_12_types_constructor_outgoing_response(headers);
    wasi_http_0_2_12_types_borrow_outgoing_response_t head = wasi_http_0_2_12_types_borrow_outgoing_response(response);
    wasi_http_0_2_12_types_own_outgoing_body_t body;
    wasi_http_0_2_12_types_method_outgoing_response_set_status_code(head, (uint16_t)status);
    wasi_http_0_2_12_types_method_outgoing_response_body(head, &body);
    wasi_http_0_2_12_types_result_own_outgoing_response_error_code_t result = {.is_err = false, .val.ok = response};
    wasi_http_0_2_12_types_static_response_outparam_set(out, &result);

    wasi_http_0_2_12_types_own_output_stream_t stream;
    wasi_io_streams_stream_error_t stream_error;
    wasi_http_0_2_12_types_error_code_t error;
    app_list_u8_t bytes = {.ptr = (uint8_t *)text, .len = strlen(text)};
    wasi_http_0_2_12_types_method_outgoing_body_write(wasi_http_0_2_12_types_borrow_outgoing_body(body), &stream);
    wasi_io_streams_method_output_stream_blocking_write_and_flush(wasi_io_streams_borrow_output_stream(stream), &bytes,
                                                                  &stream_error);
    /* Children first: the body ends when its stream is gone. */
    wasi_io_streams_output_stream_drop_own(stream);
    wasi_http_0_2_12_types_static_outgoing_body_finish(body, NULL, &error);
}

void exports_wasi_http_0_2_12_incoming_handler_handle(exports_wasi_http_0_2_12_incoming_handler_own_incoming_request_t request,
                                               exports_wasi_http_0_2_12_incoming_handler_own_response_outparam_t out)
{
    char greeting[BODY_MAX / 2], text[BODY_MAX];
    app_string_t path;
    bool is_home = wasi_http_0_2_12_types_method_incoming_request_path_with_query(
                       wasi_http_0_2_12_types_borrow_incoming_request(request), &path)
                   && path.len > 0 && (path.len == 1 || path.ptr[1] == '?');

    wasi_http_0_2_12_types_incoming_request_drop_own(request);
    if (!is_home) {
        respond(out, 404, "There is nothing here.\n");
        return;
    }
    setting("greeting", "Hello", greeting, sizeof greeting);
    snprintf(text, sizeof text, "%s from C.\n", greeting);
    respond(out, 200, text);
}
