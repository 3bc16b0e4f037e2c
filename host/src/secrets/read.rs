//! Reading one secret from its source, and refusing sources that are not as secret as they should be.
//!
//! No error shows anything of what was read.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::Path,
};

use secrecy::{SecretString, zeroize::Zeroizing};

use super::Source;

/// Bytes that a secret may have. Keys and passwords are shorter by far.
pub const BYTES_MAX: usize = 64 * 1024;
/// Where systemd puts credentials (systemd.exec(5), "Credentials").
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// A source that gives no secret.
#[derive(Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// What is wrong with it.
    pub what: String,
    /// How to mend it.
    pub help: String,
}

impl Unreadable {
    fn new(what: impl Into<String>, help: impl Into<String>) -> Self {
        Self { what: what.into(), help: help.into() }
    }
}

/// The secret of a source.
///
/// # Errors
/// Where there is none, or where others than its owner can read it.
pub(crate) fn read(
    source: &Source,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<SecretString, Unreadable> {
    match source {
        Source::Env(name) => variable(name, env),
        Source::File(path) => file(path),
        Source::Credential(name) => credential(name, env),
    }
}

fn variable(name: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<SecretString, Unreadable> {
    let named = format!("the environment variable `{name}`");
    let Some(value) = env(name).map(Zeroizing::new) else {
        let help = "set it for the house, or name a file: { file = \"...\" }";
        return Err(Unreadable::new(format!("{named} is not set"), help));
    };
    secret(value.as_bytes(), &named, "set it to the secret itself")
}

fn file(path: &Path) -> Result<SecretString, Unreadable> {
    let shown = path.display();
    let named = format!("the secret file `{shown}`");
    let folder = path.parent().filter(|folder| !folder.exists());
    let folder = folder.map_or(String::new(), |folder| format!("mkdir -p {}; ", folder.display()));
    let make =
        format!("make it: (umask 077; {folder}openssl rand -hex 32 > {shown}), or with what it is to hold");
    let opened = open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Unreadable::new(format!("{named} does not exist"), &*make),
        io::ErrorKind::IsADirectory => {
            Unreadable::new(format!("{named} is no file"), "name the file that holds the secret")
        }
        _ => unreadable(&named, &error),
    })?;
    let metadata = opened.metadata().map_err(|error| unreadable(&named, &error))?;
    let (mode, owner, user) = (metadata.mode() & 0o777, metadata.uid(), rustix::process::geteuid().as_raw());
    if mode & 0o077 != 0 {
        let what = format!("{named} is open to others than its owner (its mode is {mode:o})");
        return Err(Unreadable::new(what, format!("chmod 600 {shown}")));
    }
    if owner != user && owner != 0 {
        let what =
            format!("{named} belongs to another user (its owner is {owner}, and the house runs as {user})");
        return Err(Unreadable::new(what, format!("chown {user} {shown}")));
    }
    contents(opened, &named, &make)
}

fn credential(name: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<SecretString, Unreadable> {
    let load = format!("add `LoadCredential={name}:/path/to/file` to the house's service");
    let Some(folder) = env(CREDENTIALS).filter(|folder| !folder.is_empty()) else {
        let what =
            format!("the house was started without credentials of systemd (${CREDENTIALS} is not set)");
        return Err(Unreadable::new(what, format!("{load}, or name a file: {{ file = \"...\" }}")));
    };
    // The folder is the service's alone, whatever the modes of its files say.
    let named = format!("the credential `{name}`");
    let opened = open(&Path::new(&folder).join(name)).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Unreadable::new(
            format!("there is no credential `{name}` in {folder}"),
            format!("{load}, and restart it"),
        ),
        _ => unreadable(&named, &error),
    })?;
    contents(opened, &named, &load)
}

/// Opens an ordinary file. What is none is not opened: a pipe would be waited for.
fn open(path: &Path) -> io::Result<File> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    File::open(path)
}

fn contents(file: File, named: &str, help: &str) -> Result<SecretString, Unreadable> {
    // With room for all of it, and one byte that is too many: a vector that grows leaves its bytes behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(BYTES_MAX + 2));
    let read = file.take(BYTES_MAX as u64 + 2).read_to_end(&mut bytes);
    read.map_err(|error| unreadable(named, &error))?;
    // An editor ends a file with a line feed that is no part of the secret.
    let text = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    secret(text.strip_suffix(b"\r").filter(|_| text.len() < bytes.len()).unwrap_or(text), named, help)
}

