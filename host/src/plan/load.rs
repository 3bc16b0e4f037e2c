//! From the manifest's file to the plan.

use std::{
    io,
    path::{Path, PathBuf, absolute},
    sync::Arc,
    time::Duration,
};

use super::{LogFormat, Plan, Server, app::Shared, limits::Layered, resolve::Resolver};
use crate::{
    manifest::{self, Located, Manifest, Parsed, defaults},
    report::{Level, Place, Problem, Report, Source},
};

pub(super) fn load(
    path: &Path,
    env: &dyn Fn(&str) -> Option<String>,
    reads_secrets: bool,
) -> Result<(Plan, Report), Report> {
    let (resolver, manifest) = open(path, env)?;
    let mut resolver = Resolver { reads_secrets, ..resolver };
    let file = absolute(path).unwrap_or_else(|_| path.to_owned());
    let plan = resolver.plan(file, &manifest);
    if resolver.report.has_errors() {
        // What is left to do once the manifest is sound can be said then.
        return Err(resolver.report.at_least(Level::Warning));
    }
    Ok((plan, resolver.report))
}

/// A manifest as far as it can be understood, and what resolves it; an error only where its file cannot be read.
pub(super) fn open<'a>(
    path: &Path,
    env: &'a dyn Fn(&str) -> Option<String>,
) -> Result<(Resolver<'a>, Manifest), Report> {
    let mut report = Report::default();
    let Some(text) = read(path, &mut report) else { return Err(report) };
    let file = absolute(path).unwrap_or_else(|_| path.to_owned());
    let dir = file.parent().unwrap_or(Path::new("/")).to_owned();
    let Parsed { source, manifest, unread } =
        manifest::parse(&path.display().to_string(), &text, &mut report);
    Ok((Resolver { manifest: source, dir, env, report, unread, reads_secrets: false }, manifest))
}

