//! Asks another server, `/?scheme=&authority=&path=`, over `wasi:http/outgoing-handler`, and answers with the status
//! and the text that it got, or with the error. `&send=` posts a body of that many bytes, and `&follow=` goes where the
//! server points to, at most that many times.

use std::io::{Read, Write};

use test_guests::{
    guest, p2,
    target::Target,
    wasip2::http::{
        outgoing_handler,
        types::{Fields, IncomingResponse, Method, OutgoingBody, OutgoingRequest, Scheme},
    },
};

guest!(|_request, target, out| {
    let outcome = fetch(target).unwrap_or_else(|error| format!("refused: {error}"));
    p2::answer(out, &outcome);
});

fn fetch(target: &Target) -> Result<String, String> {
    let mut response = send(
        target.get("scheme").unwrap_or("http"),
        target.get("authority").unwrap_or_default(),
        target.get("path").unwrap_or("/"),
        target.number("send").unwrap_or(0),
    )?;
    for _ in 0..target.number("follow").unwrap_or(0) {
        let location = response.headers().get("location").first().cloned();
        let Some(location) = location.and_then(|location| String::from_utf8(location).ok()) else { break };
        let (scheme, rest) = location.split_once("://").ok_or("a location that is no URL")?;
        let at = rest.find('/').unwrap_or(rest.len());
        response = send(scheme, &rest[..at], &rest[at..], 0)?;
    }
    let body = response.consume().expect("the first taking of the body");
    let stream = body.stream().expect("the first taking of the stream");
    let mut text = String::new();
    while let Some(piece) = p2::piece(&stream)? {
        piece.as_slice().take(1000).read_to_string(&mut text).map_err(|error| error.to_string())?;
    }
    Ok(format!("{} {}", response.status(), text.chars().take(1000).collect::<String>()))
}

fn send(scheme: &str, authority: &str, path: &str, bytes: u64) -> Result<IncomingResponse, String> {
    let request = OutgoingRequest::new(Fields::new());
    let scheme = if scheme == "https" { Scheme::Https } else { Scheme::Http };
    request.set_scheme(Some(&scheme)).map_err(|()| "scheme")?;
    request.set_authority(Some(authority)).map_err(|()| "authority")?;
    request.set_path_with_query(Some(path)).map_err(|()| "path")?;
    let body = request.body().expect("the first taking of the body");
    if bytes > 0 {
        request.set_method(&Method::Post).map_err(|()| "method")?;
    }
    let future = outgoing_handler::handle(request, None).map_err(|error| format!("{error:?}"))?;
    let mut stream = body.write().expect("the first taking of the stream");
    let mut left = bytes;
    while left > 0 {
        let piece = vec![b'x'; left.min(4096) as usize];
        // Where the host takes no more, the answer says why.
        if stream.write_all(&piece).is_err() {
            break;
        }
        left -= piece.len() as u64;
    }
    let _ = stream.flush();
    drop(stream);
    let _ = OutgoingBody::finish(body, None);
    future.subscribe().block();
    let response = future.get().expect("an answer after the wait").expect("the first taking of the answer");
    response.map_err(|error| format!("{error:?}"))
}
