//! Makes header fields of `?bytes=` bytes each, and keeps all their handles, until the host gives no more.

use test_guests::{guest, wasip2::http::types::Fields};

guest!(|_request, target, _out| {
    let bytes = usize::try_from(target.number("bytes").unwrap_or(0)).expect("a length");
    let value = vec![b'x'; bytes];
    let mut kept = Vec::new();
    loop {
        let fields = Fields::new();
        fields.append("hoarded", &value).expect("the host takes the field");
        kept.push(fields);
    }
});
