//! Tells as JSON what it sees of the request, and what it has been granted.

use serde_json::json;
use test_guests::{guest, json, p2};

guest!(|request, _, out| {
    p2::answer_json(
        out,
        &json!({
            "method": format!("{:?}", request.method()),
            "scheme": request.scheme().map(|scheme| format!("{scheme:?}")),
            "authority": request.authority(),
            "path": request.path_with_query(),
            "headers": json::fields(&request.headers().entries()),
            "grants": json::grants(),
        }),
    );
});
