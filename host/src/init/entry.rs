//! The entry of an app, written at the end of a manifest: whatever stands there already stays as it is.

use std::{
    fmt::Write as _,
    fs,
    io::{ErrorKind, Write as _},
    path::Path,
};

use anyhow::{Context, Result, bail};
use toml::{Table, Value};

use super::Project;

/// What a new manifest begins with.
const HEAD: &str = "[listen]\nhttp = \"127.0.0.1:8000\"\n";
const DEFAULT_LISTENER: &str = "127.0.0.1:8000";

pub(super) struct Entry<'a> {
    pub(super) name: &'a str,
    pub(super) project: &'a Project,
}

pub(super) enum Told {
    /// The entry was written; the app will answer at this URL.
    Written { name: String, url: String },
    /// The same source is in the manifest already.
    There { name: String },
}

impl Entry<'_> {
    /// Adds the entry to the manifest, in one step as seen from outside.
    pub(super) fn write(&self, manifest: &Path) -> Result<Told> {
        let shown = manifest.display();
        let before = match fs::read_to_string(manifest) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(|| format!("cannot read {shown}")),
        };
        let table = before.as_deref().map(str::parse::<Table>).transpose().map_err(|_| {
            anyhow::anyhow!(
                "{shown} cannot be understood\nhelp: `guesthouse check -m {shown}` says why; mend it first"
            )
        })?;
        let table = table.unwrap_or_default();
        if let Some(there) = self.there(&table) {
            return Ok(Told::There { name: there });
        }
        self.check_free(&table, manifest)?;
        let text = self.text();
        let whole = match &before {
            Some(before) => format!("{before}{}\n{text}", if before.ends_with('\n') { "" } else { "\n" }),
            None => format!("{HEAD}\n{text}"),
        };
        if whole.parse::<Table>().is_err() {
            // Apps in an inline table, which ends where it ends.
            bail!("nothing can be added at the end of {shown}\nhelp: add this by hand:\n\n{text}");
        }
        put(manifest, &whole).with_context(|| format!("cannot write {shown}"))?;
        Ok(Told::Written {
            name: self.name.to_owned(),
            url: format!("http://{}{}/", self.host(), port(&table)),
        })
    }

    fn host(&self) -> String {
        format!("{}.localhost", self.name)
    }

    /// The app with the same source, if there is one.
    fn there(&self, table: &Table) -> Option<String> {
        let (kind, dir) = self.project.source.first()?;
        let same = |app: &Value| app.get("source").and_then(|source| source.get(kind)?.as_str()) == Some(dir);
        apps(table).find(|(_, app)| same(app)).map(|(name, _)| name.clone())
    }

    fn check_free(&self, table: &Table, manifest: &Path) -> Result<()> {
        let (name, host, shown) = (self.name, self.host(), manifest.display());
        if apps(table).any(|(taken, _)| taken == name) {
            bail!("{shown} has another app `{name}`\nhelp: give this one another name: `--name {name}-2`");
        }
        let led_here = |route: &Value| route.as_str().or_else(|| route.get("route")?.as_str()) == Some(&host);
        let routes = |app: &Value| app.get("routes").and_then(Value::as_array).cloned().unwrap_or_default();
        if let Some((taken, _)) = apps(table).find(|(_, app)| routes(app).iter().any(led_here)) {
            bail!(
                "{host} leads to the app `{taken}` in {shown}\nhelp: give this one another name: `--name {name}-2`"
            );
        }
        Ok(())
    }

    fn text(&self) -> String {
        let Entry { name, project } = self;
        let quoted = |text: &str| Value::String(text.to_owned()).to_string();
        let source: Vec<_> =
            project.source.iter().map(|(key, value)| format!("{key} = {}", quoted(value))).collect();
        let mut text = format!("[apps.{name}]\nsource = {{ {} }}\n", source.join(", "));
        let _ = writeln!(text, "routes = [{}]", quoted(&self.host()));
        if project.reused {
            text.push_str("instances = { isolation = \"reuse\" }\n");
        }
        if let Some((prefix, folder)) = &project.statics {
            let folder = folder.to_string_lossy();
            let _ = writeln!(text, "static = {{ {} = {} }}", quoted(prefix), quoted(&folder));
        }
        if !project.settings.is_empty() {
            let _ = writeln!(text, "\n[apps.{name}.settings]");
            for (key, value) in &project.settings {
                let _ = writeln!(text, "{key} = {}", value.to_string().replace("HOST", &self.host()));
            }
        }
        if project.temporary {
            let _ = write!(
                text,
                "\n[apps.{name}.grants]\n# For uploads and other temporary files: an empty folder for each instance.\n\
                 dirs = {{ \"/tmp\" = {{ temporary = true }} }}\n"
            );
        }
        if !project.environment.is_empty() {
            let given: Vec<_> =
                project.environment.iter().map(|name| format!("{name} = \"${{{name}}}\"")).collect();
            let _ = write!(
                text,
                "\n# It reads these from its environment, and no app inherits the host's: give it what it needs.\n\
                 {}# env = {{ {} }}\n",
                if project.temporary { String::new() } else { format!("# [apps.{name}.grants]\n") },
                given.join(", ")
            );
        }
        text
    }
}

fn apps(table: &Table) -> impl Iterator<Item = (&String, &Value)> {
    table.get("apps").and_then(Value::as_table).into_iter().flatten()
}

/// `:8000` of the first TCP listener, for the URL that is shown.
fn port(table: &Table) -> String {
    let listen = table.get("listen").and_then(|listen| listen.get("http"));
    let several = listen.and_then(Value::as_array).into_iter().flatten();
    let mut all = listen.into_iter().chain(several).filter_map(Value::as_str);
    let address = all.find(|address| !address.starts_with("unix:")).unwrap_or(DEFAULT_LISTENER);
    address.rsplit_once(':').map(|(_, port)| format!(":{port}")).unwrap_or_default()
}

fn put(path: &Path, text: &str) -> std::io::Result<()> {
    let folder = path.parent().filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mode = fs::metadata(path)
        .map_or_else(|_| std::os::unix::fs::PermissionsExt::from_mode(0o644), |meta| meta.permissions());
    let mut file = tempfile::Builder::new().prefix(".guesthouse-").tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().set_permissions(mode)?;
    file.persist(path.canonicalize().as_deref().unwrap_or(path))?;
    Ok(())
}
