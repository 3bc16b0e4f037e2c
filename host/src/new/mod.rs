//! `guesthouse new`: a project to begin with, from a template that the binary carries.
//!
//! The templates are whole projects in `host/templates`, which build and run as they are. What differs from one project to
//! the next stands in them as words of their own, and is replaced here.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use anyhow::{Context, Result, anyhow, bail};
use rust_embed::Embed;

use crate::init::{checked_name, name_of};

/// Stands for the app's name.
const NAME: &str = "guesthouse-app";
/// The key that a Django project signs with: its manifest names the file, and its .gitignore leaves the folder out.
const SECRET_KEY: &str = ".secrets/secret-key";
/// Random bytes of it: 256 bits, written as hexadecimal.
const SECRET_BYTES: usize = 32;

#[derive(Embed)]
#[folder = "templates"]
#[exclude = "**/target/**"]
#[exclude = "**/node_modules/**"]
#[exclude = "**/.guesthouse/**"]
#[exclude = "*.pyc"]
#[exclude = "*.wasm"]
#[exclude = "**/app.o"]
#[exclude = "*.sqlite3"]
struct Templates;

/// What there is to begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Template {
    /// Django 5.2: a project as `django-admin startproject` makes it, with one app, templates, static files and SQLite
    Django,
    /// Flask, as an example of any WSGI application
    Wsgi,
    /// Rust for WASI 0.2, on wstd
    Rust,
    /// Rust for WASI 0.3, on wasip3: many requests at once in one instance
    RustP3,
    /// TypeScript with Hono, made a component by jco
    Js,
    /// C for WASI 0.2, with Debian's clang
    C,
}

impl Template {
    fn folder(self) -> &'static str {
        match self {
            Self::Django => "django",
            Self::Wsgi => "wsgi",
            Self::Rust => "rust",
            Self::RustP3 => "rust-p3",
            Self::Js => "js",
            Self::C => "c",
        }
    }
}

/// Writes a project; returns what to tell the operator.
///
/// # Errors
/// The folder has something in it already, or cannot be written.
pub fn new(template: Template, dir: &Path, name: Option<&str>) -> Result<String> {
    let name = match name {
        Some(name) => checked_name(name)?,
        None => name_of(dir)?,
    };
    check_empty(dir)?;
    let parent = dir.parent().filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    // All of it appears at once, or nothing.
    let unfinished = tempfile::Builder::new().prefix(".guesthouse-").tempdir_in(parent);
    let unfinished = unfinished.with_context(|| format!("cannot write to {}", parent.display()))?;
    write(template, unfinished.path(), &name)?;
    let target = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let ordinary = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(unfinished.path(), ordinary)
        .and_then(|()| put(unfinished.path(), &target))
        .with_context(|| format!("cannot write {}", dir.display()))?;
    let shown = dir.display();
    Ok(format!(
        "Made {shown}, a project by the template `{}`; its README.md says what is where.\n\nNext:\n  cd {shown}\n  \
         guesthouse dev\nThen open http://{name}.localhost:8000/\n",
        template.folder()
    ))
}

fn check_empty(dir: &Path) -> Result<()> {
    let shown = dir.display();
    match fs::read_dir(dir) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => bail!(
                "{shown} is not empty\nhelp: name a new folder; a project that is there already is brought with \
                 `guesthouse init {shown}`"
            ),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            bail!("{shown} is a file or below one\nhelp: name a new folder")
        }
        Err(error) => Err(error).with_context(|| format!("cannot open {shown}")),
    }
}

/// Writes the files of a template.
fn write(template: Template, folder: &Path, name: &str) -> Result<()> {
    for path in Templates::iter() {
        let below = path.split_once('/').filter(|(first, _)| *first == template.folder());
        let (Some((_, below)), Some(file)) = (below, Templates::get(&path)) else { continue };
        let text = match str::from_utf8(&file.data) {
            Ok(text) => text.replace(NAME, name).into_bytes(),
            Err(_) => file.data.into_owned(),
        };
        let target = folder.join(below);
        let written =
            fs::create_dir_all(target.parent().unwrap_or(folder)).and_then(|()| fs::write(&target, text));
        written.with_context(|| format!("cannot write {}", target.display()))?;
    }
    match template {
        Template::Django => write_secret(&folder.join(SECRET_KEY)),
        _ => Ok(()),
    }
}

/// Writes a key that no other project has, for this user alone.
fn write_secret(path: &Path) -> Result<()> {
    let mut random = [0; SECRET_BYTES];
    getrandom::fill(&mut random).map_err(|error| anyhow!("there is no randomness for a secret: {error}"))?;
    let write = || {
        if let Some(folder) = path.parent() {
            fs::DirBuilder::new().mode(0o700).create(folder)?;
        }
        let mut file = fs::File::options().write(true).create_new(true).mode(0o600).open(path)?;
        writeln!(file, "{}", hex::encode(random))
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// Puts a folder where there is none, or what is in it into one that is empty: that may be somebody's current folder.
fn put(from: &Path, to: &Path) -> io::Result<()> {
    if !to.is_dir() {
        return fs::rename(from, to);
    }
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        fs::rename(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn interfaces_in_templates_are_those_of_the_host() {
        let ours = crate::build::embedded::Wit::get("deps/guesthouse-secrets/secrets.wit").unwrap().data;
        for template in ["rust", "rust-p3"] {
            let path = format!("{template}/wit/deps/guesthouse-secrets.wit");
            assert_eq!(Templates::get(&path).unwrap().data, ours, "{path}");
        }
    }

    #[test]
    fn templates_are_written_whole_with_names_and_secrets_of_their_own() {
        let dir = tempfile::tempdir().unwrap();
        for (template, file) in [
            (Template::Django, "mysite/settings.py"),
            (Template::Wsgi, "app.py"),
            (Template::Rust, "src/main.rs"),
            (Template::RustP3, "src/lib.rs"),
            (Template::Js, "src/app.ts"),
            (Template::C, "app.c"),
        ] {
            let folder = dir.path().join(template.folder());
            new(template, &folder, Some("shop")).unwrap();
            for name in [file, "guesthouse.toml", "README.md", ".gitignore"] {
                let text = fs::read_to_string(folder.join(name)).unwrap();
                assert!(!text.contains(NAME), "{name}: {text}");
            }
        }
        let key = |name: &str| {
            new(Template::Django, &dir.path().join(name), None).unwrap();
            let file = dir.path().join(name).join(SECRET_KEY);
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
            fs::read_to_string(file).unwrap()
        };
        let (one, other) = (key("one"), key("other"));
        assert_eq!((one.len(), one == other), (65, false));
        assert!(dir.path().join("one/data/.gitignore").is_file());
    }
}
