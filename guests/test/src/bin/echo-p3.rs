//! Streams the body of the request back, piece by piece, with its content type and the trailers that it announces in
//! `trailer`. At `/hand-over` the stream itself is handed over, so that no byte passes through the guest.

use test_guests::{
    guest_p3,
    p3::{self, ErrorCode, Request, Response},
    target::Target,
    wasip3::http::types::Fields,
};

guest_p3!(behave);

async fn behave(request: Request, target: Target) -> Result<Response, ErrorCode> {
    let field = |name: &str| request.get_headers().get(name).pop().unwrap_or_default();
    let (content_type, trailer) = (field("content-type"), field("trailer"));
    let (mut body, end) = p3::body(request);
    if target.path == "/hand-over" {
        let headers = Fields::new();
        headers.set("content-type", &[content_type]).expect("the host takes the headers");
        headers.set("trailer", &[trailer]).expect("the host takes the headers");
        let (response, _sent) = Response::new(headers, Some(body), end);
        return Ok(response);
    }
    let text = |value| String::from_utf8(value).expect("a header in UTF-8");
    let (content_type, trailer) = (text(content_type), text(trailer));
    Ok(p3::streamed(
        &[("content-type", &content_type), ("trailer", &trailer)],
        move |mut answer| async move {
            while let Some(piece) = p3::piece(&mut body).await {
                if !answer.write_all(piece).await.is_empty() {
                    break;
                }
            }
            drop((answer, body));
            end.await
        },
    ))
}
