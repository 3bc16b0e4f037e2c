//! `guesthouse demo`: the sample house, carried in the binary with the sources of its guests.
//!
//! It is unpacked into the cache and is an ordinary house from there on: building and serving it is what is done with
//! any manifest. The same happens within a checkout of the project, so that there is one way only.

use std::{
    fmt::Write,
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result};
use rust_embed::Embed;
use serde::Deserialize;

use crate::build::embedded::{self, Wit};

/// The manifest and the guests that it names, below `guests/` as in the project: the Rust guests find `wit/` beside it.
/// All members of their cargo workspace are there, since cargo wants to see each.
#[derive(Embed)]
#[folder = "../guests"]
#[include = "demo.toml"]
#[include = "Cargo.toml"]
#[include = "Cargo.lock"]
#[include = "django-legacy/**"]
#[include = "django-modern/**"]
#[include = "flask/**"]
#[include = "wsgi/**"]
#[include = "front/**"]
#[include = "hello-rust/**"]
#[include = "hello-rust-p3/**"]
#[include = "test/**"]
#[include = "wstd-example/**"]
#[exclude = "*.pyc"]
#[exclude = "**/target/**"]
#[exclude = "**/.guesthouse/**"]
#[exclude = "*.sqlite3"]
struct Guests;

const MANIFEST: &str = "demo.toml";

/// What the folders of the unpacked houses begin with, in the cache.
const PREFIX: &str = "demo";
/// A file whose time says when the house was last opened.
const LAST_USE: &str = "last-use";
/// How long the house of another version is kept.
const UNUSED_KEPT: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// What the banner needs of the manifest: the settings of its front page.
#[derive(Debug, Deserialize)]
struct Manifest {
    apps: Apps,
}

#[derive(Debug, Deserialize)]
struct Apps {
    front: Front,
}

#[derive(Debug, Deserialize)]
struct Front {
    settings: FrontSettings,
}

#[derive(Debug, Deserialize)]
struct FrontSettings {
    sites: Vec<Site>,
}

#[derive(Debug, Deserialize)]
struct Site {
    host: String,
    about: String,
}

/// Unpacks the sample house into the cache and returns the path of its manifest.
///
/// Another version of the house gets another folder; files there that were changed are set right again.
///
/// # Errors
/// The cache cannot be written.
pub fn prepare(cache_dir: &Path) -> Result<PathBuf> {
    let house = embedded::folder::<Guests>(cache_dir, PREFIX);
    // Whatever keeps an old house from being removed does not keep this one from being opened.
    let _later = remove_unused(cache_dir, &house);
    embedded::unpack::<Wit>(&house.join("wit"))?;
    let guests = house.join("guests");
    embedded::unpack::<Guests>(&guests)?;
    let used = house.join(LAST_USE);
    fs::write(&used, "").with_context(|| format!("cannot write {}", used.display()))?;
    Ok(guests.join(MANIFEST))
}

/// Removes the houses of other versions, with all that was built in them, when nobody has opened them for long.
fn remove_unused(cache_dir: &Path, house: &Path) -> io::Result<()> {
    for entry in fs::read_dir(cache_dir)? {
        let folder = entry?.path();
        let is_house = folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX));
        let used = fs::metadata(folder.join(LAST_USE)).and_then(|meta| meta.modified());
        let age = used.ok().and_then(|used| SystemTime::now().duration_since(used).ok());
        if is_house && folder != house && age.is_some_and(|age| age > UNUSED_KEPT) {
            fs::remove_dir_all(folder)?;
        }
    }
    Ok(())
}

/// The addresses to open, one a line, for a listener that answers at `url` (`http://127.0.0.1:8000`). Browsers resolve
/// names below `localhost` to this machine by themselves (RFC 6761, section 6.3).
#[must_use]
pub fn banner(url: &str) -> String {
    let (scheme, authority) = url.trim_end_matches('/').split_once("://").unwrap_or(("http", url));
    // After the last bracket of an IPv6 address, or there is none.
    let port = authority.rsplit_once(']').map_or(authority, |(_, port)| port).rsplit_once(':');
    let port = port.map_or_else(String::new, |(_, port)| format!(":{port}"));
    let sites = sites();
    let width = sites.iter().map(|site| site.host.len()).max().unwrap_or_default();
    let mut text = format!("The demo house is open: {scheme}://localhost{port}/\n");
    for site in sites {
        let padding = " ".repeat(width.saturating_sub(site.host.len()));
        // Writing to a string does not fail.
        let _always = writeln!(text, "  {scheme}://{}{port}/{padding}  {}", site.host, site.about);
    }
    text
}

/// None if the manifest that this was compiled with is broken, which a test rules out.
fn sites() -> Vec<Site> {
    let text = Guests::get(MANIFEST).map(|file| file.data).unwrap_or_default();
    let manifest = std::str::from_utf8(&text).ok().and_then(|text| toml::from_str::<Manifest>(text).ok());
    manifest.map(|manifest| manifest.apps.front.settings.sites).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_banner_has_the_port_of_the_listener() {
        let text = banner("http://127.0.0.1:4321");
        assert!(text.starts_with("The demo house is open: http://localhost:4321/\n"), "{text}");
        assert!(text.contains("http://foo.localhost:4321/"), "{text}");
        assert!(banner("http://[::1]:80").contains("http://bar.localhost:80/"));
        assert!(banner("http://[::1]").contains("http://bar.localhost/"));
    }

    #[test]
    fn the_unpacked_house_is_complete_and_clean() {
        let dir = tempfile::tempdir().unwrap();
        let manifest = prepare(dir.path()).unwrap();
        assert_eq!(prepare(dir.path()).unwrap(), manifest);
        let guests = manifest.parent().unwrap();
        for file in ["Cargo.lock", "front/Cargo.toml", "django-legacy/manage.py", "../wit/settings.wit"] {
            assert!(guests.join(file).is_file(), "{file}");
        }
        assert!(Guests::iter().all(|name| !name.contains("/target/") && !name.contains("__pycache__")));
    }

    #[test]
    fn houses_of_other_versions_go_when_unused_for_long() {
        let dir = tempfile::tempdir().unwrap();
        let houses = ["demo-old", "demo-young", "other"].map(|name| dir.path().join(name));
        for house in &houses {
            fs::create_dir(house).unwrap();
            fs::write(house.join(LAST_USE), "").unwrap();
        }
        for house in [&houses[0], &houses[2]] {
            let file = fs::File::options().append(true).open(house.join(LAST_USE)).unwrap();
            file.set_modified(SystemTime::now() - 2 * UNUSED_KEPT).unwrap();
        }
        prepare(dir.path()).unwrap();
        assert_eq!(houses.map(|house| house.exists()), [false, true, true]);
    }

    #[test]
    fn every_member_of_the_rust_workspace_is_carried() {
        let text = String::from_utf8(Guests::get("Cargo.toml").unwrap().data.into_owned()).unwrap();
        let workspace: toml::Table = toml::from_str(&text).unwrap();
        for member in workspace["workspace"]["members"].as_array().unwrap() {
            let manifest = format!("{}/Cargo.toml", member.as_str().unwrap());
            assert!(Guests::get(&manifest).is_some(), "{manifest}");
        }
    }
}
