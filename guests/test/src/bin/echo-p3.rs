//! Streams the body of the request back, piece by piece, with its content type and its trailers. At `/hand-over` the
//! stream itself is handed over, so that no byte passes through the guest.

use test_guests::{
    guest_p3,
    p3::{self, ErrorCode, Request, Response},
    target::Target,
    wasip3::http::types::Fields,
};

guest_p3!(behave);

async fn behave(request: Request, target: Target) -> Result<Response, ErrorCode> {
    let content_type = request.get_headers().get("content-type").pop().unwrap_or_default();
    let (mut body, end) = p3::body(request);
    if target.path == "/hand-over" {
        let headers = Fields::new();
        headers.set("content-type", &[content_type]).expect("the host takes the headers");
        let (response, _sent) = Response::new(headers, Some(body), end);
        return Ok(response);
    }
    let content_type = String::from_utf8(content_type).expect("a content type in UTF-8");
    Ok(p3::streamed(&[("content-type", &content_type)], move |mut answer| async move {
        while let Some(piece) = p3::piece(&mut body).await {
            if !answer.write_all(piece).await.is_empty() {
                break;
            }
        }
        drop((answer, body));
        end.await
    }))
}
