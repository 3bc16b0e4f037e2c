//! `[apps.NAME.static]`: folders whose files the host answers with itself, and which file of them a path asks for.
//!
//! A prefix is relative to the app's routes: what the route's own path is, and whether the app sees it, does not matter.
//! What a path asks for is told from the path alone; whether there is such a file, and whether it lies in its folder, is
//! found out where it is opened (`statics`).

use std::{
    collections::HashMap,
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use percent_encoding::percent_decode_str;

use super::resolve::Resolver;
use crate::{
    manifest::{self, Entries, Located},
    report::Problem,
    router::{Paths, RequestPath, has_dot_segments},
};

/// What a folder answers with where a folder is asked for.
const INDEX: &str = "index.html";

/// The one name with a dot before it that is meant for others (RFC 8615).
const WELL_KNOWN: &str = ".well-known";

/// One folder of static files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticFolder {
    /// Path prefix below the app's routes, without its trailing slash: empty or `/static`.
    pub prefix: String,
    /// Absolute. It may not be there (yet); it is no file.
    pub path: PathBuf,
    /// `cache-seconds`: for how long clients may keep a file without asking again.
    pub cache: Option<Duration>,
}

/// The folders of one app.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statics {
    folders: Vec<StaticFolder>,
    by_prefix: Paths,
}

/// The file that a path asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked<'a> {
    pub folder: &'a StaticFolder,
    /// Relative to the folder, decoded; empty for the folder itself. No segment of it is empty or begins with a dot.
    pub name: String,
    /// Whether the path ends with a slash: then a folder is asked for.
    pub slash: bool,
}

impl Statics {
    pub fn folders(&self) -> &[StaticFolder] {
        &self.folders
    }

    /// What a path (normalised, and relative to a route) asks for; nothing where it lies in no folder, or can name no file
    /// of one: hidden files, encoded slashes and backslashes, control characters and empty segments are never served.
    pub fn find(&self, path: &str) -> Option<Asked<'_>> {
        let folder = self.folders.get(self.by_prefix.lookup(path)?)?;
        let rest = path.strip_prefix(&*folder.prefix)?;
        let (rest, slash) = match rest.strip_suffix('/') {
            Some(rest) => (rest, true),
            None => (rest, false),
        };
        let mut name = String::new();
        for segment in rest.split('/').skip(1) {
            let segment = percent_decode_str(segment).decode_utf8().ok()?;
            let hidden = segment.starts_with('.') && segment != WELL_KNOWN;
            if segment.is_empty()
                || hidden
                || segment.contains(|c: char| matches!(c, '/' | '\\') || c.is_control())
            {
                return None;
            }
            if !name.is_empty() {
                name.push('/');
            }
            name.push_str(&segment);
        }
        Some(Asked { folder, name, slash })
    }
}

impl Asked<'_> {
    /// The file to look for where this names a folder.
    pub fn index(&self) -> String {
        if self.name.is_empty() { INDEX.to_owned() } else { format!("{}/{INDEX}", self.name) }
    }

    /// Tells what would become of GET, by what lies on the disk now.
    pub(super) fn write_explanation(&self, f: &mut String) -> fmt::Result {
        use fmt::Write;

        let prefix = if self.folder.prefix.is_empty() { "/" } else { &self.folder.prefix };
        let path = self.folder.path.join(&self.name);
        let index = self.folder.path.join(self.index());
        let (file, is_there) = match self.slash || self.name.is_empty() || path.is_dir() {
            true => (&index, index.is_file()),
            false => (&path, path.is_file()),
        };
        let file = file.display();
        match is_there {
            true => writeln!(f, "  static: the host answers GET and HEAD itself, with {file} (of {prefix})"),
            false => writeln!(f, "  static: the app is asked, since there is no file {file} (of {prefix})"),
        }
    }
}

impl fmt::Display for StaticFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = if self.prefix.is_empty() { "/" } else { &self.prefix };
        write!(f, "{prefix} = {}", self.path.display())?;
        self.cache.map_or(Ok(()), |cache| write!(f, " cache-seconds={}", cache.as_secs()))
    }
}

