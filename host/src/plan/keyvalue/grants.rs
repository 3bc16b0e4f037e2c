//! `grants.keyvalue` of an app, checked: names, URLs, and that files can be where they are to be.

use std::{
    collections::BTreeMap,
    io::Read as _,
    path::{Path, PathBuf},
};

use super::{Keyvalue, RedisServer, redis};
use crate::{
    manifest::{self, Located, nearest},
    plan::resolve::Resolver,
};

const FORM: &str = "write \"memory\", \"sqlite:data/kv.sqlite3\" or \"redis://127.0.0.1:6379/0\"";
/// What is wrong with a URL: the message, and how to mend it.
pub(super) type Wrong = (String, String);

pub(super) fn wrong(message: impl Into<String>, help: impl Into<String>) -> Wrong {
    (message.into(), help.into())
}

impl Resolver<'_> {
    /// The stores of an app.
    pub(in crate::plan) fn keyvalue(
        &mut self,
        app: &str,
        grants: &manifest::Grants,
    ) -> BTreeMap<String, Keyvalue> {
        let mut stores = BTreeMap::new();
        for (name, store) in grants.keyvalue.iter().flat_map(|stores| &stores.0) {
            let sound = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
            if name.value.is_empty() || name.value.len() > 63 || !name.value.chars().all(sound) {
                let message = format!("{:?} cannot be the name of a key-value store", name.value);
                self.error(&name.span, message, "a name has 1 to 63 letters, digits, `-`, `_` and `.`");
                continue;
            }
            let place = store.span.clone();
            let bare;
            let (url, prefix) = match &store.value {
                manifest::KeyvalueStore::Url(url) => {
                    bare = Located { value: url.clone(), span: place };
                    (&bare, None)
                }
                manifest::KeyvalueStore::Table(table) => match &table.url {
                    Some(url) => (url, table.prefix.as_ref()),
                    None => continue,
                },
            };
            if let Some(store) = self.store(&format!("{app}:{}:", name.value), url, prefix) {
                stores.insert(name.value.clone(), store);
            }
        }
        stores
    }

    /// One store, by its URL; `own` is the prefix of keys where none is named.
    fn store(
        &mut self,
        own: &str,
        url: &Located<String>,
        prefix: Option<&Located<String>>,
    ) -> Option<Keyvalue> {
        if redis::has_password(&url.value) {
            let help = "take it from the environment: redis://:${REDIS_PASSWORD}@127.0.0.1:6379/0";
            self.error(&url.span, "a password must not stand in the manifest", help);
            return None;
        }
        let written = self.text(url)?;
        let named = match prefix {
            Some(prefix) => Some(self.text(prefix)?),
            None => None,
        };
        let (scheme, rest) = written.split_once(':').unwrap_or((&written, ""));
        let store = match scheme {
            "memory" if rest.is_empty() => Ok(Keyvalue::Memory),
            "memory" => Err(wrong("a store in memory has no address", "write \"memory\"")),
            "sqlite" => self.sqlite(rest).map(Keyvalue::Sqlite),
            "redis" => redis::server(&written, own).map(Keyvalue::Redis),
            "redis+unix" => redis::local_server(&written, own).map(Keyvalue::Redis),
            "rediss" | "valkeys" => Err(wrong(
                "TLS to a Redis server is not in this version yet",
                "reach it by a Unix socket, by this machine or a private network, or through a tunnel such as stunnel",
            )),
            _ => Err(unknown(scheme, rest)),
        };
        match (store, named) {
            (Ok(Keyvalue::Redis(server)), Some(prefix)) if written.contains("prefix=") => {
                let place = url.span.clone();
                let message = format!("the prefix stands twice: in the URL, and as {prefix:?}");
                self.error(&place, message, "remove one of them");
                Some(Keyvalue::Redis(server))
            }
            (Ok(Keyvalue::Redis(server)), Some(prefix)) => {
                Some(Keyvalue::Redis(RedisServer { prefix, ..server }))
            }
            (Ok(_), Some(_)) => {
                let span = prefix.map_or(url.span.clone(), |prefix| prefix.span.clone());
                self.error(&span, "only keys on a Redis server have a prefix", "remove `prefix`");
                None
            }
            (Ok(store), None) => Some(store),
            (Err((message, help)), _) => {
                self.error(&url.span, message, help);
                None
            }
        }
    }

    /// The file of `sqlite:PATH`.
    fn sqlite(&self, rest: &str) -> Result<PathBuf, Wrong> {
        if rest == ":memory:" {
            return Err(wrong("an SQLite store is a file", "write \"memory\" for a store in memory"));
        }
        let path = match rest.strip_prefix("//") {
            Some(absolute) if absolute.starts_with('/') => absolute,
            Some(_) => {
                let help =
                    "write sqlite:data/kv.sqlite3, relative to the manifest, or sqlite:/var/lib/kv.sqlite3";
                return Err(wrong("the URL of an SQLite file names no host", help));
            }
            None => rest,
        };
        if path.is_empty() || path.contains(['\0', '?', '#']) {
            let help = "name a file: sqlite:data/kv.sqlite3";
            return Err(wrong(format!("{path:?} is no path of an SQLite file"), help));
        }
        let path = self.absolute(Path::new(path));
        let shown = self.shown(&path);
        let begins = format!("relative paths begin at {}", self.dir.display());
        if path.is_dir() {
            let help = format!("name a file in it; {begins}");
            return Err(wrong(format!("the SQLite file `{shown}` is a folder"), help));
        }
        if let Some(parent) = path.parent().filter(|parent| !parent.is_dir()) {
            let message = format!("the folder of the SQLite file `{shown}` does not exist");
            return Err(wrong(message, format!("make it: mkdir -p {}; {begins}", parent.display())));
        }
        if !is_sqlite(&path) {
            let help = "name another: it is made where it is not there";
            return Err(wrong(format!("the file `{shown}` is no SQLite file"), help));
        }
        Ok(path)
    }
}

/// Whether a file is one of SQLite's, or is yet to be one. One that cannot be read is said by who opens it.
fn is_sqlite(path: &Path) -> bool {
    const MAGIC: [u8; 16] = *b"SQLite format 3\0";
    let mut head = Vec::new();
    let Ok(file) = std::fs::File::open(path) else { return true };
    match file.take(MAGIC.len() as u64).read_to_end(&mut head) {
        Ok(0) | Err(_) => true,
        Ok(_) => head == MAGIC,
    }
}

fn unknown(scheme: &str, rest: &str) -> Wrong {
    // What stands where a scheme should may be anything, a password too.
    if rest.is_empty() || scheme.len() > 20 || !scheme.chars().all(|c| c.is_ascii_alphanumeric() || c == '+')
    {
        return wrong("this is no URL of a key-value store", FORM);
    }
    let known = ["memory", "sqlite", "redis", "redis+unix"];
    let other = match scheme {
        "file" | "sqlite3" => Some("sqlite"),
        "valkey" | "tcp" => Some("redis"),
        "unix" => Some("redis+unix"),
        "mem" | "inmemory" => Some("memory"),
        _ => nearest(known.into_iter(), scheme),
    };
    let meant = other.map_or(String::new(), |known| format!("did you mean `{known}:`? "));
    wrong(format!("there are no key-value stores of the kind `{scheme}:`"), format!("{meant}{FORM}"))
}
