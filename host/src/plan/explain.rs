//! Which app answers a URL and why, for `guesthouse explain`.

use std::{fmt::Write, sync::Arc};

use super::{Plan, Target};
use crate::router::{Considered, Host, HostError, Outcome, Pattern, RequestPath};

/// What would become of a request.
#[derive(Debug)]
pub struct Explanation {
    /// The app that answers; none if the host itself does, with 404.
    pub app: Option<Arc<str>>,
    /// The reasoning, for people.
    pub text: String,
}

/// Why a text cannot be explained as a URL.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    #[error("`{0}` is no scheme of a request here: write http://, https:// or none")]
    Scheme(String),
    #[error("the URL names no host: write http://example.com/path")]
    NoHost,
    #[error("the host of the URL is none: {0}")]
    Host(#[from] HostError),
}

/// A URL as far as routing looks at it.
#[derive(Debug)]
struct Request<'a> {
    host: Host<'a>,
    port: u16,
    raw_path: &'a str,
}

/// Tells for a URL (`http://host[:port]/path`; the scheme may be left out) which app answers, by which route, and what
/// was less specific.
///
/// # Errors
///
/// Where the text is no URL of a request.
pub fn explain(plan: &Plan, url: &str) -> Result<Explanation, UrlError> {
    let request = Request::parse(url)?;
    let path = RequestPath::new(request.raw_path);
    let considered = plan.routes.explain(&request.host, request.port, &path);
    let winner = considered.iter().find(|considered| considered.outcome == Outcome::Answers);
    let mut text = String::new();
    // Writing into memory cannot fail.
    let _ = match winner {
        Some(winner) => plan.write_answer(&mut text, winner, &request, &path),
        None => write_nothing(&mut text, &request),
    };
    let _ = plan.write_considered(&mut text, &considered, winner);
    let app = winner.and_then(|winner| plan.apps.get(winner.target.app)).map(|app| app.name.clone());
    Ok(Explanation { app, text })
}

impl<'a> Request<'a> {
    fn parse(url: &'a str) -> Result<Self, UrlError> {
        let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
        let port = match &*scheme.to_ascii_lowercase() {
            "http" => 80,
            "https" => 443,
            _ => return Err(UrlError::Scheme(scheme.to_owned())),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at_checked(end).unwrap_or((rest, ""));
        let raw_path = target.split(['?', '#']).next().unwrap_or_default();
        let host = Host::parse(authority)?;
        if host.name().is_empty() {
            return Err(UrlError::NoHost);
        }
        Ok(Self { host, port, raw_path })
    }
}

impl Plan {
    fn write_answer(
        &self,
        f: &mut String,
        winner: &Considered<'_, Target>,
        request: &Request<'_>,
        path: &RequestPath<'_>,
    ) -> std::fmt::Result {
        let Some(app) = self.apps.get(winner.target.app) else { return Ok(()) };
        let Some(route) = app.route(winner.target) else { return Ok(()) };
        writeln!(f, "app `{}` answers, by its route `{}`", app.name, route.text)?;
        writeln!(f, "  component: {}", app.component.display())?;
        if !request.raw_path.is_empty() && path.as_str() != request.raw_path {
            writeln!(f, "  path: {} is the same as {}", request.raw_path, path.as_str())?;
        }
        if route.strip_prefix {
            writeln!(f, "  the app sees: {}, mounted at {}", path.without(&route.prefix), route.prefix)?;
        }
        if let Some(asked) = app.statics.find(path.without(&route.prefix)) {
            asked.write_explanation(f)?;
        }
        for (name, value) in &route.headers {
            writeln!(f, "  header set: {name}: {}", String::from_utf8_lossy(value.as_bytes()))?;
        }
        Ok(())
    }

    fn write_considered(
        &self,
        f: &mut String,
        considered: &[Considered<'_, Target>],
        winner: Option<&Considered<'_, Target>>,
    ) -> std::fmt::Result {
        if considered.is_empty() {
            return writeln!(f, "\nno route is for this host");
        }
        writeln!(f, "\nroutes for this host, the most specific first:")?;
        let app = |considered: &Considered<'_, Target>| {
            self.apps.get(considered.target.app).map_or("", |app| &app.name)
        };
        let patterns: Vec<String> =
            considered.iter().map(|considered| considered.pattern.to_string()).collect();
        let pattern_width = patterns.iter().map(|pattern| pattern.chars().count()).max().unwrap_or_default();
        let app_width = considered.iter().map(|considered| app(considered).len()).max().unwrap_or_default();
        for (considered, pattern) in considered.iter().zip(&patterns) {
            let reason = reason(considered, winner);
            writeln!(f, "  {pattern:pattern_width$}  {:app_width$}  {reason}", app(considered))?;
        }
        Ok(())
    }
}

fn write_nothing(f: &mut String, request: &Request<'_>) -> std::fmt::Result {
    writeln!(f, "no app answers: 404")?;
    writeln!(f, "  add the host to the routes of an app: routes = [\"{}\"]", request.host.name())
}

fn reason(considered: &Considered<'_, Target>, winner: Option<&Considered<'_, Target>>) -> String {
    let pattern = considered.pattern;
    match (considered.outcome, winner) {
        (Outcome::Answers, _) => "answers".into(),
        (Outcome::OtherPort, _) => format!("no: only for port {}", pattern.port().unwrap_or_default()),
        (Outcome::OtherPath, _) => format!("no: only for paths below {}", pattern.prefix()),
        (Outcome::LessSpecific, Some(winner)) => {
            format!("matches too, but {}", difference(pattern, winner.pattern))
        }
        (Outcome::LessSpecific, None) => "matches too".into(),
    }
}

/// Why a pattern is less specific than another.
fn difference(pattern: &Pattern, winner: &Pattern) -> &'static str {
    if pattern.host() != winner.host() {
        "its host is less specific"
    } else if pattern.port() != winner.port() {
        "it names no port"
    } else {
        "its path is shorter"
    }
}
