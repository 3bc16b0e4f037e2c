//! What a request brings: its content type, its JSON, its component.

use std::sync::Arc;
use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    extract::{
        Path, Query,
        rejection::{PathRejection, QueryRejection},
    },
    http::{HeaderMap, StatusCode, header},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::{Deserialize, de::DeserializeOwned};
use tokio::time::timeout;

use super::refused::Refused;
use crate::reload::{
    Manager,
    change::{CanaryShare, Reason, Sticky, StoredComponent},
};

/// Bytes of a JSON body.
const JSON_BYTES_MAX: usize = 1 << 20;
/// How long a client may pause within a body.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// How long the rest of a refused body is read.
const REST_MAX: Duration = Duration::from_secs(10);

pub(super) type Name = Result<Path<String>, PathRejection>;
pub(super) type Asked<T> = Result<Query<T>, QueryRejection>;

/// A part of the path.
pub(super) fn name(name: Name) -> Result<String, Refused> {
    name.map(|Path(name)| name).map_err(|rejection| Refused::new(Reason::BadRequest, rejection.body_text()))
}

/// The query, all of whose parameters must be known.
pub(super) fn asked<T>(query: Asked<T>) -> Result<T, Refused> {
    query
        .map(|Query(query)| query)
        .map_err(|rejection| Refused::new(Reason::BadRequest, rejection.body_text()))
}

/// The query of a swap with a component as its body.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SwapQuery {
    canary: Option<f64>,
    sticky: Option<Sticky>,
}

impl SwapQuery {
    pub(super) fn share(&self) -> Result<Option<CanaryShare>, Refused> {
        match (self.canary, self.sticky) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(Refused::new(
                Reason::BadRequest,
                "`sticky` says how clients are divided for a canary: name its part too, `canary=5`",
            )),
            (Some(percent), sticky) => {
                let share = CanaryShare { percent, sticky: sticky.unwrap_or_default() };
                checked(Some(share))
            }
        }
    }
}

/// A canary's part must be one.
pub(super) fn checked(share: Option<CanaryShare>) -> Result<Option<CanaryShare>, Refused> {
    match share {
        Some(CanaryShare { percent, .. }) if !(percent > 0.0 && percent < 100.0) => Err(Refused::new(
            Reason::BadRequest,
            format!(
                "{percent} is no part of the clients for a canary: more than 0 and less than 100 per cent"
            ),
        )),
        share => Ok(share),
    }
}

/// What a body is said to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Json,
    Wasm,
    Unsaid,
    Other,
}

pub(super) fn kind(headers: &HeaderMap) -> Kind {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Kind::Unsaid };
    let value = value.to_str().unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim();
    match essence {
        _ if essence.eq_ignore_ascii_case("application/json") => Kind::Json,
        _ if essence.eq_ignore_ascii_case("application/wasm") => Kind::Wasm,
        _ => Kind::Other,
    }
}

pub(super) fn unsupported(takes: &str) -> Refused {
    Refused::bad(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("say what the body is: `Content-Type: {takes}`"))
}

/// The JSON of a body, or nothing where it is empty.
pub(super) async fn json<T: DeserializeOwned>(
    headers: &HeaderMap,
    mut body: Body,
) -> Result<Option<T>, Refused> {
    let bytes = match timeout(PAUSE_MAX, Limited::new(&mut body, JSON_BYTES_MAX).collect()).await {
        Ok(Ok(collected)) => collected.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            read_rest(body).await;
            return Err(Refused::new(
                Reason::TooLarge,
                format!("JSON of more than {JSON_BYTES_MAX} bytes is not taken"),
            ));
        }
        Ok(Err(error)) => {
            return Err(Refused::new(Reason::BadRequest, format!("the body broke off: {error}")));
        }
        Err(_) => return Err(Refused::bad(StatusCode::REQUEST_TIMEOUT, "the body did not come")),
    };
    if bytes.is_empty() {
        return Ok(None);
    }
    if kind(headers) != Kind::Json {
        return Err(unsupported("application/json"));
    }
    // The error says line and column.
    serde_json::from_slice(&bytes).map(Some).map_err(|error| {
        Refused::new(Reason::BadRequest, format!("the body is not what this takes: {error}"))
    })
}

/// Takes a component from a body into the store as it comes.
pub(super) async fn component(manager: &Arc<Manager>, mut body: Body) -> Result<StoredComponent, Refused> {
    let refused = match stored(manager, &mut body).await {
        Ok(component) => return Ok(component),
        Err(refused) => refused,
    };
    read_rest(body).await;
    Err(refused)
}

/// Reads what is left of a refused body, so that its client sends to the end and then reads the refusal.
async fn read_rest(mut body: Body) {
    let rest = async { while let Ok(Some(_)) = data(&mut body).await {} };
    let _ = timeout(REST_MAX, rest).await;
}

async fn stored(manager: &Arc<Manager>, body: &mut Body) -> Result<StoredComponent, Refused> {
    let Some(first) = data(body).await? else {
        return Err(Refused::new(Reason::BadRequest, "the body is empty: send the bytes of a component"));
    };
    let mut upload = manager.upload().await?.write(first).await?;
    while let Some(bytes) = data(body).await? {
        upload = upload.write(bytes).await?;
    }
    Ok(upload.finish().await?)
}

/// The next bytes of a body.
async fn data(body: &mut Body) -> Result<Option<Bytes>, Refused> {
    loop {
        let frame = match timeout(PAUSE_MAX, body.frame()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(None) => return Ok(None),
            Ok(Some(Err(error))) => {
                return Err(Refused::new(Reason::BadRequest, format!("the upload broke off: {error}")));
            }
            Err(_) => return Err(Refused::bad(StatusCode::REQUEST_TIMEOUT, "the upload did not go on")),
        };
        match frame.into_data() {
            Ok(bytes) if bytes.is_empty() => {}
            Ok(bytes) => return Ok(Some(bytes)),
            // Trailers say nothing of use.
            Err(_) => {}
        }
    }
}
