//! Streams the body of the request back, piece by piece, with its content type and the trailers that it announces in
//! `trailer`.

use std::io::Write;

use test_guests::{
    guest, p2,
    wasip2::http::types::{Fields, IncomingBody, OutgoingBody},
};

guest!(|request, _, out| {
    let field = |name: &str| {
        let value = request.headers().get(name).pop().unwrap_or_default();
        String::from_utf8(value).expect("a header in UTF-8")
    };
    let (content_type, trailer) = (field("content-type"), field("trailer"));
    let body = request.consume().expect("the first taking of the body");
    let stream = body.stream().expect("the first taking of the stream");
    let (answer, mut answer_stream) =
        p2::begin(out, 200, &[("content-type", &content_type), ("trailer", &trailer)]);

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
