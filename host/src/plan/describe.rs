//! A plan as compact text for people: what `check` shows, and what the tests compare.

use std::{
    fmt::{self, Display, Write},
    sync::Arc,
    time::Duration,
};

use super::{
    Admin, App, GrantedHost, Isolation, LogFormat, Origin, Plan, Probe, Route, Server, Service, Source, Wasi,
};
use crate::settings::Settings;

/// How much is said of settings and of granted environment variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Values {
    /// Their names: people put passwords there, and what `check` shows goes into logs.
    Hidden,
    Shown,
}

impl Plan {
    /// The plan as text, with the names of settings and environment variables but not with their values.
    pub fn describe(&self) -> String {
        self.text(Values::Hidden)
    }

    /// The plan as text, with all values.
    pub fn describe_in_full(&self) -> String {
        self.text(Values::Shown)
    }

    fn text(&self, values: Values) -> String {
        let mut text = String::new();
        // Writing into memory cannot fail.
        let _ = self.write(&mut text, values);
        text
    }

    fn write(&self, f: &mut String, values: Values) -> fmt::Result {
        for listener in &self.listeners {
            writeln!(f, "listen {listener}")?;
        }
        match &self.admin {
            Some(admin) => writeln!(f, "admin {admin}")?,
            None => writeln!(f, "admin off")?,
        }
        self.server.write(f)?;
        writeln!(f, "cache {}", self.cache_dir.display())?;
        writeln!(f, "state {}", self.state_dir.display())?;
        if !self.watch {
            writeln!(f, "watch false")?;
        }
        self.apps.iter().try_for_each(|app| app.write(f, values))
    }
}

impl Server {
    fn write(&self, f: &mut String) -> fmt::Result {
        write!(f, "server header-ms={} idle-ms={}", millis(self.header_timeout), millis(self.idle_timeout))?;
        write!(f, " body-ms={} drain-ms={}", millis(self.stall_timeout), millis(self.drain_timeout))?;
        write!(f, " connections={}", self.connections_max)?;
        write!(f, " connections-per-client={}", self.connections_per_client_max)?;
        write!(f, " header-kib={}", self.header_bytes_max / 1024)?;
        let log = match self.log {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        };
        writeln!(f, " log={log}")?;
        if !self.trusted_proxies.is_empty() || self.trust_unix {
            let unix = self.trust_unix.then(|| "unix".to_owned());
            let networks = self.trusted_proxies.iter().map(ToString::to_string);
            writeln!(f, "trusted-proxies {}", list(networks.chain(unix)))?;
        }
        Ok(())
    }
}

impl App {
    fn write(&self, f: &mut String, values: Values) -> fmt::Result {
        writeln!(f, "\napp {}", self.name)?;
        writeln!(f, "  component {}", self.component.display())?;
        if let Some(source) = &self.source {
            writeln!(f, "  source {source}")?;
        }
        for route in &self.routes {
            route.write(f, self, values)?;
        }
        for folder in self.statics.folders() {
            writeln!(f, "  static {folder}")?;
        }
        write_settings(f, "  setting", &self.settings, values)?;
        for (name, secret) in self.secrets.iter() {
            writeln!(f, "  secret {name} from {}", secret.source)?;
        }
        let isolation = match self.instances.isolation {
            Some(Isolation::Request) => "request",
            Some(Isolation::Reuse) => "reuse",
            None => "by-component",
        };
        let instances = &self.instances;
        write!(f, "  instances isolation={isolation} reuse-max={}", instances.reuse_max)?;
        write!(f, " concurrency={} idle-ms={}", instances.concurrency, millis(instances.idle))?;
        writeln!(f, "{}", if instances.snapshot { " snapshot=true" } else { "" })?;
        self.write_limits(f)?;
        if let Some(Probe { path, status, within }) = &self.probe {
            writeln!(f, "  probe {path} status={status} within-ms={}", millis(*within))?;
        }
        let generations = &self.generations;
        write!(f, "  generations keep={} trial-ms={}", generations.keep, millis(generations.trial))?;
        write!(f, " trial-failures={}", generations.trial_failures)?;
        writeln!(f, " trial-percent={}", generations.trial_percent)?;
        self.write_grants(f, values)
    }