impl Resolver<'_> {
    pub(super) fn statics(&mut self, written: Option<&Entries<Located<manifest::StaticFolder>>>) -> Statics {
        let mut statics = Statics::default();
        let mut first_by_prefix: HashMap<String, &Located<String>> = HashMap::new();
        let none = manifest::StaticTable::default();
        for (key, value) in written.iter().flat_map(|written| &written.0) {
            let (path, table) = match &value.value {
                manifest::StaticFolder::Path(path) => {
                    (Some(Located { value: path.clone(), span: value.span.clone() }), &none)
                }
                manifest::StaticFolder::Table(table) => (table.path.clone(), table),
            };
            // All that is wrong is reported.
            let path = path.and_then(|path| self.static_folder(&path));
            let Some(prefix) = self.static_prefix(key) else { continue };
            if let Some(first) = first_by_prefix.get(&prefix) {
                let problem = Problem::error(format!("the static path `{}` stands here twice", key.value))
                    .at(self.place(&key.span), "")
                    .also(self.place(&first.span), "first here")
                    .help("remove one of them: trailing slashes and encodings make no difference");
                self.report.push(problem);
                continue;
            }
            first_by_prefix.insert(prefix.clone(), key);
            let Some(path) = path else { continue };
            let cache = table.cache_seconds.as_ref().map(|seconds| Duration::from_secs(seconds.value));
            // It was seen above that there is no such prefix.
            let _ = statics.by_prefix.insert(&prefix, statics.folders.len());
            statics.folders.push(StaticFolder { prefix, path, cache });
        }
        statics
    }

    /// The prefix as request paths have it, without a trailing slash.
    fn static_prefix(&mut self, written: &Located<String>) -> Option<String> {
        let text = &written.value;
        let help = if !text.starts_with('/') {
            format!("it begins with a slash: \"/{text}\"")
        } else if text.contains(['?', '#']) {
            "remove the query: files are found by the path alone".to_owned()
        } else if text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\') {
            "blanks, control characters and backslashes cannot stand in it".to_owned()
        } else if has_dot_segments(text) {
            "write the path as it is without `.` and `..`".to_owned()
        } else {
            let trimmed = text.strip_suffix('/').unwrap_or(text);
            let prefix = match trimmed {
                "" => String::new(),
                trimmed => RequestPath::new(trimmed).as_str().to_owned(),
            };
            if !prefix.split('/').skip(1).any(str::is_empty) {
                return Some(prefix);
            }
            "remove the doubled slash".to_owned()
        };
        let message = format!("`{text}` is no path below which static files can be asked for");
        self.error(&written.span, message, help);
        None
    }

    /// A folder whose files everybody may read. One that is not there yet is no error: `collectstatic` and build tools make
    /// theirs after the manifest is written, and it is looked for with each request anyway.
    fn static_folder(&mut self, written: &Located<String>) -> Option<PathBuf> {
        let path = self.path(written)?;
        if !path.exists() {
            let message = format!("the folder `{}` does not exist", self.shown(&path));
            let help = format!(
                "its files are served as soon as it does; if it is another one, name that: relative paths begin at {}",
                self.dir.display()
            );
            self.warning(&written.span, message, help);
            return Some(path);
        }
        if !self.check_dir(&path, written) {
            return None;
        }
        if holds(&path, &self.dir) {
            let message = format!("the folder `{}` holds the manifest", path.display());
            let help = "everybody could read it, and whatever else lies there: give static files a folder of their own";
            self.error(&written.span, message, help);
            return None;
        }
        Some(path)
    }
}

/// Whether one folder is the other, or lies above it, links followed.
fn holds(folder: &Path, other: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    real(other).starts_with(real(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statics(prefixes: &[&str]) -> Statics {
        let mut statics = Statics::default();
        for prefix in prefixes {
            statics.by_prefix.insert(prefix, statics.folders.len()).unwrap();
            let folder = StaticFolder { prefix: (*prefix).to_owned(), path: "/srv".into(), cache: None };
            statics.folders.push(folder);
        }
        statics
    }

    fn found<'a>(statics: &'a Statics, path: &str) -> Option<(&'a str, String, bool)> {
        let path = RequestPath::new(path);
        statics.find(path.as_str()).map(|asked| (asked.folder.prefix.as_str(), asked.name, asked.slash))
    }

    #[test]
    fn paths_ask_for_files_of_the_longest_prefix() {
        let statics = statics(&["/static", "/static/big", ""]);
        for (path, wanted) in [
            ("/static/a/b.css", ("/static", "a/b.css", false)),
            ("/static/big/a", ("/static/big", "a", false)),
            ("/static", ("/static", "", false)),
            ("/static/", ("/static", "", true)),
            ("/static/a/", ("/static", "a", true)),
            ("/statics/a", ("", "statics/a", false)),
            ("/", ("", "", true)),
            ("/%7Ea%20b/caf%C3%A9", ("", "~a b/café", false)),
            ("/static/x/../a", ("/static", "a", false)),
            ("/static/.well-known/security.txt", ("/static", ".well-known/security.txt", false)),
        ] {
            let (prefix, name, slash) = wanted;
            assert_eq!(found(&statics, path), Some((prefix, name.to_owned(), slash)), "{path}");
        }
    }

    #[test]
    fn paths_that_could_mean_something_else_ask_for_nothing() {
        let statics = statics(&["/static"]);
        for path in [
            "/static//a",
            "/static//",
            "/static/a//b",
            "/static/.git/config",
            "/static/a/.env",
            "/static/..a",
            "/static/...",
            "/static/%2E%2E%2Fa",
            "/static/a%2Fb",
            "/static/a%5Cb",
            "/static/..%5Ca",
            "/static/a\\b",
            "/static/a%00",
            "/static/a%0Ab",
            "/static/%FF",
            "/static/../etc/passwd",
            "/static/%2e%2e/etc/passwd",
            "/other",
        ] {
            assert_eq!(found(&statics, path), None, "{path}");
        }
    }
}
