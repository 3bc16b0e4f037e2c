//! `grants` of an app: outgoing requests and connections, folders, environment variables.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use http::uri::Scheme;

use super::{Dir, GrantedHost, Grants, Origin, RemoteHost, Service, resolve::Resolver};
use crate::{
    manifest::{self, Located},
    report::Problem,
    router::{HostPattern, Pattern},
};

impl Resolver<'_> {
    pub(super) fn grants(&mut self, app: &str, grants: Option<&manifest::Grants>) -> Grants {
        let Some(grants) = grants else { return Grants::default() };
        let http = grants.http.iter().flatten().filter_map(|text| self.origin(text)).collect();
        let tcp = grants.tcp.iter().flatten().filter_map(|text| self.service(text, "TCP")).collect();
        let udp = grants.udp.iter().flatten().filter_map(|text| self.service(text, "UDP")).collect();
        let networks = grants.networks.iter().flatten().filter_map(|text| self.network(text)).collect();
        let keyvalue = self.keyvalue(app, grants);
        Grants { http, tcp, udp, networks, dirs: self.dirs(grants), keyvalue, env: self.guest_env(grants) }
    }

    /// An entry of `tcp` or `udp`.
    fn service(&mut self, text: &Located<String>, protocol: &str) -> Option<Service> {
        let written = self.text(text)?;
        match service(&written, None) {
            Ok(service) => Some(service),
            Err(help) => {
                let form = "write host:port, such as 127.0.0.1:6379, [::1]:6379 or db.example.com:5432";
                let help = format!("{help}; {form}");
                self.error(&text.span, format!("`{written}` is no {protocol} service"), help);
                None
            }
        }
    }

    fn origin(&mut self, text: &Located<String>) -> Option<Origin> {
        let written = self.text(text)?;
        match origin(&written) {
            Ok(origin) => Some(origin),
            Err(help) => {
                self.error(&text.span, format!("`{written}` is no origin of outgoing requests"), help);
                None
            }
        }
    }

    fn dirs(&mut self, grants: &manifest::Grants) -> BTreeMap<String, Dir> {
        let mut dirs: BTreeMap<String, (Dir, &Located<String>)> = BTreeMap::new();
        for (guest_path, dir) in grants.dirs.iter().flat_map(|dirs| &dirs.0) {
            let Some(name) = self.guest_path(guest_path) else { continue };
            let dir = self.granted_dir(&name, guest_path, &dir.value);
            match dirs.get(&name) {
                Some((_, first)) => {
                    let problem = Problem::error(format!("the guest path `{name}` is granted twice"))
                        .at(self.place(&guest_path.span), "")
                        .also(self.place(&first.span), "first here")
                        .help("remove one of them");
                    self.report.push(problem);
                }
                None => {
                    dirs.insert(name, (dir, guest_path));
                }
            }
        }
        dirs.into_iter().map(|(name, (dir, _))| (name, dir)).collect()
    }

    fn granted_dir(&mut self, name: &str, guest_path: &Located<String>, dir: &manifest::Dir) -> Dir {
        if let Some(temporary) = dir.temporary.as_ref().filter(|temporary| temporary.value) {
            if dir.path.is_some() || dir.write == Some(false) {
                let message = format!("`{name}` is temporary: it has no `path`, and the app may write to it");
                self.error(&temporary.span, message, "remove the other keys, or `temporary`");
            }
            return Dir { path: PathBuf::new(), write: true, temporary: true };
        }
        if dir.path.is_none() {
            let message = format!("`{name}` has no `path`");
            let help = "name the folder, or make it an empty one for each instance: { temporary = true }";
            self.error(&guest_path.span, message, help);
        }
        let path = dir.path.as_ref().and_then(|path| self.dir(path)).unwrap_or_default();
        Dir { path, write: dir.write.unwrap_or(false), temporary: false }
    }

    /// The path under which a guest sees a folder, without a trailing slash.
    fn guest_path(&mut self, written: &Located<String>) -> Option<String> {
        let path = &written.value;
        let trimmed = path.trim_end_matches('/');
        let sound =
            trimmed.split('/').skip(1).all(|name| !matches!(name, "" | "." | "..") && !name.contains('\0'));
        if path.starts_with('/') && sound {
            return Some(if trimmed.is_empty() { "/".into() } else { trimmed.into() });
        }
        let help = "write the absolute path under which the app sees the folder, such as \"/media\"";
        self.error(&written.span, format!("`{path}` is no guest path"), help);
        None
    }

    fn dir(&mut self, written: &Located<String>) -> Option<PathBuf> {
        let path = self.path(written)?;
        self.check_dir(&path, written).then_some(path)
    }

    /// Whether a folder that the manifest names is there; reports it if not.
    pub(super) fn check_dir(&mut self, path: &Path, written: &Located<String>) -> bool {
        if path.is_dir() {
            return true;
        }
        let what = if path.exists() { "is no folder" } else { "does not exist" };
        let message = format!("the folder `{}` {what}", self.shown(path));
        let help = format!("make it, or name another; relative paths begin at {}", self.dir.display());
        self.error(&written.span, message, help);
        false
    }

    fn guest_env(&mut self, grants: &manifest::Grants) -> BTreeMap<String, String> {
        let mut env = BTreeMap::new();
        for (name, value) in grants.env.iter().flat_map(|env| &env.0) {
            if name.value.is_empty() || name.value.contains(['=', '\0']) {
                let message = format!("{:?} cannot be the name of an environment variable", name.value);
                self.error(&name.span, message, "a name is not empty and holds no `=`");
            }
            let Some(text) = self.text(value) else { continue };
            if text.contains('\0') {
                self.error(&value.span, "an environment variable cannot hold a NUL character", "remove it");
            }
            env.insert(name.value.clone(), text);
        }
        env
    }
}

/// `scheme://host[:port]`; the error says how to mend it.
fn origin(text: &str) -> Result<Origin, String> {
    const FORM: &str = "write scheme://host[:port], such as https://api.example.com or https://*.example.com";
    let (scheme, rest) = text.split_once("://").ok_or(FORM)?;
    let (scheme, port) = match &*scheme.to_ascii_lowercase() {
        "http" => (Scheme::HTTP, 80),
        "https" => (Scheme::HTTPS, 443),
        _ => return Err(format!("the scheme is http or https; {FORM}")),
    };
    if rest.contains('/') {
        return Err("remove the path: a grant holds for all of an origin".into());
    }
    let service = service(rest, Some(port)).map_err(|error| format!("{error}; {FORM}"))?;
    Ok(Origin { scheme, service })
}

/// `host:port`; the error says what is wrong.
fn service(text: &str, default_port: Option<u16>) -> Result<Service, String> {
    let pattern = Pattern::parse(text).map_err(|error| error.to_string())?;
    if !pattern.prefix().is_empty() || text.ends_with('/') {
        return Err("a service has no path".into());
    }
    let host = match pattern.host() {
        HostPattern::Exact(name) => {
            GrantedHost::One(RemoteHost::parse(name).map_err(|error| error.to_string())?)
        }
        HostPattern::Suffix(suffix) => GrantedHost::Below(suffix.to_string()),
        HostPattern::Any => return Err("name the hosts: all of them at once cannot be granted".into()),
    };
    let port = pattern.port().or(default_port).ok_or("the port is missing")?;
    Ok(Service { host, port })
}
