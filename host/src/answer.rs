//! The answers that the host makes itself: every status, its page, and what the client may know of the reason.
//!
//! The client learns what it can act on; what went wrong inside a guest is for the operator and stands in the log. Only who
//! works on an app (`guesthouse dev`) is shown what is wrong with it, as a page.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};

use crate::{instance::Failure, notices::Notice, statics::StaticFailure};

/// Seconds after which a client that was turned away for want of room may try again.
const RETRY_AFTER_SECONDS: u64 = 1;

/// The header that tells one notice from another.
const NOTICE: HeaderName = HeaderName::from_static("guesthouse-notice");

/// Why the host answers in place of an app.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("{0}")]
    BadRequest(&'static str),
    #[error("no app is routed at {host}")]
    UnknownHost { host: String, path: String },
    #[error("method CONNECT is not for an origin server")]
    Connect,
    #[error("the request is for another scheme than that of its connection")]
    Misdirected,
    #[error("the client has too many connections")]
    TooManyConnections,
    /// The app is being worked on, and its present state cannot be built or started.
    #[error("the app {} cannot be shown", .0.app)]
    Notice(Arc<Notice>),
    #[error(transparent)]
    Failure(#[from] Failure),
    #[error(transparent)]
    Static(#[from] StaticFailure),
}

impl Refusal {
    /// The status for each reason (RFC 9110, section 15, and RFC 6585; 408 and 413 for what the client did).
    pub fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::UnknownHost { .. } => StatusCode::NOT_FOUND,
            Self::Connect => StatusCode::NOT_IMPLEMENTED,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::TooManyConnections => StatusCode::TOO_MANY_REQUESTS,
            Self::Notice(_) | Self::Static(StaticFailure::Unreadable(_)) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Static(StaticFailure::Busy(_)) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Failure(failure) => match failure {
                Failure::Trapped(_)
                | Failure::Instantiation(_)
                | Failure::NoAnswer
                | Failure::AnswerTooLarge(_)
                | Failure::ErrorCode(_)
                | Failure::Collateral(_) => StatusCode::INTERNAL_SERVER_ERROR,
                Failure::BadAnswer(_) => StatusCode::BAD_GATEWAY,
                Failure::Cpu(_) | Failure::Timeout(_) | Failure::StreamTimeout(_) => {
                    StatusCode::GATEWAY_TIMEOUT
                }
                Failure::BodyTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
                Failure::ClientStalled | Failure::ClientGone => StatusCode::REQUEST_TIMEOUT,
                Failure::NoRoom(_)
                | Failure::AppMemory(_)
                | Failure::QueueFull(_)
                | Failure::QueueTimeout(_)
                | Failure::Drained
                | Failure::Throttled(_) => StatusCode::SERVICE_UNAVAILABLE,
            },
        }
    }

    /// Whether the connection is of no further use: what is left of the request was not read.
    fn closes(&self) -> bool {
        matches!(
            self,
            Self::BadRequest(_)
                | Self::Connect
                | Self::TooManyConnections
                | Self::Failure(Failure::BodyTooLarge(_) | Failure::ClientStalled)
        )
    }

    fn message(&self) -> String {
        match self {
            Self::BadRequest(reason) => (*reason).to_owned(),
            Self::UnknownHost { host, path } => format!(
                "No app of this house answers at {host}{path}.\n\nTo add one, give an app in the manifest this route:\n\n    \
                 routes = [\"{host}\"]\n\n`guesthouse explain http://{host}{path}` tells what was considered; `*` is the \
                 route that catches all."
            ),
            Self::Connect => "This is not a proxy.".into(),
            Self::Misdirected => "The request target has another scheme than the connection.".into(),
            Self::TooManyConnections => {
                "There are too many connections from this address. Close some, or try again in a moment."
                    .into()
            }
            Self::Notice(notice) => notice.text.clone(),
            Self::Static(StaticFailure::Busy(_)) => "The app is busy. Try again in a moment.".into(),
            Self::Static(StaticFailure::Unreadable(_)) => {
                "The file cannot be read. The reason is in the host's log.".into()
            }
            Self::Failure(failure) => match failure {
                Failure::Cpu(_) | Failure::Timeout(_) | Failure::StreamTimeout(_) => {
                    "The app did not answer in time.".into()
                }
                Failure::BadAnswer(_) => "The app gave an answer that is not valid HTTP.".into(),
                Failure::BodyTooLarge(limit) => format!("The request's body is larger than {limit} bytes."),
                Failure::ClientStalled | Failure::ClientGone => {
                    "The request's body did not come in time.".into()
                }
                Failure::NoRoom(_)
                | Failure::AppMemory(_)
                | Failure::QueueFull(_)
                | Failure::QueueTimeout(_) => "The app is busy. Try again in a moment.".into(),
                Failure::Drained => "The app was replaced while it worked on the answer. Try again.".into(),
                Failure::Throttled(_) => "The app fails again and again. Try again in a moment.".into(),
                _ => "The app failed to answer. The reason is in the host's log.".into(),
            },
        }
    }

    /// The whole answer: plain text, and a page for who works on an app.
    pub fn response(&self) -> Response<Bytes> {
        let status = self.status();
        let reason = status.canonical_reason().unwrap_or_default();
        let (kind, text) = match self {
            Self::Notice(notice) => ("text/html; charset=utf-8", page(notice)),
            _ => {
                let text = format!("{} {reason}\n\n{}\n", status.as_u16(), self.message());
                ("text/plain; charset=utf-8", text)
            }
        };
        let mut response = Response::new(Bytes::from(text));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        if let Self::Notice(notice) = self {
            headers.insert(NOTICE, notice.number.into());
        }
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            let seconds = match self {
                Self::Failure(Failure::Throttled(left)) => left.as_secs() + RETRY_AFTER_SECONDS,
                _ => RETRY_AFTER_SECONDS,
            };
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.closes() {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// A notice as a page, which makes way by itself when the app has changed.
fn page(notice: &Notice) -> String {
    let (app, text, number) = (escaped(&notice.app), escaped(&notice.text), notice.number);
    format!(
        r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{app} cannot be shown</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem;color:#222}}
h1{{font-size:1.3rem;color:#a11}}pre{{background:#f6f6f6;padding:1rem;overflow:auto;font-size:.85rem}}</style></head>
<body><h1>{app} cannot be shown as it is now</h1><pre>{text}</pre>
<p>This page makes way when what is wrong has been mended and saved.</p>
<script>
setInterval(() => fetch(location, {{method: "HEAD", headers: {{Accept: "text/html"}}}}).then(answer => {{
  if (answer.headers.get("{NOTICE}") !== "{number}") location.reload();
}}).catch(() => {{}}), 1000);
</script></body></html>
"#
    )
}

/// Text for HTML, also within quotes.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // What browsers would take for the end of the document or for nothing.
            '\0'..='\u{8}' | '\u{b}'..='\u{1f}' | '\u{7f}' => escaped.push('\u{fffd}'),
            _ => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tools_say_is_text_in_a_notice_and_nothing_else() {
        let text = "error: <script>alert(\"1\")</script> & 'x'\0".to_owned();
        let page = page(&Notice { app: "shop".into(), text, number: 7 });
        assert!(
            page.contains("&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp; &#39;x&#39;\u{fffd}"),
            "{page}"
        );
        assert_eq!(page.matches("<script>").count(), 1);
    }
}
