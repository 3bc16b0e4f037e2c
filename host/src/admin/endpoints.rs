//! The table of endpoints: the one source of the router and of the OpenAPI document.

use std::sync::Arc;

use axum::{
    Router,
    http::{Method, StatusCode, Uri},
    middleware,
    routing::{MethodFilter, MethodRouter, on},
};
use schemars::{Schema, SchemaGenerator, json_schema};

use super::{
    Shared, guard,
    handlers::{self, LINES_DEFAULT},
    refused::Refused,
};
use crate::{
    log::LINES_KEPT_MAX,
    reload::change::{
        AppStatus, Change, Reason, Reloaded, RollbackRequest, Status, Sticky, StoredComponent, SwapRequest,
    },
};

/// One endpoint.
pub(super) struct Endpoint {
    pub(super) verb: Verb,
    /// With `{app}` or `{digest}` for a part that is a name.
    pub(super) path: &'static str,
    pub(super) handler: fn(MethodFilter) -> MethodRouter<Arc<Shared>>,
    /// The name of the operation, for programs that are made from the document.
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    pub(super) query: &'static [Parameter],
    /// What the body may be. Nothing: it takes none.
    pub(super) takes: &'static [Content],
    /// Whether the body may be left out.
    pub(super) optional: bool,
    pub(super) status: u16,
    pub(super) answer: Option<Content>,
    /// The reasons for which it refuses.
    pub(super) refusals: &'static [Reason],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    Put,
    Post,
}

impl Verb {
    fn filter(self) -> MethodFilter {
        match self {
            Self::Get => MethodFilter::GET,
            Self::Put => MethodFilter::PUT,
            Self::Post => MethodFilter::POST,
        }
    }

    /// As OpenAPI writes it.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Put => "put",
            Self::Post => "post",
        }
    }
}

/// A parameter of the query.
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    pub(super) schema: SchemaOf,
}

pub(super) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// One kind of body.
pub(super) struct Content {
    pub(super) media: &'static str,
    pub(super) description: &'static str,
    pub(super) schema: SchemaOf,
}

impl Content {
    const fn json(description: &'static str, schema: SchemaOf) -> Self {
        Self { media: "application/json", description, schema }
    }

    const fn component(media: &'static str) -> Self {
        // OpenAPI 3.1, section 4.8.14.2: binary content has no schema of its own.
        Self { media, description: "The bytes of a component.", schema: |_| json_schema!({}) }
    }
}

/// What most endpoints have.
const PLAIN: Endpoint = Endpoint {
    verb: Verb::Get,
    path: "",
    handler: |method| on(method, handlers::status),
    id: "",
    summary: "",
    query: &[],
    takes: &[],
    optional: false,
    status: 200,
    answer: None,
    refusals: &[],
};

const CHANGE: Content = Content::json("What was done. A request that begins later sees it.", |schemas| {
    schemas.subschema_for::<Change>()
});
const STORED: Content =
    Content::json("The component in the store.", |schemas| schemas.subschema_for::<StoredComponent>());

pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        path: "/v1/openapi.json",
        handler: |method| on(method, handlers::document),
        id: "openapi",
        summary: "This document",
        answer: Some(Content::json("An OpenAPI 3.1 document.", |_| json_schema!({ "type": "object" }))),
        ..PLAIN
    },
    Endpoint {
        path: "/v1/status",
        handler: |method| on(method, handlers::status),
        id: "status",
        summary: "The state of the house and of all its apps",
        answer: Some(Content::json("The state.", |schemas| schemas.subschema_for::<Status>())),
        ..PLAIN
    },
    Endpoint {
        path: "/v1/apps",
        handler: |method| on(method, handlers::apps),
        id: "apps",
        summary: "The state of all apps",
        answer: Some(Content::json("The apps.", |schemas| schemas.subschema_for::<Vec<AppStatus>>())),
        ..PLAIN
    },
    Endpoint {
        path: "/v1/apps/{app}",
        handler: |method| on(method, handlers::app),
        id: "app",
        summary: "The state of one app",
        answer: Some(Content::json("The app.", |schemas| schemas.subschema_for::<AppStatus>())),
        refusals: &[Reason::NotFound],
        ..PLAIN
    },
    Endpoint {
        verb: Verb::Put,
        path: "/v1/components",
        handler: |method| on(method, handlers::put_component),
        id: "upload",
        summary: "Put a component into the store, to be swapped in by its digest",
        takes: &[Content::component("application/wasm"), Content::component("application/octet-stream")],
        status: 201,
        answer: Some(STORED),
        refusals: &[Reason::BadRequest, Reason::TooLarge, Reason::NotSaved],
        ..PLAIN
    },
    Endpoint {
        path: "/v1/components/{digest}",
        handler: |method| on(method, handlers::component),
        id: "component",
        summary: "Whether a component is in the store",
        answer: Some(STORED),
        refusals: &[Reason::BadRequest, Reason::NotFound],
        ..PLAIN
    },
    Endpoint {
        verb: Verb::Post,
        path: "/v1/apps/{app}/swap",
        handler: |method| on(method, handlers::swap),
        id: "swap",
        summary: "Make a new generation of an app, prove it, and let it serve",
        query: &[
            Parameter {
                name: "canary",
                description: "With a component as the body: its part of the clients, in per cent.",
                schema: |_| json_schema!({ "type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 100 }),
            },
            Parameter {
                name: "sticky",
                description: "With `canary`: how the clients are divided.",
                schema: |schemas| schemas.subschema_for::<Sticky>(),
            },
        ],
        takes: &[
            Content::json("What to swap in.", |schemas| schemas.subschema_for::<SwapRequest>()),
            Content::component("application/wasm"),
        ],
        answer: Some(CHANGE),
        refusals: &[
            Reason::BadRequest,
            Reason::NotFound,
            Reason::Conflict,
            Reason::TooLarge,
            Reason::Unfit,
            Reason::NotSaved,
        ],
        ..PLAIN
    },
    Endpoint {
        verb: Verb::Post,
        path: "/v1/apps/{app}/rollback",
        handler: |method| on(method, handlers::rollback),
        id: "rollback",
        summary: "Go back to a generation that is kept, without compiling",
        takes: &[Content::json("What to go back to.", |schemas| schemas.subschema_for::<RollbackRequest>())],
        optional: true,
        answer: Some(CHANGE),
        refusals: &[
            Reason::BadRequest,
            Reason::NotFound,
            Reason::Conflict,
            Reason::TooLarge,
            Reason::Unfit,
            Reason::NotSaved,
        ],
        ..PLAIN
    },
    Endpoint {
        verb: Verb::Post,
        path: "/v1/apps/{app}/promote",
        handler: |method| on(method, handlers::promote),
        id: "promote",
        summary: "Give the canary all clients",
        answer: Some(CHANGE),
        refusals: &[Reason::NotFound, Reason::Conflict, Reason::NotSaved],
        ..PLAIN
    },
    Endpoint {
        verb: Verb::Post,
        path: "/v1/apps/{app}/abort",
        handler: |method| on(method, handlers::abort),
        id: "abort",
        summary: "End the canary",
        answer: Some(CHANGE),
        refusals: &[Reason::NotFound, Reason::Conflict, Reason::NotSaved],
        ..PLAIN
    },
    Endpoint {
        verb: Verb::Post,
        path: "/v1/reload",
        handler: |method| on(method, handlers::reload),
        id: "reload",
        summary: "Read the manifest again and make the house what it says",
        answer: Some(Content::json("What was done.", |schemas| schemas.subschema_for::<Reloaded>())),
        refusals: &[Reason::Conflict, Reason::Unfit, Reason::NotSaved],
        ..PLAIN
    },
    Endpoint {
        verb: Verb::Post,
        path: "/v1/drain",
        handler: |method| on(method, handlers::drain),
        id: "drain",
        summary: "Finish the requests in flight and end, as SIGTERM does",
        status: 202,
        ..PLAIN
    },
    Endpoint {
        path: "/v1/logs",
        handler: |method| on(method, handlers::logs),
        id: "logs",
        summary: "The latest log lines, and those that come",
        query: &[
            Parameter {
                name: "app",
                description: "Lines of this app alone.",
                schema: |_| json_schema!({ "type": "string" }),
            },
            Parameter {
                name: "lines",
                description: "How many of the latest lines come first.",
                schema: |_| json_schema!({ "type": "integer", "minimum": 0, "maximum": LINES_KEPT_MAX, "default": LINES_DEFAULT }),
            },
            Parameter {
                name: "follow",
                description: "Whether lines follow as they come, until the client leaves or the house ends.",
                schema: |_| json_schema!({ "type": "boolean", "default": false }),
            },
        ],
        answer: Some(Content {
            media: "application/x-ndjson",
            description: "One JSON object a line, as in the JSON log. `{\"skipped\": 7}` stands for lines that a slow reader \
                          has missed.",
            schema: |_| json_schema!({ "type": "string" }),
        }),
        refusals: &[Reason::BadRequest, Reason::NotFound],
        ..PLAIN
    },
];

pub(super) fn router(shared: Arc<Shared>) -> Router {
    let routes = ENDPOINTS.iter().fold(Router::new(), |router, endpoint| {
        router.route(endpoint.path, (endpoint.handler)(endpoint.verb.filter()))
    });
    routes
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        // Around the fallbacks too: a stranger does not learn what there is.
        .layer(middleware::from_fn_with_state(shared.clone(), guard::guarded))
        .with_state(shared)
}

async fn unknown_path(uri: Uri) -> Refused {
    let message = format!("there is nothing at {}: GET /v1/openapi.json lists what there is", uri.path());
    Refused::new(Reason::NotFound, message)
}

async fn wrong_method(method: Method, uri: Uri) -> Refused {
    let message = format!("{} does not take {method}: see `Allow`, and GET /v1/openapi.json", uri.path());
    Refused::bad(StatusCode::METHOD_NOT_ALLOWED, message)
}
