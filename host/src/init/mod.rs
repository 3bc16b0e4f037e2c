//! `guesthouse init`: brings a project that is there already, by an entry in the manifest. Nothing of the project changes.
//!
//! What it is, is read off its files (`django`, `wsgi`, `rust`, `js`); nothing of it is run. What cannot be told for sure is
//! an error that says how to say it, or a note.

mod django;
mod entry;
mod js;
mod python;
mod requirements;
mod rust;
mod wsgi;

use std::{
    fmt::Write,
    fs,
    path::{Component, Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use self::entry::Entry;

/// What the operator asked for.
#[derive(Debug, Default)]
pub struct Wishes {
    /// The project's folder.
    pub dir: PathBuf,
    /// The manifest that gets the entry; made if it is not there.
    pub manifest: PathBuf,
    /// The app's name; by the folder's where none is given.
    pub name: Option<String>,
    /// What the project is, where it could be several things.
    pub kind: Option<Kind>,
    /// The WSGI application, `module:object`, where several could be it.
    pub wsgi: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    Python,
    Rust,
    Js,
}

/// A project, as far as the manifest is concerned.
#[derive(Debug, Default)]
struct Project {
    /// For people: `a Django project`.
    what: String,
    /// What was found, and where.
    facts: Vec<String>,
    /// Keys and values of `source`, the values strings.
    source: Vec<(&'static str, String)>,
    /// `[apps.NAME.settings]`, as TOML; `HOST` stands for the hostname.
    settings: Vec<(&'static str, toml::Value)>,
    reused: bool,
    /// Where static files are asked for, and their folder as the manifest names it.
    statics: Option<(String, PathBuf)>,
    /// Whether it is granted a folder for temporary files.
    temporary: bool,
    /// Environment variables that it reads.
    environment: Vec<String>,
    notes: Vec<String>,
    /// A file to write beside the manifest's entry, with its text.
    file: Option<(PathBuf, String)>,
}

/// Writes the entry; returns what to tell the operator.
///
/// # Errors
/// Nothing was found in the folder, or several things; the manifest cannot be written, or has such an app already.
pub fn init(wishes: &Wishes) -> Result<String> {
    let dir = &wishes.dir;
    if !dir.is_dir() {
        let what = if dir.exists() { "is no folder" } else { "does not exist" };
        bail!(
            "{} {what}\nhelp: name the folder of the project; for a new one, `guesthouse new`",
            dir.display()
        );
    }
    let folder = wishes.manifest.parent().filter(|path| !path.as_os_str().is_empty());
    let seen = Seen { dir, base: relative(folder.unwrap_or(Path::new(".")), dir)? };
    let project = find(&seen, wishes)?;
    let name = match &wishes.name {
        Some(name) => checked_name(name)?,
        None => name_of(dir)?,
    };
    let entry = Entry { name: &name, project: &project };
    let told = entry.write(&wishes.manifest)?;
    if let (Some((path, text)), entry::Told::Written { .. }) = (&project.file, &told) {
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(summary(&project, &told, &wishes.manifest, dir))
}

/// The folder that is looked at.
#[derive(Debug)]
struct Seen<'a> {
    dir: &'a Path,
    /// The same, relative to the manifest's folder.
    base: PathBuf,
}

impl Seen<'_> {
    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.join(name)
    }

    /// How the manifest names a folder or file below this one.
    fn named(&self, below: impl AsRef<Path>) -> String {
        let path: PathBuf =
            self.base.join(below).components().filter(|part| *part != Component::CurDir).collect();
        if path.as_os_str().is_empty() { ".".into() } else { path.to_string_lossy().into_owned() }
    }

    fn text(&self, name: impl AsRef<Path>) -> Option<String> {
        fs::read_to_string(self.path(name)).ok()
    }

    fn has(&self, name: impl AsRef<Path>) -> bool {
        self.path(name).is_file()
    }

    /// The folders directly in it that may hold sources, by name.
    fn folders(&self) -> Vec<String> {
        let entries = fs::read_dir(self.dir).into_iter().flatten().flatten();
        let folders =
            entries.filter(|entry| entry.path().is_dir() && !entry.path().join("pyvenv.cfg").exists());
        let names = folders.filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<String> = names
            .filter(|name| {
                !name.starts_with('.') && !matches!(name.as_str(), "node_modules" | "__pycache__" | "target")
            })
            .collect();
        names.sort_unstable();
        names
    }
}

fn find(seen: &Seen<'_>, wishes: &Wishes) -> Result<Project> {
    let wanted = |kind| wishes.kind.is_none_or(|wanted| wanted == kind);
    if wanted(Kind::Python)
        && let Some(project) = python::find(seen, wishes.wsgi.as_deref())?
    {
        return Ok(project);
    }
    if wishes.wsgi.is_some() {
        bail!("--wsgi is for Python projects, and {} has no Python file", seen.dir.display());
    }
    let (rust, js) = (seen.has("Cargo.toml"), seen.has("package.json"));
    match (rust && wanted(Kind::Rust), js && wanted(Kind::Js)) {
        (true, true) => bail!(
            "{} has a Cargo.toml and a package.json\nhelp: say which is meant: `--kind rust` or `--kind js`",
            seen.dir.display()
        ),
        (true, false) => rust::find(seen),
        (false, true) => js::find(seen),
        (false, false) => bail!(
            "found nothing to bring in {}\n\
             help: looked for manage.py (Django), a Flask or WSGI application (wsgi.py, app.py, main.py, a package), \
             Cargo.toml (Rust) and package.json (JavaScript). Name another folder; or begin with `guesthouse new`",
            seen.dir.display()
        ),
    }
}

/// A folder as seen from another; both must exist.
fn relative(from: &Path, to: &Path) -> Result<PathBuf> {
    let real = |path: &Path| path.canonicalize().with_context(|| format!("cannot open {}", path.display()));
    let (from, to) = (real(from)?, real(to)?);
    let common = from.components().zip(to.components()).take_while(|(one, other)| one == other).count();
    let up = from.components().skip(common).map(|_| Component::ParentDir);
    Ok(up.chain(to.components().skip(common)).collect())
}

/// The name of an app by that of its folder.
///
/// # Errors
/// The folder's name has no letter or digit.
pub(crate) fn name_of(dir: &Path) -> Result<String> {
    let real = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let folder = real.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let words = folder.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let mut name = words.collect::<Vec<_>>().join("-");
    if name.starts_with(|letter: char| letter.is_ascii_digit()) {
        name.insert_str(0, "app-");
    }
    name.truncate(NAME_LENGTH_MAX);
    let name = name.trim_end_matches('-').to_owned();
    if name.is_empty() {
        bail!("the folder `{folder}` gives no name for an app\nhelp: give one: `--name shop`");
    }
    Ok(name)
}

/// Of a label of a hostname (RFC 1035, section 2.3.4), which the name becomes.
const NAME_LENGTH_MAX: usize = 63;

/// A name that the operator gave.
///
/// # Errors
/// It cannot be part of a hostname.
pub(crate) fn checked_name(name: &str) -> Result<String> {
    let fine = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    let ends_well = !name.starts_with('-') && !name.ends_with('-');
    if name.is_empty() || name.len() > NAME_LENGTH_MAX || !ends_well || !name.bytes().all(fine) {
        bail!(
            "`{name}` is no name for an app here\nhelp: lower-case letters, digits and `-`, such as `shop`"
        );
    }
    Ok(name.to_owned())
}

fn summary(project: &Project, told: &entry::Told, manifest: &Path, dir: &Path) -> String {
    let mut text = format!("{} in {}\n", project.what, dir.display());
    for fact in &project.facts {
        let _ = writeln!(text, "  {fact}");
    }
    let manifest = manifest.display();
    let (name, url) = match told {
        entry::Told::Written { name, url } => (name, url),
        entry::Told::There { name } => {
            let _ = writeln!(text, "It is in {manifest} already, as the app `{name}`: nothing was written.");
            return text;
        }
    };
    let _ = writeln!(text, "Wrote the app `{name}` to {manifest}.");
    if let Some((path, _)) = &project.file {
        let _ = writeln!(text, "Wrote {}.", path.display());
    }
    for note in &project.notes {
        let _ = writeln!(text, "note: {note}");
    }
    let with =
        if manifest.to_string() == "guesthouse.toml" { String::new() } else { format!(" -m {manifest}") };
    let _ = write!(
        text,
        "\nNext:\n  guesthouse dev{with}      build and serve it, and take up what you change\n  \
         guesthouse build{with} && guesthouse serve{with}\nThen open {url}\n"
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_folders() {
        let name = |path: &str| name_of(Path::new(path)).unwrap();
        assert_eq!(name("/srv/My Shop_2"), "my-shop-2");
        assert_eq!(name("/srv/2048"), "app-2048");
        assert!(name_of(Path::new("/srv/___")).is_err());
        assert!(
            checked_name("a_b").is_err() && checked_name("-a").is_err() && checked_name("shop-2").is_ok()
        );
    }
}