    fn write_limits(&self, f: &mut String) -> fmt::Result {
        const MIB: u64 = 1024 * 1024;
        let limits = &self.limits;
        write!(
            f,
            "  limits memory-mib={} request-ms={}",
            limits.memory_bytes as u64 / MIB,
            millis(limits.request)
        )?;
        write!(f, " cpu-ms={} stream-ms={}", millis(limits.cpu), millis(limits.stream))?;
        write!(f, " concurrent={} queue={}", limits.concurrent, limits.queue)?;
        write!(f, " queue-ms={} body-mib={}", millis(limits.queue_wait), limits.body_bytes / MIB)?;
        write!(f, " answer-mib={}", limits.answer_bytes / MIB)?;
        write!(f, " app-memory-mib={}", limits.app_memory_bytes as u64 / MIB)?;
        write!(f, " log-lines={} handles={}", limits.log_lines, limits.handles)?;
        write!(f, " files={} static-files={}", limits.files, limits.static_files)?;
        write!(f, " dirs-mib={}", limits.dirs_bytes / MIB)?;
        write!(f, " fields-kib={}", limits.fields_bytes / 1024)?;
        write!(f, " outgoing={} outgoing-ms={}", limits.outgoing, millis(limits.outgoing_wait))?;
        writeln!(f, " outgoing-body-mib={}", limits.outgoing_body_bytes / MIB)?;
        if self.grants.keyvalue.is_empty() {
            return Ok(());
        }
        let keyvalue = &limits.keyvalue;
        write!(f, "  limits keyvalue-value-kib={}", keyvalue.value_bytes / 1024)?;
        write!(f, " keyvalue-key-bytes={} keyvalue-keys={}", keyvalue.key_bytes, keyvalue.keys)?;
        write!(f, " keyvalue-batch-kib={}", keyvalue.batch_bytes / 1024)?;
        write!(f, " keyvalue-memory-mib={}", keyvalue.memory_bytes / MIB)?;
        write!(f, " keyvalue-file-mib={}", keyvalue.file_bytes / MIB)?;
        writeln!(f, " keyvalue-waiting={} keyvalue-ms={}", keyvalue.waiting, millis(keyvalue.wait))
    }

    fn write_grants(&self, f: &mut String, values: Values) -> fmt::Result {
        for origin in &self.grants.http {
            writeln!(f, "  grant http {origin}")?;
        }
        for service in &self.grants.tcp {
            writeln!(f, "  grant tcp {service}")?;
        }
        for service in &self.grants.udp {
            writeln!(f, "  grant udp {service}")?;
        }
        for network in &self.grants.networks {
            writeln!(f, "  grant network {network}")?;
        }
        for (guest_path, dir) in &self.grants.dirs {
            if dir.temporary {
                writeln!(f, "  grant dir {guest_path} (temporary)")?;
                continue;
            }
            let access = if dir.write { "read and write" } else { "read" };
            writeln!(f, "  grant dir {guest_path} = {} ({access})", dir.path.display())?;
        }
        for (name, store) in &self.grants.keyvalue {
            writeln!(f, "  grant keyvalue {name} = {store}")?;
        }
        for (name, value) in &self.grants.env {
            match values {
                Values::Hidden => writeln!(f, "  grant env {name}")?,
                Values::Shown => writeln!(f, "  grant env {name} = {value:?}")?,
            }
        }
        Ok(())
    }
}

impl Route {
    fn write(&self, f: &mut String, app: &App, values: Values) -> fmt::Result {
        let strips = if self.strip_prefix { " strip-prefix" } else { "" };
        writeln!(f, "  route {}{strips}", self.text)?;
        for (name, value) in &self.headers {
            writeln!(f, "    header {name}: {}", String::from_utf8_lossy(value.as_bytes()))?;
        }
        // A route without an overlay shares the app's own object.
        if Arc::ptr_eq(&self.settings, &app.settings) {
            return Ok(());
        }
        write_settings(f, "    setting", &self.settings, values)
    }
}

fn write_settings(f: &mut String, label: &str, settings: &Settings, values: Values) -> fmt::Result {
    for (path, _) in settings.to_flat() {
        match settings.get(&path) {
            Some(value) if values == Values::Shown => writeln!(f, "{label} {path} = {}", value.to_json())?,
            _ => writeln!(f, "{label} {path}")?,
        }
    }
    Ok(())
}

impl Display for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.address)?;
        self.token_file.as_ref().map_or(Ok(()), |file| write!(f, " token-file={}", file.display()))
    }
}

impl Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Python(python) => {
                let wasi = if python.wasi == Wasi::P2 { "0.2" } else { "0.3" };
                write!(f, "python {} wsgi={} wasi={wasi}", python.dir.display(), python.wsgi)?;
                if let Some(requirements) = &python.requirements {
                    write!(f, " requirements={}", requirements.display())?;
                }
                if python.include.is_empty() {
                    Ok(())
                } else {
                    write!(f, " include={}", python.include.join(","))
                }
            }
            Source::Rust(rust) => {
                write!(f, "rust {}", rust.dir.display())?;
                rust.package.as_ref().map_or(Ok(()), |package| write!(f, " package={package}"))
            }
            Source::Js(js) => write!(f, "js {}", js.entry.display()),
            Source::Command { command } => write!(f, "command {command}"),
        }
    }
}

impl Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.service)
    }
}

impl Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            GrantedHost::One(host) => write!(f, "{host}")?,
            GrantedHost::Below(suffix) => write!(f, "*.{suffix}")?,
        }
        write!(f, ":{}", self.port)
    }
}

fn millis(duration: Duration) -> u128 {
    duration.as_millis()
}

fn list(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}
