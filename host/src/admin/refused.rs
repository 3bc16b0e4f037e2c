//! Refusals as answers: the status of each reason.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};

use crate::reload::change::{Reason, Refusal};

/// A request that was refused.
#[derive(Debug)]
pub(super) struct Refused {
    status: StatusCode,
    refusal: Refusal,
}

impl Refused {
    pub(super) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Refusal { reason, message: message.into() }.into()
    }

    /// A request that makes no sense in a way that has a status of its own.
    pub(super) fn bad(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, refusal: Refusal { reason: Reason::BadRequest, message: message.into() } }
    }

    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    pub(super) fn message(&self) -> &str {
        &self.refusal.message
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self { status: status(refusal.reason), refusal }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.status, Json(self.refusal)).into_response()
    }
}

pub(super) fn status(reason: Reason) -> StatusCode {
    match reason {
        Reason::BadRequest => StatusCode::BAD_REQUEST,
        Reason::NotFound => StatusCode::NOT_FOUND,
        Reason::Conflict => StatusCode::CONFLICT,
        Reason::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Reason::Unfit => StatusCode::UNPROCESSABLE_ENTITY,
        Reason::NotSaved => StatusCode::INSUFFICIENT_STORAGE,
    }
}
