//! Debian's Rust compiler for WebAssembly, for machines where rustup cannot bring the target.
//!
//! Debian has no standard library for `wasm32-wasip2` among its packages, but its sources: cargo builds it along
//! (`-Z build-std`, which needs RUSTC_BOOTSTRAP outside nightly), with `wasi-libc` for what lies below. What it lacks
//! is `wasm-component-ld`, the linker of that target: every toolchain of rustup has it, and crates.io.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow, bail};

use super::{
    progress::Line,
    rust::{TARGET, Toolchain},
    store::Store,
    tool::{Run, Tool, ToolError},
};

const PACKAGES: &[&str] = &["rustc-web", "cargo-web", "rust-web-src", "lld-22", "wasi-libc"];
const RUSTC: &str = "/usr/bin/rustc";
const CARGO: &str = "/usr/bin/cargo";
/// What the component linker calls, under the name of its package.
const WASM_LD: &str = "/usr/bin/wasm-ld-22";
const LIBC: &str = "/usr/lib/wasm32-wasi";

const COMPONENT_LD: &str = "wasm-component-ld";
const COMPONENT_LD_VERSION: &str = "0.5.31";

/// Whether the operator asks for this one (`GUESTHOUSE_RUST_WASM=debian`).
pub(super) fn is_wanted() -> bool {
    std::env::var_os("GUESTHOUSE_RUST_WASM").is_some_and(|value| value == "debian")
}

/// Installs the packages if need be, and says how to use them.
///
/// # Errors
/// Not a Debian, not root (the message has the command), or the installation fails.
pub(super) async fn toolchain(store: &Store, line: &Line<'_>, run: &Run) -> Result<Toolchain> {
    install(line, run).await?;
    let folder = store.path("rust").join("debian-bin");
    link(Path::new(WASM_LD), &folder.join("wasm-ld"))?;
    link(&component_linker(store, line, run).await?, &folder.join(COMPONENT_LD))?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(folder).chain(std::env::split_paths(&path)))
        .context("PATH cannot be extended")?;
    Ok(Toolchain {
        cargo: PathBuf::from(CARGO),
        env: vec![("PATH", path), ("RUSTC", RUSTC.into()), ("RUSTC_BOOTSTRAP", "1".into())],
        args: vec![
            "-Z".into(),
            "build-std=std,panic_abort".into(),
            "--config".into(),
            OsString::from(format!("target.{TARGET}.rustflags=[\"-L{LIBC}\"]")),
        ],
        target_dir: store.path("rust").join("target-debian"),
    })
}

/// The linker that makes components: that of rustup's toolchain, where there is one, else our own from crates.io.
async fn component_linker(store: &Store, line: &Line<'_>, run: &Run) -> Result<PathBuf> {
    let tool = Tool::new("rustc --print target-libdir", "rustc").args(["--print", "target-libdir"]);
    let (output, _maybe_none) = tool.output(run).await;
    let library = PathBuf::from(String::from_utf8_lossy(&output).trim());
    let rustups = library.with_file_name("bin").join(COMPONENT_LD);
    if rustups.is_file() {
        return Ok(rustups);
    }
    let root = store.path("rust").join(format!("{COMPONENT_LD}-{COMPONENT_LD_VERSION}"));
    let own = root.join("bin").join(COMPONENT_LD);
    if !own.is_file() {
        line.step(&format!("cargo install {COMPONENT_LD}"));
        let tool =
            Tool::new("cargo install", CARGO).env("RUSTC", RUSTC).args(["install", COMPONENT_LD, "--locked"]);
        tool.args(["--version", COMPONENT_LD_VERSION, "--root"]).arg(&root).run(run).await?;
    }
    Ok(own)
}

/// Makes a symbolic link, or sets right the one that is there.
fn link(to: &Path, at: &Path) -> Result<()> {
    if fs::read_link(at).ok().as_deref() == Some(to) {
        return Ok(());
    }
    let make = || {
        fs::create_dir_all(at.parent().unwrap_or(Path::new("/")))?;
        let _absent = fs::remove_file(at);
        std::os::unix::fs::symlink(to, at)
    };
    make().with_context(|| format!("cannot make {}", at.display()))
}

async fn install(line: &Line<'_>, run: &Run) -> Result<()> {
    let missing = match missing(run).await? {
        missing if missing.is_empty() => return Ok(()),
        missing => missing.join(" "),
    };
    let command = format!("apt-get update && apt-get install --no-install-recommends {missing}");
    if !rustix::process::geteuid().is_root() {
        bail!("Debian's Rust for WebAssembly is not installed\nhelp: as root: {command}");
    }
    line.step(&format!("apt-get install {missing}"));
    let install = || {
        apt("apt-get install")
            .args(["install", "--yes", "--no-install-recommends"])
            .args(missing.split(' '))
            .run(run)
    };
    // A machine that never updated its package lists knows no packages; one that did need not do so again.
    let result = match install().await {
        Err(ToolError::Failed { .. }) => {
            apt("apt-get update").arg("update").run(run).await?;
            install().await
        }
        result => result,
    };
    match result {
        Ok(_) => Ok(()),
        Err(ToolError::Stopped) => Err(ToolError::Stopped.into()),
        Err(error) => Err(anyhow!("{error}\nhelp: Debian 12 and later have them; as root: {command}")),
    }
}

/// Which of the packages are not installed.
async fn missing(run: &Run) -> Result<Vec<&'static str>> {
    let mut missing = Vec::new();
    for package in PACKAGES {
        let tool = Tool::new("dpkg-query", "dpkg-query").args([
            "--show",
            "--showformat=${db:Status-Status}",
            package,
        ]);
        match tool.output(run).await {
            (status, Ok(())) if status == b"installed" => {}
            (_, Ok(()) | Err(ToolError::Failed { .. })) => missing.push(*package),
            (_, Err(ToolError::Missing { .. })) => bail!(
                "this machine has no Debian packages to fall back on\n\
                 help: `rustup target add {TARGET}`, where rustup can reach its server"
            ),
            (_, Err(error)) => return Err(error.into()),
        }
    }
    Ok(missing)
}

fn apt(name: &str) -> Tool<'_> {
    Tool::new(name, "apt-get").env("DEBIAN_FRONTEND", "noninteractive")
}
