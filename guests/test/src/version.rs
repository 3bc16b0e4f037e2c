//! An app in versions: its answers carry the version of the code and the setting `VERSION`, so that an answer which is
//! not whole from one generation shows.
//!
//! A line is `code=1 setting=one-7 generation=3`, with all three asked anew for each line. The query says the rest:
//! `?ms=` is a pause before the answer, `?pad=` adds a line of that many bytes, and `?stream=` makes it that many lines,
//! each sent on its own, with `?pause=` milliseconds before the next.

use wasip2::http::types::ResponseOutparam;
use wasip3::http::types::{ErrorCode, Response};

use crate::{
    bindings::guesthouse::settings::settings::{self, Value},
    p2, p3,
    target::Target,
};

const PLAIN: &[(&str, &str)] = &[("content-type", "text/plain; charset=utf-8")];

/// What the generation says of itself at this moment.
pub fn line(code: u32) -> String {
    let setting = match settings::get("VERSION") {
        Some(Value::Text(text)) => text,
        Some(_) => "no-text".to_owned(),
        None => "absent".to_owned(),
    };
    format!("code={code} setting={setting} generation={}\n", settings::generation())
}

fn padding(target: &Target) -> Option<String> {
    let bytes = usize::try_from(target.number("pad")?).expect("a length");
    Some("x".repeat(bytes.saturating_sub(1)) + "\n")
}

/// Answers as a component for WASI 0.2.
pub fn answer(code: u32, target: &Target, out: ResponseOutparam) {
    if let Some(ms) = target.number("ms") {
        p2::sleep(Some(ms));
    }
    let (body, mut stream) = p2::begin(out, 200, PLAIN);
    let lines = target.number("stream").unwrap_or(1);
    for number in 1..=lines {
        // Nobody reads on where the client has left, or the answer was cut.
        if p2::send(&mut stream, line(code).as_bytes()).is_err() {
            return;
        }
        if number < lines {
            p2::sleep(Some(target.number("pause").unwrap_or(10)));
        }
    }
    if let Some(padding) = padding(target) {
        let _ = p2::send(&mut stream, padding.as_bytes());
    }
    p2::finish(body, stream);
}

/// Answers as a component for WASI 0.3.
///
/// # Errors
///
/// None.
pub async fn answer_p3(code: u32, target: Target) -> Result<Response, ErrorCode> {
    if let Some(ms) = target.number("ms") {
        p3::sleep(Some(ms)).await;
    }
    Ok(p3::streamed(PLAIN, move |mut body| async move {
        let lines = target.number("stream").unwrap_or(1);
        for number in 1..=lines {
            if !body.write_all(line(code).into_bytes()).await.is_empty() {
                return Ok(None);
            }
            if number < lines {
                p3::sleep(Some(target.number("pause").unwrap_or(10))).await;
            }
        }
        if let Some(padding) = padding(&target) {
            body.write_all(padding.into_bytes()).await;
        }
        Ok(None)
    }))
}
