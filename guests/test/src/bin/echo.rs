//! Streams the body of the request back, piece by piece, with its content type and its trailers.

use std::io::Write;

use test_guests::{
    guest, p2,
    wasip2::http::types::{Fields, IncomingBody, OutgoingBody},
};

guest!(|request, _, out| {
    let content_type = request.headers().get("content-type").pop().unwrap_or_default();
    let content_type = String::from_utf8(content_type).expect("a content type in UTF-8");
    let body = request.consume().expect("the first taking of the body");
    let stream = body.stream().expect("the first taking of the stream");
    let (answer, mut answer_stream) = p2::begin(out, 200, &[("content-type", &content_type)]);

    while let Some(piece) = p2::piece(&stream).expect("the body comes whole") {
        answer_stream.write_all(&piece).expect("the host takes the body");
    }
    answer_stream.blocking_flush().expect("the host takes the body");
    drop((stream, answer_stream));

    let trailers = IncomingBody::finish(body);
    trailers.subscribe().block();
    let trailers =
        trailers.get().expect("trailers after the wait").expect("the first taking of the trailers");
    let trailers = trailers
        .expect("the trailers come whole")
        .map(|fields| Fields::from_list(&fields.entries()).expect("the host takes the trailers"));
    OutgoingBody::finish(answer, trailers).expect("the host takes the end of the body");
});
