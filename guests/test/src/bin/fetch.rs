//! Asks another server, `/?scheme=&authority=&path=`, over `wasi:http/outgoing-handler`, and answers with the status
//! and the text that it got, or with the error.

use std::io::Read;

use test_guests::{
    guest, p2,
    target::Target,
    wasip2::http::{
        outgoing_handler,
        types::{Fields, OutgoingRequest, Scheme},
    },
};

guest!(|_request, target, out| {
    let outcome = fetch(target).unwrap_or_else(|error| format!("refused: {error}"));
    p2::answer(out, &outcome);
});

fn fetch(target: &Target) -> Result<String, String> {
    let request = OutgoingRequest::new(Fields::new());
    let scheme = if target.get("scheme") == Some("https") { Scheme::Https } else { Scheme::Http };
    request.set_scheme(Some(&scheme)).map_err(|()| "scheme")?;
    request.set_authority(target.get("authority")).map_err(|()| "authority")?;
    request.set_path_with_query(target.get("path")).map_err(|()| "path")?;
    let future = outgoing_handler::handle(request, None).map_err(|error| format!("{error:?}"))?;
    future.subscribe().block();
    let response = future.get().expect("an answer after the wait").expect("the first taking of the answer");
    let response = response.map_err(|error| format!("{error:?}"))?;
    let body = response.consume().expect("the first taking of the body");
    let mut text = String::new();
    let mut stream = body.stream().expect("the first taking of the stream");
    stream.read_to_string(&mut text).map_err(|error| error.to_string())?;
    Ok(format!("{} {text}", response.status()))
}
