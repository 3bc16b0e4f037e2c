//! What is measured: the house itself and its guests, built from the present sources.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::{
    install::{run, said_by},
    progress,
};

/// What the hello guests answer (`guests/hello`, `guests/hello-p3`).
pub const HELLO: &[u8] = b"Hello from a guest of the house\n";

/// The binaries and components.
#[derive(Debug)]
pub struct Guests {
    /// The `guesthouse` binary.
    pub house: PathBuf,
    /// WASI 0.2.
    pub hello: PathBuf,
    /// WASI 0.3.
    pub hello_p3: PathBuf,
    pub django: PathBuf,
    /// The sources of the Django project.
    pub django_project: PathBuf,
}

impl Guests {
    /// Builds all of it.
    pub fn build() -> Result<Guests> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let house = match env::var_os("GUESTHOUSE_BINARY") {
            Some(named) => named.into(),
            None => build_the_house(here)?,
        };
        progress("building the guests");
        let mut build = Command::new(&house);
        // What cargo tells this program is not meant for the guests' build.
        build.args(["build", "-m"]).arg(here.join("guests.toml")).env_remove("CARGO_TARGET_DIR");
        run(&mut build)?;
        let components = here.join(".guesthouse/components");
        Ok(Guests {
            house,
            hello: components.join("hello.wasm"),
            hello_p3: components.join("hello-p3.wasm"),
            django: components.join("django.wasm"),
            django_project: here.join("../../guests/django-legacy").canonicalize()?,
        })
    }

    /// Whether this house takes snapshot images.
    pub fn has_images(&self) -> Result<bool> {
        let schema = said_by(Command::new(&self.house).arg("schema"))?;
        Ok(schema.contains("\"snapshot\""))
    }

    /// So many components that do what `hello` does, no two of them alike: each has its number in a custom section.
    pub fn distinct(&self, count: usize, folder: &Path) -> Result<Vec<PathBuf>> {
        let bytes = fs::read(&self.hello)?;
        let digest: String =
            Sha256::digest(&bytes).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let root = folder.join("distinct");
        let folder = root.join(digest);
        if !folder.is_dir() {
            // Those of an older hello are of no use any more.
            let _ = fs::remove_dir_all(&root);
            fs::create_dir_all(&folder)?;
        }
        let one = |number: usize| {
            let path = folder.join(format!("hello-{number:04}.wasm"));
            let bytes = [&bytes[..], &custom_section("number", number.to_string().as_bytes())].concat();
            if !fs::metadata(&path).is_ok_and(|meta| meta.len() == bytes.len() as u64) {
                fs::write(&path, bytes).with_context(|| format!("writing {}", path.display()))?;
            }
            Ok(path)
        };
        (0..count).map(one).collect()
    }
}

/// A custom section (component model, `Binary.md`): id 0, its size, and in it a name and any bytes.
fn custom_section(name: &str, content: &[u8]) -> Vec<u8> {
    let name_and_content = [&[name.len() as u8], name.as_bytes(), content].concat();
    assert!(name_and_content.len() < 128, "both lengths are LEB128 numbers of one byte");
    [&[0, name_and_content.len() as u8], &name_and_content[..]].concat()
}

/// Builds the binary beside this program's own.
fn build_the_house(here: &Path) -> Result<PathBuf> {
    let program = env::current_exe().context("the path of this program")?;
    let profile = program.parent().context("a program lies in a folder")?;
    if !profile.ends_with("release") {
        bail!("this is not the release profile: cargo run --release -p bench");
    }
    progress("building the house");
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--release", "--package", "guesthouse", "--target-dir"]);
    cargo.arg(profile.parent().context("a profile lies in the target folder")?).current_dir(here);
    // What cargo tells a program that it runs would make parts of the house another build each time.
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("CARGO_PKG_") || name == "CARGO_MANIFEST_DIR" {
            cargo.env_remove(name);
        }
    }
    run(&mut cargo)?;
    Ok(profile.join("guesthouse"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_custom_section_has_its_lengths() {
        assert_eq!(custom_section("number", b"42"), b"\x00\x09\x06number42");
    }
}
