//! Makes header fields of `?bytes=` bytes each, and keeps all their handles, until the host gives no more.

use test_guests::{
    guest_p3,
    p3::{ErrorCode, Request, Response},
    target::Target,
    wasip3::http::types::Fields,
};

guest_p3!(behave);

async fn behave(_request: Request, target: Target) -> Result<Response, ErrorCode> {
    let bytes = usize::try_from(target.number("bytes").unwrap_or(0)).expect("a length");
    let value = vec![b'x'; bytes];
    let mut kept = Vec::new();
    loop {
        let fields = Fields::new();
        fields.append("hoarded", &value).expect("the host takes the field");
        kept.push(fields);
    }
}
