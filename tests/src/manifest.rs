//! The manifest of a house under test, put together as text.

use crate::{Version, guests::component};

/// Lines of TOML. Apps come last, because their tables end what stands before.
#[derive(Default)]
pub struct Manifest {
    head: String,
    server: String,
    apps: String,
}

impl Manifest {
    pub fn new() -> Manifest {
        Manifest::default()
    }

    /// Adds tables before the apps, such as `[listen]`. Where there is no `[listen]` the house listens on one TCP port.
    #[must_use]
    pub fn head(mut self, toml: &str) -> Manifest {
        self.head.push_str(toml);
        self.head.push('\n');
        self
    }

    /// Adds keys to `[server]`. The log is JSON unless this sets it otherwise.
    #[must_use]
    pub fn server(mut self, keys: &str) -> Manifest {
        self.server.push_str(keys);
        self.server.push('\n');
        self
    }

    /// Adds an app of a Rust guest, reached as `NAME.test` unless `keys` has routes.
    #[must_use]
    pub fn app(self, name: &str, guest: &str, keys: &str) -> Manifest {
        let path = component(guest);
        self.app_of(name, &path, keys)
    }

    /// Adds an app of any component file.
    #[must_use]
    pub fn app_of(mut self, name: &str, component: &std::path::Path, keys: &str) -> Manifest {
        let routes =
            if keys.contains("routes =") { String::new() } else { format!("routes = [\"{name}.test\"]\n") };
        self.apps.push_str(&format!("[apps.{name}]\ncomponent = {component:?}\n{routes}{keys}\n\n"));
        self
    }

    /// Adds an app of the guest `version-CODE`, with the setting of this swap: see [`Version`].
    #[must_use]
    pub fn version(self, name: &str, code: u64, swap: u64, keys: &str) -> Manifest {
        let keys = format!("{keys}\nsettings.VERSION = {:?}", Version::setting(code, swap));
        self.app(name, &format!("version-{code}"), &keys)
    }

    /// The whole text.
    pub fn text(&self) -> String {
        let listen = if self.head.contains("[listen]") { "" } else { "[listen]\nhttp = \"127.0.0.1:0\"\n" };
        let log = if self.server.contains("log =") { "" } else { "log = \"json\"\n" };
        format!("{listen}{}\n[server]\n{log}{}\n{}", self.head, self.server, self.apps)
    }
}
