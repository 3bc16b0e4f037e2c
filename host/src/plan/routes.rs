//! `routes` of an app: patterns and what goes with them; and the table of all apps' routes.

use std::{collections::HashMap, ops::Range, sync::Arc};

use http::{HeaderName, HeaderValue};

use super::{App, Route, Target, resolve::Resolver};
use crate::{
    manifest::{self, Entries, Located},
    report::Problem,
    router::{Pattern, Table},
    settings::Settings,
};

/// Fields that frame the message or belong to one connection (RFC 9110, section 7.6.1; RFC 9112): the host's own to set.
const FRAMING: [&str; 10] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Fields in which the host tells every guest where a request came from.
const ORIGIN: [&str; 7] = [
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-prefix",
    "x-forwarded-proto",
    "x-real-ip",
    "x-request-id",
];

/// A route of some app, and where it stands.
#[derive(Debug)]
pub(super) struct Placed {
    pattern: Pattern,
    target: Target,
    text: String,
    app: Arc<str>,
    span: Range<usize>,
}

impl Resolver<'_> {
    /// The routes of one app, `app` being its place among them; what the router needs of them is added to `placed`.
    pub(super) fn routes(
        &mut self,
        app: (usize, &Arc<str>, &Arc<Settings>),
        routes: &Located<Vec<Located<manifest::Route>>>,
        placed: &mut Vec<Placed>,
    ) -> Vec<Route> {
        let (index, name, settings) = app;
        if routes.value.is_empty() && !self.unread.hides(&routes.span) {
            self.error(
                &routes.span,
                format!("the app `{name}` has no route, so no request would reach it"),
                "name a host, or \"*\" for all requests that no other app answers",
            );
        }
        let mut resolved = Vec::new();
        for written in &routes.value {
            let Some((route, pattern, span)) = self.route(written, settings) else { continue };
            let target = Target { app: index, route: resolved.len() };
            placed.push(Placed { pattern, target, text: route.text.clone(), app: name.clone(), span });
            resolved.push(route);
        }
        resolved
    }

    fn route(
        &mut self,
        written: &Located<manifest::Route>,
        settings: &Arc<Settings>,
    ) -> Option<(Route, Pattern, Range<usize>)> {
        let none = manifest::RouteTable::default();
        let (text, table) = match &written.value {
            manifest::Route::Pattern(text) => {
                (&Located { value: text.clone(), span: written.span.clone() }, &none)
            }
            manifest::Route::Table(table) => (table.route.as_ref()?, &**table),
        };
        // All that is wrong is reported, so the pattern is looked at last.
        let headers = self.headers(table.headers.as_ref());
        let settings = match &table.settings {
            Some(overlay) => Arc::new(settings.overlaid(&self.layer(overlay))),
            None => settings.clone(),
        };
        let expanded = self.text(text)?;
        let pattern = match Pattern::parse(&expanded) {
            Ok(pattern) => pattern,
            Err(error) => {
                self.error(&text.span, format!("`{expanded}` is no route: {error}"), error.help());
                return None;
            }
        };
        let strip_prefix = table.strip_prefix.as_ref().filter(|strip| strip.value);
        if let (Some(strip), "") = (strip_prefix, pattern.prefix()) {
            self.warning(
                &strip.span,
                format!("`strip-prefix` has nothing to strip: the route `{expanded}` has no path"),
                "remove it, or add the path to the route: \"example.com/shop\"",
            );
        }
        let prefix = pattern.prefix().to_owned();
        let route = Route { text: expanded, prefix, strip_prefix: strip_prefix.is_some(), headers, settings };
        Some((route, pattern, text.span.clone()))
    }

    fn headers(&mut self, headers: Option<&Entries<Located<String>>>) -> Vec<(HeaderName, HeaderValue)> {
        let mut resolved: Vec<(HeaderName, HeaderValue)> = Vec::new();
        for (written, value) in headers.iter().flat_map(|headers| &headers.0) {
            let name = self.header_name(written);
            let value = self.header_value(value);
            let Some(name) = name else { continue };
            if resolved.iter().any(|(other, _)| *other == name) {
                let message = format!("the header field `{name}` is set twice");
                self.error(
                    &written.span,
                    message,
                    "remove one of them: upper and lower case do not differ here",
                );
            }
            resolved.extend(value.map(|value| (name, value)));
        }
        resolved
    }

    fn header_name(&mut self, written: &Located<String>) -> Option<HeaderName> {
        let Ok(name) = HeaderName::from_bytes(written.value.as_bytes()) else {
            let message = format!("`{}` is no name of a header field", written.value);
            self.error(&written.span, message, "letters, digits and `-`, such as X-Site");
            return None;
        };
        if FRAMING.contains(&name.as_str()) {
            let message = format!(
                "`{name}` is not for a route to set: it frames the message or belongs to a connection"
            );
            self.error(&written.span, message, "remove it");
            return None;
        }
        if ORIGIN.contains(&name.as_str()) {
            let message =
                format!("`{name}` is not for a route to set: in it the host says where a request came from");
            self.error(
                &written.span,
                message,
                "remove it; `[server] trusted-proxies` says whose word is taken",
            );
            return None;
        }
        Some(name)
    }

    fn header_value(&mut self, written: &Located<String>) -> Option<HeaderValue> {
        let text = self.text(written)?;
        let value = HeaderValue::from_str(&text).ok();
        if value.is_none() {
            self.error(&written.span, "a header field cannot hold control characters", "remove them");
        }
        value
    }

    /// The table of all routes. Two routes that are the same are a problem with two places.
    pub(super) fn route_table(&mut self, placed: Vec<Placed>) -> Table<Target> {
        let mut first_by_pattern: HashMap<Pattern, usize> = HashMap::new();
        for (index, second) in placed.iter().enumerate() {
            let first = *first_by_pattern.entry(second.pattern.clone()).or_insert(index);
            if let Some(first) = placed.get(first).filter(|_| first != index) {
                self.conflict(first, second);
            }
        }
        let routes = placed.into_iter().enumerate();
        let unique = routes.filter(|(index, route)| first_by_pattern.get(&route.pattern) == Some(index));
        let unique: Vec<_> = unique.map(|(_, route)| (route.pattern, route.target)).collect();
        Table::new(unique).unwrap_or_else(|conflict| {
            // Equal patterns were taken out above.
            self.report.push(Problem::error(conflict.to_string()));
            Table::default()
        })
    }

    fn conflict(&mut self, first: &Placed, second: &Placed) {
        let spelled = if first.text == second.text {
            String::new()
        } else {
            format!(", spelled `{}` before", first.text)
        };
        let same_app = first.app == second.app;
        let (message, help) = if same_app {
            (
                format!("the app `{}` has the route `{}` twice{spelled}", second.app, second.text),
                "remove one of them".to_owned(),
            )
        } else {
            let message = format!(
                "the route `{}` leads to two apps, `{}` and `{}`{spelled}",
                second.text, first.app, second.app
            );
            (message, "remove one of them, or make one more specific by host, port or path".to_owned())
        };
        let problem = Problem::error(message)
            .at(
                self.place(&second.span),
                if same_app { String::new() } else { format!("of app `{}`", second.app) },
            )
            .also(
                self.place(&first.span),
                if same_app { "first here".into() } else { format!("of app `{}`", first.app) },
            )
            .help(help);
        self.report.push(problem);
    }
}

impl App {
    /// The route that a [`Target`] of this app names.
    pub fn route(&self, target: &Target) -> Option<&Route> {
        self.routes.get(target.route)
    }
}
