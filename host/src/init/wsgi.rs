//! Flask and other WSGI applications: looks where they are by custom, for the ways in which they are written.
//!
//! Lines at the left margin are all that is read: what stands further in runs only under conditions.

use std::{fs, path::Path};

use anyhow::{Result, bail};

use super::Seen;

/// Modules that hold an application by custom, the most telling first.
const MODULES: &[&str] = &["wsgi", "app", "main", "application", "server", "run"];
/// What an application is called by custom (PEP 3333 has no rule; servers look for these).
const NAMES: &[&str] = &["application", "app"];
/// Functions that make one.
const FACTORIES: &[&str] =
    &["create_app", "make_app", "get_app", "create_application", "get_wsgi_application"];
/// Frameworks whose applications are WSGI's, and those whose are ASGI's.
const WSGI: &[&str] = &["Flask", "Bottle", "App", "API", "Pyramid", "WSGIApplication", "APIFlask", "Chalice"];
const ASGI: &[&str] = &["FastAPI", "Starlette", "Quart", "Litestar", "Sanic", "BlackSheep"];

pub(super) struct Found {
    /// The folder that is first on the path, below the one that was looked at.
    pub(super) below: String,
    /// `module:object`.
    pub(super) wsgi: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Strength {
    /// A function that makes an application.
    Factory,
    /// A name that applications have.
    Name,
    /// A framework's object, or a function that is one.
    Certain,
}

/// The application, if there is one.
///
/// # Errors
/// There are several, or one of a kind that does not run here.
pub(super) fn find(seen: &Seen<'_>) -> Result<Option<Found>> {
    for below in ["", "src"] {
        if let Some(wsgi) = find_in(&Seen { dir: &seen.path(below), base: seen.base.clone() })? {
            return Ok(Some(Found { below: below.to_owned(), wsgi }));
        }
    }
    Ok(None)
}

/// Whether there is a Python source at all.
pub(super) fn any_python(seen: &Seen<'_>) -> bool {
    let python = |dir: &Path| {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).any(|path| path.extension().is_some_and(|kind| kind == "py"))
    };
    python(seen.dir) || seen.folders().iter().any(|name| python(&seen.path(name)))
}

fn find_in(seen: &Seen<'_>) -> Result<Option<String>> {
    let mut modules: Vec<(String, String)> =
        MODULES.iter().map(|name| ((*name).to_owned(), format!("{name}.py"))).collect();
    for package in
        seen.folders().into_iter().filter(|name| !matches!(name.as_str(), "tests" | "test" | "docs"))
    {
        modules.push((package.clone(), format!("{package}/__init__.py")));
        modules
            .extend(MODULES.iter().map(|name| (format!("{package}.{name}"), format!("{package}/{name}.py"))));
    }
    let mut found: Vec<(Strength, String)> = Vec::new();
    let mut asynchronous = None;
    for (module, file) in modules {
        let Some(text) = seen.text(&file) else { continue };
        for line in text.lines() {
            if let Some(framework) = assigned(line).and_then(|(_, value)| called(value, ASGI)) {
                asynchronous = Some((framework, file.clone()));
            } else if let Some((strength, object)) = application(line) {
                // What a server is told to load stands in a module for servers.
                let strength =
                    if module == "wsgi" && strength == Strength::Name { Strength::Certain } else { strength };
                found.push((strength, format!("{module}:{object}")));
            }
        }
    }
    let Some(best) = found.iter().map(|(strength, _)| *strength).max() else {
        let Some((framework, file)) = asynchronous else { return Ok(None) };
        bail!(
            "{file} in {} has an application of {framework}, which is ASGI; only WSGI applications can be brought",
            seen.dir.display()
        );
    };
    let mut best: Vec<String> =
        found.into_iter().filter(|(strength, _)| *strength == best).map(|(_, wsgi)| wsgi).collect();
    best.dedup();
    let servers: Vec<&String> = best.iter().filter(|wsgi| wsgi.starts_with("wsgi:")).collect();
    match (best.as_slice(), servers.as_slice()) {
        ([only], _) => Ok(Some(only.clone())),
        (_, [only]) => Ok(Some((*only).clone())),
        (several, _) => bail!(
            "{} has several WSGI applications: {}\nhelp: say which: `--wsgi {}`",
            seen.dir.display(),
            several.join(", "),
            several.first().map_or("", String::as_str)
        ),
    }
}

/// What a line at the left margin makes of an application: how surely, and its name.
fn application(line: &str) -> Option<(Strength, String)> {
    if let Some(rest) = line.strip_prefix("def ") {
        let (name, arguments) = rest.split_once('(')?;
        let name = name.trim();
        if NAMES.contains(&name) {
            return Some((Strength::Certain, name.to_owned()));
        }
        let arguments = arguments.split(')').next().unwrap_or_default();
        // One that must be given something cannot be called without it.
        let needs = arguments
            .split(',')
            .map(str::trim)
            .any(|one| !(one.is_empty() || one.contains('=') || one.starts_with('*')));
        return (FACTORIES.contains(&name) && !needs).then(|| (Strength::Factory, format!("{name}()")));
    }
    if line.starts_with("from ") {
        let (_, names) = line.split_once(" import ")?;
        let names = names
            .trim_matches(['(', ')'])
            .split(',')
            .map(|name| name.trim().rsplit(" as ").next().unwrap_or_default());
        let name = names.into_iter().find(|name| NAMES.contains(name))?;
        return Some((Strength::Name, name.to_owned()));
    }
    let (name, value) = assigned(line)?;
    if called(value, WSGI).is_some() {
        return Some((Strength::Certain, name.to_owned()));
    }
    NAMES.contains(&name).then(|| (Strength::Name, name.to_owned()))
}

/// Name and value of an assignment at the left margin.
fn assigned(line: &str) -> Option<(&str, &str)> {
    let (target, value) = line.split_once('=')?;
    let name = target.split(':').next().unwrap_or_default().trim_end();
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    (is_name && !value.starts_with('=')).then(|| (name, value.trim()))
}

/// The class of the list that a value is made by: `Flask(…)`, `flask.Flask(…)`.
fn called<'a>(value: &str, classes: &[&'a str]) -> Option<&'a str> {
    let (callee, _) = value.split_once('(')?;
    let class = callee.rsplit('.').next().unwrap_or_default().trim();
    classes.iter().copied().find(|one| *one == class)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn applications_are_known_by_their_line() {
        let found = application;
        let certain = |name: &str| Some((Strength::Certain, name.to_owned()));
        assert_eq!(found("app = Flask(__name__)"), certain("app"));
        assert_eq!(found("web: flask.Flask = flask.Flask(__name__)"), certain("web"));
        assert_eq!(found("def application(environ, start_response):"), certain("application"));
        assert_eq!(found("app = create_app()"), Some((Strength::Name, "app".into())));
        assert_eq!(
            found("from shop import app as application"),
            Some((Strength::Name, "application".into()))
        );
        assert_eq!(found("def create_app(config=None):"), Some((Strength::Factory, "create_app()".into())));
        assert_eq!(found("def create_app(config):"), None);
        assert_eq!(found("    app = Flask(__name__)"), None);
        assert_eq!(found("if app == Flask(x):"), None);
    }
}
