//! Tells as JSON what it sees of the request, and what it has been granted.

use serde_json::json;
use test_guests::{
    guest_p3, json,
    p3::{self, ErrorCode, Request, Response},
    target::Target,
};

guest_p3!(behave);

async fn behave(request: Request, _target: Target) -> Result<Response, ErrorCode> {
    Ok(p3::json(&json!({
        "method": format!("{:?}", request.get_method()),
        "scheme": request.get_scheme().map(|scheme| format!("{scheme:?}")),
        "authority": request.get_authority(),
        "path": request.get_path_with_query(),
        "headers": json::fields(&request.get_headers().copy_all()),
        "grants": json::grants(),
    })))
}