fn read(path: &Path, report: &mut Report) -> Option<String> {
    let name = path.display().to_string();
    let problem = match std::fs::read(path).map(String::from_utf8) {
        Ok(Ok(text)) => return Some(text),
        Ok(Err(error)) => {
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            let at = error.utf8_error().valid_up_to();
            let source = Arc::new(Source { name, text, order: 0 });
            Problem::error("the manifest is not UTF-8")
                .at(Place { source, span: at..at + 1 }, "")
                .help("save it as UTF-8: TOML knows no other encoding")
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Problem::error(format!("there is no manifest `{name}`"))
            .help(
                "name one with `-m FILE` (by default it is `guesthouse.toml` in the current folder), or see a sample house \
                 with `guesthouse demo`",
            ),
        Err(error) => {
            let is_dir = error.kind() == io::ErrorKind::IsADirectory;
            let help = if is_dir { "name the file in it: `-m FILE`" } else { "make it readable, or name another with `-m FILE`" };
            Problem::error(format!("the manifest `{name}` cannot be read: {error}")).help(help)
        }
    };
    report.push(problem);
    None
}

impl Resolver<'_> {
    fn plan(&mut self, file: PathBuf, manifest: &Manifest) -> Plan {
        let listen = manifest.listen.as_ref();
        let listeners = self.listeners(listen.map(|listen| &listen.value));
        let admin = self.admin(listen);
        self.check_admin(listen, admin.as_ref(), &listeners);
        let server = self.server(manifest.server.as_ref());
        let host = manifest.host.as_ref();
        let cache_dir = self.cache_dir(host);
        let state_dir = self.state_dir(host);
        let no_defaults = manifest::Defaults::default();
        let defaults = manifest.defaults.as_ref().unwrap_or(&no_defaults);
        self.check_limits(&Layered { own: defaults.limits.as_ref(), base: None });
        self.check_instances(&Layered { own: defaults.instances.as_ref(), base: None });
        self.check_generations(&Layered { own: defaults.generations.as_ref(), base: None });
        let settings = defaults.settings.as_ref().map(|layer| self.layer(layer)).unwrap_or_default();
        let mut shared = Shared { defaults, settings, files: Default::default(), placed: Vec::new() };
        let mut apps = Vec::new();
        if let Some(written) = &manifest.apps {
            if written.value.0.is_empty() && !self.unread.hides(&written.span) {
                let help = "an app is a table of its own:\n[apps.hello]\ncomponent = \"hello.wasm\"\nroutes = [\"*\"]";
                self.error(&written.span, "the manifest has no app", help);
            }
            for (index, (name, app)) in written.value.0.iter().enumerate() {
                apps.push(self.app(index, name, app, &mut shared));
            }
        }
        let routes = self.route_table(shared.placed);
        let mut settings_files: Vec<PathBuf> = shared.files.into_keys().collect();
        settings_files.sort_unstable();
        Plan {
            manifest: file,
            listeners: listeners.into_iter().map(|(address, _)| address).collect(),
            server,
            cache_dir,
            apps,
            routes,
            admin,
            state_dir,
            watch: host.and_then(|host| host.watch).unwrap_or(true),
            settings_files,
        }
    }

    fn server(&mut self, server: Option<&manifest::Server>) -> Server {
        let none = manifest::Server::default();
        let server = server.unwrap_or(&none);
        let number =
            |key: &Option<Located<u64>>, default| key.as_ref().map_or(default, |number| number.value);
        let size = |key, default| usize::try_from(number(key, default)).unwrap_or(usize::MAX);
        let millis = |key, default| Duration::from_millis(number(key, default));
        let trusted = server.trusted_proxies.iter().flatten();
        Server {
            header_timeout: millis(&server.header_ms, defaults::HEADER_MS),
            idle_timeout: millis(&server.idle_ms, defaults::IDLE_MS),
            stall_timeout: millis(&server.body_ms, defaults::BODY_MS),
            drain_timeout: millis(&server.drain_ms, defaults::DRAIN_MS),
            connections_max: size(&server.connections, defaults::CONNECTIONS),
            connections_per_client_max: size(
                &server.connections_per_client,
                defaults::CONNECTIONS_PER_CLIENT,
            ),
            header_bytes_max: size(&server.header_kib, defaults::HEADER_KIB) * 1024,
            trusted_proxies: trusted.filter_map(|text| self.network(text)).collect(),
            trust_unix: server.trust_unix.unwrap_or(false),
            log: match server.log {
                Some(manifest::Log::Json) => LogFormat::Json,
                Some(manifest::Log::Text) | None => LogFormat::Text,
            },
        }
    }

    /// A network in CIDR form, or one address.
    pub(super) fn network(&mut self, text: &Located<String>) -> Option<ipnet::IpNet> {
        let written = self.text(text)?;
        let network =
            written.parse().or_else(|_| written.parse::<std::net::IpAddr>().map(ipnet::IpNet::from));
        if network.is_err() {
            let help = "write an address such as 10.0.0.7 or ::1, or a network such as 10.0.0.0/8";
            self.error(&text.span, format!("`{written}` is no address and no network"), help);
        }
        network.ok()
    }

    /// `$GUESTHOUSE_CACHE_DIR`, the manifest, `$XDG_CACHE_HOME` or `~/.cache`, in this order.
    fn cache_dir(&mut self, host: Option<&manifest::Host>) -> PathBuf {
        let by_manifest = host.and_then(|host| host.cache_dir.as_ref()).and_then(|path| self.path(path));
        cache_dir(by_manifest, self.env).unwrap_or_else(|| self.dir.join(".guesthouse/cache"))
    }

    /// `$GUESTHOUSE_STATE_DIR`, the manifest, or a folder beside it, in this order.
    fn state_dir(&mut self, host: Option<&manifest::Host>) -> PathBuf {
        let by_manifest = host.and_then(|host| host.state_dir.as_ref()).and_then(|path| self.path(path));
        let by_variable = path_in("GUESTHOUSE_STATE_DIR", self.env);
        by_variable.or(by_manifest).unwrap_or_else(|| self.absolute(Path::new(defaults::STATE_DIR)))
    }
}

/// The folder of caches: `$GUESTHOUSE_CACHE_DIR`, `by_manifest`, `$XDG_CACHE_HOME/guesthouse` or
/// `~/.cache/guesthouse`, in this order. The XDG Base Directory Specification has relative paths in its variables ignored.
pub(super) fn cache_dir(
    by_manifest: Option<PathBuf>,
    env: &dyn Fn(&str) -> Option<String>,
) -> Option<PathBuf> {
    let set = |name| env(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let by_variable = path_in("GUESTHOUSE_CACHE_DIR", env);
    let xdg = set("XDG_CACHE_HOME").filter(|path| path.is_absolute());
    let home = set("HOME").filter(|path| path.is_absolute()).map(|home| home.join(".cache"));
    let by_user = xdg.or(home).map(|path| path.join("guesthouse"));
    by_variable.or(by_manifest).or(by_user)
}

/// The path in an environment variable, relative to the current folder as what a shell passes on is; none if empty.
fn path_in(variable: &str, env: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let path = env(variable).filter(|value| !value.is_empty()).map(PathBuf::from)?;
    Some(absolute(&path).unwrap_or(path))
}
