//! Answers as the query says: `?status=`, any number of `?header=name:value`, `?body=`. Where the host refuses the
//! headers, the answer is a text that says so.

use test_guests::{
    guest, p2,
    wasip2::http::types::{Fields, OutgoingBody, OutgoingResponse, ResponseOutparam},
};

guest!(|_request, target, out| {
    let headers: Vec<_> = target
        .all("header")
        .map(|header| {
            let (name, value) = header.split_once(':').expect("name:value");
            (name.to_owned(), value.as_bytes().to_vec())
        })
        .collect();
    let headers = match Fields::from_list(&headers) {
        Ok(headers) => headers,
        Err(error) => return p2::answer(out, &format!("headers refused: {error:?}\n")),
    };
    let response = OutgoingResponse::new(headers);
    let status = u16::try_from(target.number("status").unwrap_or(200)).expect("a status");
    response.set_status_code(status).expect("the host takes the status");
    let body = response.body().expect("the first taking of the body");
    ResponseOutparam::set(out, Ok(response));
    let mut stream = body.write().expect("the first taking of the stream");
    // Where the status allows no body, the host may refuse it.
    let _ = p2::send(&mut stream, target.get("body").unwrap_or_default().as_bytes());
    drop(stream);
    let _ = OutgoingBody::finish(body, None);
});
