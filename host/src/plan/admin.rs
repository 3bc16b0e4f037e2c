//! `[listen] admin`: where commands reach a running house, and the file with the token that they bring.

use std::{fs, io, ops::Range, os::unix::fs::PermissionsExt, path::Path};

use super::{Admin, ListenAddr, ListenError, resolve::Resolver};
use crate::{
    manifest::{Listen, Located, defaults},
    report::Problem,
};

/// What stands in place of an address where there is no admin listener.
const OFF: &str = "off";

impl Resolver<'_> {
    /// The admin listener as the manifest has it, files and other listeners not looked at. None where it is off, where
    /// its address cannot be told, or where it would be at the default address and that is too long for a socket: what
    /// nobody asked for is nobody's error.
    pub(super) fn admin(&mut self, listen: Option<&Located<Listen>>) -> Option<Admin> {
        let none = Listen::default();
        let keys = listen.map_or(&none, |listen| &listen.value);
        let token_file = keys.admin_token_file.as_ref().and_then(|file| self.path(file));
        let address = match &keys.admin {
            Some(written) => self.admin_address(written, keys)?,
            None => self.default_admin_address(keys)?,
        };
        if let (ListenAddr::Tcp(_), Some(written), None) = (&address, &keys.admin, &keys.admin_token_file)
            && !listen.is_some_and(|listen| self.unread.hides(&listen.span))
        {
            let help = "add `admin-token-file = \"FILE\"`, or listen on a Unix socket: admin = \"unix:FILE\"";
            self.error(
                &written.span,
                "without a token, whoever reaches this address could swap the apps",
                help,
            );
        }
        Some(Admin { address, token_file, named: keys.admin.is_some() })
    }

    fn admin_address(&mut self, written: &Located<String>, keys: &Listen) -> Option<ListenAddr> {
        let text = self.text(written)?;
        if text == OFF {
            self.no_use_of_token(keys, "remove it, or the `admin = \"off\"`");
            return None;
        }
        let address: Result<ListenAddr, _> = text.parse().map_err(|ListenError { message, help }| {
            ListenError { message, help: format!("{help}; or \"{OFF}\" for none") }
        });
        match address.and_then(|address| self.absolute_address(address)) {
            Ok(address) => Some(address),
            Err(ListenError { message, help }) => {
                self.error(&written.span, message, help);
                None
            }
        }
    }

    fn default_admin_address(&mut self, keys: &Listen) -> Option<ListenAddr> {
        let address = defaults::ADMIN.parse().and_then(|address| self.absolute_address(address));
        if address.is_err() {
            self.no_use_of_token(
                keys,
                "the path of the default socket is too long here; name another: admin = \"unix:/run/admin.sock\"",
            );
        }
        address.ok()
    }

    fn no_use_of_token(&mut self, keys: &Listen, help: &str) {
        if let Some(file) = &keys.admin_token_file {
            self.warning(&file.span, "there is no admin listener that this token is for", help);
        }
    }

    /// Checks what the admin listener has to do with the rest: its token file, and the other listeners.
    pub(super) fn check_admin(
        &mut self,
        listen: Option<&Located<Listen>>,
        admin: Option<&Admin>,
        listeners: &[(ListenAddr, Option<Range<usize>>)],
    ) {
        let Some(admin) = admin else { return };
        let written = listen.and_then(|listen| listen.value.admin.as_ref());
        let token_file = listen.and_then(|listen| listen.value.admin_token_file.as_ref());
        if let (Some(path), Some(written)) = (&admin.token_file, token_file)
            && let Err((what, help)) = check_token_file(path)
        {
            self.error(&written.span, format!("the token file `{}` {what}", self.shown(path)), help);
        }
        if admin.address.takes_free_port() {
            return;
        }
        let Some((address, http)) = listeners.iter().find(|(address, _)| *address == admin.address) else {
            return;
        };
        let problem = Problem::error(format!("`{address}` is listened on both for `http` and for `admin`"));
        let problem = match (written.map(|written| &written.span), http) {
            (Some(admin), Some(http)) => problem
                .at(self.place(admin), "")
                .also(self.place(http), "for `http`")
                .help("choose another address for one of them"),
            (Some(admin), None) => problem
                .at(self.place(admin), "")
                .help("choose another address; this one is for `http` unless `http` says otherwise"),
            (None, Some(http)) => problem
                .at(self.place(http), "")
                .help("choose another address; this one is for `admin` unless `admin` says otherwise"),
            // The defaults are two.
            (None, None) => return,
        };
        self.report.push(problem);
    }
}

/// Checks that a token file holds a token and that nobody but its owner can read it; the error is what is wrong with
/// the file, and how to mend it.
fn check_token_file(path: &Path) -> Result<(), (String, String)> {
    let file = path.display();
    let make = || format!("make one: (umask 077; openssl rand -hex 32 > {file})");
    let metadata = fs::metadata(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => ("does not exist".to_owned(), make()),
        _ => unreadable(&error),
    })?;
    if !metadata.is_file() {
        return Err(("is no file".to_owned(), "name the file that holds the token".to_owned()));
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let what = format!("is open to others than its owner (its mode is {mode:o})");
        return Err((what, format!("chmod 600 {file}")));
    }
    let token = fs::read(path).map_err(|error| unreadable(&error))?;
    match token.trim_ascii() {
        [] => Err(("is empty".to_owned(), make())),
        token if token.iter().all(u8::is_ascii_graphic) => Ok(()),
        // An `Authorization` field has one word of visible ASCII behind `Bearer` (RFC 6750, section 2.1).
        _ => Err(("holds something else than one word of ASCII characters".to_owned(), make())),
    }
}

fn unreadable(error: &io::Error) -> (String, String) {
    (format!("cannot be read: {error}"), "make it readable for the user that runs the house".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_file_holds_one_word_that_only_its_owner_can_read() {
        let dir = tempfile::tempdir().unwrap();
        let check = |content: &[u8], mode| {
            let path = dir.path().join("token");
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            check_token_file(&path).map_err(|(what, _)| what)
        };
        assert_eq!(check(b"0123abcd\n", 0o600), Ok(()));
        assert_eq!(check(b" s3cr~t+/=\r\n", 0o400), Ok(()));
        for mode in [0o640, 0o604, 0o620, 0o601, 0o666] {
            let what = format!("is open to others than its owner (its mode is {mode:o})");
            assert_eq!(check(b"0123abcd", mode), Err(what));
        }
        assert_eq!(check(b"", 0o600).unwrap_err(), "is empty");
        assert_eq!(check(b" \r\n\n", 0o600).unwrap_err(), "is empty");
        for content in ["two words", "two\nlines\n", "caf\u{e9}", "nul\0"] {
            let what = check(content.as_bytes(), 0o600).unwrap_err();
            assert_eq!(what, "holds something else than one word of ASCII characters", "{content:?}");
        }
        assert_eq!(check_token_file(dir.path()).unwrap_err().0, "is no file");
        assert_eq!(check_token_file(&dir.path().join("none")).unwrap_err().0, "does not exist");
    }
}
