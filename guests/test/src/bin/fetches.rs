//! Begins requests to another server, `?authority=`, over `wasi:http/outgoing-handler` without end, and keeps them all.

use test_guests::{
    guest,
    wasip2::http::{
        outgoing_handler,
        types::{Fields, OutgoingRequest, Scheme},
    },
};

guest!(|_request, target, _out| {
    let mut kept = Vec::new();
    loop {
        let request = OutgoingRequest::new(Fields::new());
        request.set_scheme(Some(&Scheme::Http)).expect("a scheme");
        request.set_authority(target.get("authority")).expect("?authority=");
        kept.push(outgoing_handler::handle(request, None));
    }
});