fn secret(bytes: &[u8], named: &str, help: &str) -> Result<SecretString, Unreadable> {
    if bytes.is_empty() {
        return Err(Unreadable::new(format!("{named} is empty"), help));
    }
    if bytes.len() > BYTES_MAX {
        let what = format!("{named} holds more than {} KiB", BYTES_MAX / 1024);
        return Err(Unreadable::new(what, "name what holds the secret alone"));
    }
    match str::from_utf8(bytes) {
        Ok(text) => Ok(SecretString::from(text)),
        Err(_) => {
            let what = format!("{named} holds something else than text in UTF-8");
            Err(Unreadable::new(what, "write it as text, in base64 for instance"))
        }
    }
}

fn unreadable(named: &str, error: &io::Error) -> Unreadable {
    let help = "make it readable for the user that runs the house, and for nobody else";
    Unreadable::new(format!("{named} cannot be read: {error}"), help)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use secrecy::ExposeSecret;

    use super::*;

    const NO_ENV: fn(&str) -> Option<String> = |_| None;

    fn told(result: Result<SecretString, Unreadable>) -> Result<String, String> {
        result.map(|value| value.expose_secret().to_owned()).map_err(|error| error.what)
    }

    #[test]
    fn a_file_belongs_to_its_owner_and_loses_one_line_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let check = |content: &[u8], mode| {
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            told(read(&Source::File(path.clone()), &NO_ENV))
        };
        for (content, value) in
            [("k", "k"), ("k\n", "k"), ("k\r\n", "k"), ("k\n\n", "k\n"), (" k ", " k "), ("k\r", "k\r")]
        {
            assert_eq!(check(content.as_bytes(), 0o600), Ok(value.to_owned()), "{content:?}");
        }
        assert_eq!(check(b"k", 0o400), Ok("k".into()));
        for mode in [0o640, 0o604, 0o620, 0o644, 0o660] {
            let why = check(b"k", mode).unwrap_err();
            assert!(
                why.ends_with(&format!("is open to others than its owner (its mode is {mode:o})")),
                "{why}"
            );
        }
        for content in [&b""[..], b"\n", b"\r\n"] {
            assert!(check(content, 0o600).unwrap_err().ends_with("is empty"), "{content:?}");
        }
        let most = vec![b'x'; BYTES_MAX];
        assert_eq!(check(&most, 0o600).unwrap().len(), BYTES_MAX);
        assert_eq!(check(&[&most[..], b"\n"].concat(), 0o600).unwrap().len(), BYTES_MAX);
        assert!(check(&[&most[..], b"x"].concat(), 0o600).unwrap_err().ends_with("holds more than 64 KiB"));
        assert!(
            check(b"planted\xff", 0o600).unwrap_err().ends_with("holds something else than text in UTF-8")
        );
        // Only root can give a file away.
        check(b"k", 0o600).unwrap();
        if std::os::unix::fs::chown(&path, Some(12_345), None).is_ok() {
            let why = told(read(&Source::File(path.clone()), &NO_ENV)).unwrap_err();
            assert!(
                why.contains("belongs to another user (its owner is 12345, and the house runs as"),
                "{why}"
            );
        }
        let none = told(read(&Source::File(dir.path().join("none")), &NO_ENV)).unwrap_err();
        assert!(none.ends_with("does not exist"), "{none}");
        let folder = told(read(&Source::File(dir.path().into()), &NO_ENV)).unwrap_err();
        assert!(folder.ends_with("is no file"), "{folder}");
    }

    #[test]
    fn credentials_come_from_the_folder_of_the_service() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("api"), "planted\n").unwrap();
        fs::set_permissions(dir.path().join("api"), fs::Permissions::from_mode(0o440)).unwrap();
        let folder = dir.path().display().to_string();
        let env = |name: &str| (name == CREDENTIALS).then(|| folder.clone());
        let credential = |name: &str| Source::Credential(name.into());
        assert_eq!(told(read(&credential("api"), &env)), Ok("planted".into()));
        assert!(
            told(read(&credential("none"), &env)).unwrap_err().starts_with("there is no credential `none`")
        );
        let without = told(read(&credential("api"), &NO_ENV)).unwrap_err();
        assert!(without.contains("$CREDENTIALS_DIRECTORY is not set"), "{without}");
    }
}
