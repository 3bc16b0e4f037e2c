//! Asks another server, `/?scheme=&authority=&path=`, over `wasi:http/client`, and answers with the status and the text
//! that it got, or with the error.

use test_guests::{
    guest_p3,
    p3::{self, ErrorCode, Request, Response},
    target::Target,
    wasip3::{
        http::{
            client,
            types::{Fields, Scheme},
        },
        wit_future,
    },
};

guest_p3!(behave);

async fn behave(_request: Request, target: Target) -> Result<Response, ErrorCode> {
    Ok(p3::text(&fetch(&target).await.unwrap_or_else(|error| format!("refused: {error}"))))
}

async fn fetch(target: &Target) -> Result<String, String> {
    let (_, trailers) = wit_future::new(|| Ok(None));
    let (request, _sent) = Request::new(Fields::new(), None, trailers, None);
    let scheme = if target.get("scheme") == Some("https") { Scheme::Https } else { Scheme::Http };
    request.set_scheme(Some(&scheme)).map_err(|()| "scheme")?;
    request.set_authority(target.get("authority")).map_err(|()| "authority")?;
    request.set_path_with_query(target.get("path")).map_err(|()| "path")?;
    let response = client::send(request).await.map_err(|error| format!("{error:?}"))?;
    let status = response.get_status_code();
    let (_, handled) = wit_future::new(|| Ok(()));
    let (mut stream, end) = Response::consume_body(response, handled);
    let mut text = Vec::new();
    while let Some(piece) = p3::piece(&mut stream).await {
        text.extend(piece);
    }
    drop(stream);
    end.await.map_err(|error| format!("{error:?}"))?;
    text.truncate(1000);
    Ok(format!("{status} {}", String::from_utf8_lossy(&text)))
}
