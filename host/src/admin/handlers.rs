//! What each endpoint does.

use std::{convert::Infallible, sync::Arc};

use axum::{
    Json,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Shared, openapi,
    refused::Refused,
    request::{self, Asked, Kind, Name, SwapQuery},
};
use crate::{
    log::{Follower, LINES_KEPT_MAX, Line},
    reload::change::{
        AppStatus, Change, Reason, Reloaded, RollbackRequest, Status, StoredComponent, SwapRequest,
    },
};

type House = State<Arc<Shared>>;
type Answer<T> = Result<Json<T>, Refused>;

/// Log lines that are sent where the request does not say how many.
pub(super) const LINES_DEFAULT: usize = 100;

pub(super) async fn document() -> Json<Value> {
    Json(openapi::document())
}

pub(super) async fn status(State(house): House) -> Json<Status> {
    Json(house.manager.status())
}

pub(super) async fn apps(State(house): House) -> Json<Vec<AppStatus>> {
    Json(house.manager.status().apps)
}

pub(super) async fn app(State(house): House, app: Name) -> Answer<AppStatus> {
    let app = request::name(app)?;
    let apps = house.manager.status().apps;
    match apps.iter().position(|one| one.name == app) {
        Some(at) => apps.into_iter().nth(at).map(Json).ok_or_else(|| no_app(&app, &[])),
        None => Err(no_app(&app, &apps)),
    }
}

fn no_app(app: &str, apps: &[AppStatus]) -> Refused {
    let names: Vec<_> = apps.iter().map(|app| app.name.as_str()).collect();
    Refused::new(Reason::NotFound, format!("there is no app `{app}`: there are {}", names.join(", ")))
}

pub(super) async fn put_component(
    State(house): House,
    body: Body,
) -> Result<(StatusCode, Json<StoredComponent>), Refused> {
    let stored = request::component(&house.manager, body).await?;
    Ok((StatusCode::CREATED, Json(stored)))
}

pub(super) async fn component(State(house): House, digest: Name) -> Answer<StoredComponent> {
    let digest = request::name(digest)?;
    let hex = digest.strip_prefix("sha256:").unwrap_or_default();
    if hex.len() != 64 || !hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(Refused::new(
            Reason::BadRequest,
            format!("`{digest}` is no digest: `sha256:` and 64 hexadecimal digits in lower case"),
        ));
    }
    let absent = || Refused::new(Reason::NotFound, format!("there is no component {digest}: upload it"));
    house.manager.component(&digest).map(Json).ok_or_else(absent)
}

pub(super) async fn swap(
    State(house): House,
    app: Name,
    query: Asked<SwapQuery>,
    request: Request,
) -> Answer<Change> {
    let app = request::name(app)?;
    let share = request::asked(query)?.share()?;
    let (head, body) = request.into_parts();
    let swap = match request::kind(&head.headers) {
        Kind::Json if head.uri.query().is_some_and(|query| !query.is_empty()) => {
            let message = "a canary stands in the JSON: `\"canary\": {\"percent\": 5}`, not in the URL";
            return Err(Refused::new(Reason::BadRequest, message));
        }
        Kind::Json => {
            let swap: Option<SwapRequest> = request::json(&head.headers, body).await?;
            let empty = || Refused::new(Reason::BadRequest, "the body is empty: say what to swap in");
            let mut swap = swap.ok_or_else(empty)?;
            swap.canary = request::checked(swap.canary)?;
            swap
        }
        Kind::Wasm => {
            let stored = request::component(&house.manager, body).await?;
            SwapRequest { component: Some(stored.digest), settings: None, canary: share }
        }
        Kind::Unsaid | Kind::Other => {
            return Err(request::unsupported("application/json` or `application/wasm"));
        }
    };
    Ok(Json(house.manager.swap(&app, swap).await?))
}

pub(super) async fn rollback(State(house): House, app: Name, request: Request) -> Answer<Change> {
    let app = request::name(app)?;
    let (head, body) = request.into_parts();
    let to: Option<RollbackRequest> = request::json(&head.headers, body).await?;
    Ok(Json(house.manager.rollback(&app, to.unwrap_or_default()).await?))
}

pub(super) async fn promote(State(house): House, app: Name) -> Answer<Change> {
    let app = request::name(app)?;
    Ok(Json(house.manager.promote(&app).await?))
}

pub(super) async fn abort(State(house): House, app: Name) -> Answer<Change> {
    let app = request::name(app)?;
    Ok(Json(house.manager.abort(&app).await?))
}

pub(super) async fn reload(State(house): House) -> Answer<Reloaded> {
    Ok(Json(house.manager.reload("admin").await?))
}

pub(super) async fn drain(State(house): House) -> StatusCode {
    house.manager.drain();
    StatusCode::ACCEPTED
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogsQuery {
    app: Option<String>,
    lines: Option<usize>,
    #[serde(default)]
    follow: bool,
}

pub(super) async fn logs(State(house): House, query: Asked<LogsQuery>) -> Result<Response, Refused> {
    let LogsQuery { app, lines, follow } = request::asked(query)?;
    let lines = lines.unwrap_or(LINES_DEFAULT);
    if lines > LINES_KEPT_MAX {
        let message = format!("no more than {LINES_KEPT_MAX} lines are kept: ask for so many at most");
        return Err(Refused::new(Reason::BadRequest, message));
    }
    let (recent, follower) = house.logs.follow(app.as_deref(), lines);
    if let Some(app) = &app {
        // An app that is gone has lines still; one that never was is a mistake.
        let apps = house.manager.status().apps;
        if !apps.iter().any(|one| one.name == *app) && house.logs.recent(Some(app), 1).is_empty() {
            return Err(no_app(app, &apps));
        }
    }
    let first = text(0, &recent);
    let body = if follow { stream(first, follower, &house) } else { Body::from(first) };
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response())
}

/// The first lines, then those that come, until the client leaves or the house ends.
fn stream(first: String, follower: Follower, house: &Shared) -> Body {
    let stopping = house.stopping.clone();
    let state = (Some(first), follower, stopping);
    Body::from_stream(futures::stream::unfold(state, async |(first, mut follower, mut stopping)| {
        let text = match first {
            Some(first) => first,
            None => tokio::select! {
                news = follower.next() => text(news.skipped, &news.lines),
                _ = stopping.wait_for(|stopping| *stopping) => return None,
            },
        };
        Some((Ok::<_, Infallible>(Bytes::from(text)), (None, follower, stopping)))
    }))
}

fn text(skipped: u64, lines: &[Arc<Line>]) -> String {
    let mut text = String::new();
    if skipped > 0 {
        text.push_str(&json!({ "skipped": skipped }).to_string());
        text.push('\n');
    }
    for line in lines {
        text.push_str(&line.to_json());
        text.push('\n');
    }
    text
}
