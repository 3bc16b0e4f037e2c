//! `guesthouse build` as an operator runs it: the real binary, real tools, a house in a temporary folder. Python
//! guests take too long to be built here; the demo house's tests do that.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

const COMPONENT: &str = r"\0asm\r\0\1\0";
const MODULE: &str = r"\0asm\1\0\0\0";

/// A folder with a manifest and a cache of its own.
struct House {
    dir: tempfile::TempDir,
}

struct Built {
    success: bool,
    stderr: String,
}

impl House {
    fn new(manifest: &str) -> House {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("guesthouse.toml"), manifest).unwrap();
        House { dir }
    }

    /// One app per command, `a.wasm` and so on.
    fn of_commands(commands: &[&str]) -> House {
        let apps = ["a", "b"].iter().zip(commands).map(|(name, command)| {
            format!(
                "[apps.{name}]\ncomponent = '{name}.wasm'\nsource = {{ command = '''{command}''' }}\n\
                 routes = ['{name}.localhost']\n"
            )
        });
        House::new(&apps.collect::<String>())
    }

    /// Two apps of one crate whose only function returns `value`.
    fn of_rust(value: &str) -> House {
        let source = "source = { rust = 'guest' }";
        let house = House::new(&format!(
            "[apps.a]\n{source}\nroutes = ['a.localhost']\n[apps.b]\n{source}\nroutes = ['*']\n"
        ));
        fs::create_dir_all(house.path("guest/src")).unwrap();
        let manifest =
            "[package]\nname = 'guest'\nedition = '2024'\n[lib]\ncrate-type = ['cdylib']\n[workspace]\n";
        fs::write(house.path("guest/Cargo.toml"), manifest).unwrap();
        house.write_rust(value);
        house
    }

    fn write_rust(&self, value: &str) {
        let text = format!("#[unsafe(no_mangle)]\npub extern \"C\" fn answer() -> i32 {{\n    {value}\n}}\n");
        fs::write(self.path("guest/src/lib.rs"), text).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn component(&self, app: &str) -> PathBuf {
        self.path(&format!(".guesthouse/components/{app}.wasm"))
    }

    fn command(&self, apps: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_guesthouse"));
        command.arg("build").arg("-m").arg(self.path("guesthouse.toml")).args(apps);
        command.env("GUESTHOUSE_CACHE_DIR", self.path("cache")).stdin(Stdio::null());
        command
    }

    fn build(&self) -> Built {
        self.command(&[]).output().unwrap().into()
    }

    fn spawn(&self) -> (Child, BufReader<impl Read + use<>>) {
        let mut child = self.command(&[]).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        (child, stderr)
    }
}

impl From<Output> for Built {
    fn from(output: Output) -> Built {
        Built { success: output.status.success(), stderr: String::from_utf8(output.stderr).unwrap() }
    }
}

impl Built {
    #[track_caller]
    fn well(self) -> String {
        assert!(self.success, "{}", self.stderr);
        self.stderr
    }

    #[track_caller]
    fn badly(self) -> String {
        assert!(!self.success, "{}", self.stderr);
        self.stderr
    }
}

#[track_caller]
fn assert_has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in:\n{text}");
    }
}

/// What tells one state of a file from another.
fn state(path: &Path) -> (u64, i64, i64) {
    let meta = fs::metadata(path).unwrap();
    (meta.ino(), meta.mtime(), meta.mtime_nsec())
}

#[test]
fn a_command_makes_a_component_in_the_folder_of_the_manifest() {
    let house = House::of_commands(&[&format!("printf '{COMPONENT}' > a.wasm")]);
    assert_has(&house.build().well(), &["building a (command)…", "built a in "]);
    assert_eq!(fs::read(house.path("a.wasm")).unwrap(), b"\0asm\r\0\x01\0");
}

#[test]
fn a_command_sees_nothing_of_the_cargo_around() {
    let command = format!(
        "env | grep -E '^(CARGO_MANIFEST_DIR|RUSTUP_TOOLCHAIN|RUSTFLAGS)=' || printf '{COMPONENT}' > a.wasm"
    );
    let house = House::of_commands(&[&command]);
    let mut build = house.command(&[]);
    build
        .env("CARGO_MANIFEST_DIR", "/elsewhere")
        .env("RUSTUP_TOOLCHAIN", "other")
        .env("RUSTFLAGS", "--cfg x");
    Built::from(build.output().unwrap()).well();
}

#[test]
fn what_is_no_component_is_refused() {
    let house = House::of_commands(&[&format!("printf '{MODULE}' > a.wasm"), "echo text > b.wasm"]);
    let stderr = house.build().badly();
    assert_has(&stderr, &["core WebAssembly module, not a component", "wasm32-wasip2"]);
    assert_has(&stderr, &["b.wasm is not a WebAssembly component"]);
}

#[test]
fn a_command_that_makes_nothing_or_fails_says_so() {
    let house = House::of_commands(&["true", "echo chatter; echo 'no flour left' >&2; exit 3"]);
    let stderr = house.build().badly();
    assert_has(&stderr, &["there is no ", "a.wasm\n", "`component` must be the file that the command makes"]);
    assert_has(&stderr, &["failed (exit status: 3)", "  | no flour left", "whole log: "]);
}

#[test]
fn what_can_be_built_is_built_when_something_else_fails() {
    let house = House::of_commands(&["false", &format!("printf '{COMPONENT}' > b.wasm")]);
    assert_has(&house.build().badly(), &["a failed", "built b in ", "error: cannot build a: "]);
    assert!(house.path("b.wasm").exists());
}

#[test]
fn apps_can_be_named() {
    let house = House::of_commands(&["false", &format!("printf '{COMPONENT}' > b.wasm")]);
    let stderr = Built::from(house.command(&["b"]).output().unwrap()).well();
    assert!(!stderr.contains("building a"), "{stderr}");

    let house = House::new("[apps.shop]\ncomponent = 'shop.wasm'\nroutes = ['*']\n");
    fs::write(house.path("shop.wasm"), "").unwrap();
    let stderr = Built::from(house.command(&["shpo"]).output().unwrap()).badly();
    assert_has(&stderr, &["there is no app `shpo`", "did you mean `shop`?"]);
    let stderr = Built::from(house.command(&["shop"]).output().unwrap()).badly();
    assert_has(&stderr, &["`shop` has nothing to build from", "give it a `source`"]);
}

#[test]
fn a_missing_tool_is_named_with_what_to_install() {
    let house = House::of_rust("1");
    let stderr = Built::from(house.command(&[]).env("PATH", "").output().unwrap()).badly();
    assert_has(
        &stderr,
        &["cannot build a, b: ", "`rustc` is not installed, or not on PATH", "https://rustup.rs"],
    );

    let house = House::new("[apps.a]\nsource = { python = 'site', wsgi = 'app:app' }\nroutes = ['*']\n");
    fs::create_dir(house.path("site")).unwrap();
    fs::write(house.path("site/app.py"), "").unwrap();
    let stderr =
        Built::from(house.command(&[]).env("GUESTHOUSE_PYTHON", "/no/python").output().unwrap()).badly();
    assert_has(
        &stderr,
        &["cannot build a: ", "Python 3.10 or newer", "apt-get install python3 python3-venv"],
    );
}

#[test]
fn two_apps_of_one_source_are_one_build_and_nothing_changed_is_none() {
    let house = House::of_rust("1");
    let stderr = house.build().well();
    assert_has(&stderr, &["building a, b (rust)…", "built a, b in "]);
    assert_eq!(fs::read(house.component("a")).unwrap(), fs::read(house.component("b")).unwrap());

    let before = [state(&house.component("a")), state(&house.component("b"))];
    assert_eq!(house.build().well(), "a is up to date\nb is up to date\n");
    assert_eq!([state(&house.component("a")), state(&house.component("b"))], before);
}

#[test]
fn a_changed_source_is_built_again_and_a_lost_component_is_not() {
    let house = House::of_rust("1111");
    house.build().well();
    let first = fs::read(house.component("a")).unwrap();

    house.write_rust("2222");
    assert_has(&house.build().well(), &["built a, b in "]);
    let second = fs::read(house.component("a")).unwrap();
    assert_ne!(first, second);

    fs::remove_file(house.component("a")).unwrap();
    fs::write(house.component("b"), "overwritten").unwrap();
    assert_has(&house.build().well(), &["a is in the cache", "b is in the cache"]);
    assert_eq!(fs::read(house.component("a")).unwrap(), second);
    assert_eq!(fs::read(house.component("b")).unwrap(), second);
}

#[test]
fn a_crate_that_does_not_compile_shows_what_rustc_says() {
    let house = House::of_rust("1");
    house.build().well();
    let before = state(&house.component("a"));
    house.write_rust("\"text\"");
    let stderr = house.build().badly();
    assert_has(&stderr, &["a, b failed", "error[E0308]: mismatched types", "src/lib.rs:3:5", "whole log: "]);
    assert_eq!(state(&house.component("a")), before);
    // Neither the failure nor what was there before passes for a build of these sources.
    assert_has(&house.build().badly(), &["error[E0308]"]);
}

#[test]
fn a_package_is_chosen_by_its_name_and_one_that_is_not_there_is_refused() {
    let house = House::of_rust("1");
    let manifest = "[apps.a]\nsource = { rust = 'guest', package = 'gast' }\nroutes = ['*']\n";
    fs::write(house.path("guesthouse.toml"), manifest).unwrap();
    assert_has(&house.build().badly(), &["no package and no binary `gast`", "it has `guest`"]);
}

#[test]
fn a_second_build_waits_for_the_first_and_says_so() {
    let house = House::of_commands(&[&format!("printf '{COMPONENT}' > a.wasm")]);
    fs::create_dir(house.path("cache")).unwrap();
    let lock = File::create(house.path("cache/build.lock")).unwrap();
    lock.lock().unwrap();
    let (mut child, mut stderr) = house.spawn();
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    assert_has(&line, &["waiting for another build"]);
    assert!(!house.path("a.wasm").exists());
    drop(lock);
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    assert_has(&rest, &["built a in "]);
    assert!(child.wait().unwrap().success());
}

/// The command and its child hold the FIFO open: its end is read when both have gone.
#[test]
fn a_signal_ends_the_build_with_all_its_tools() {
    let house = House::of_commands(&["exec >pipe; sleep 1000 & echo started; wait"]);
    let fifo = house.path("pipe");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let (mut child, mut stderr) = house.spawn();
    let mut pipe = BufReader::new(File::open(&fifo).unwrap());
    let mut line = String::new();
    pipe.read_line(&mut line).unwrap();
    assert_eq!(line, "started\n");
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(pipe.read_line(&mut line).unwrap(), 0);
    let mut text = String::new();
    stderr.read_to_string(&mut text).unwrap();
    assert!(!child.wait().unwrap().success());
    assert_has(&text, &["interrupted"]);
    assert_eq!(fs::read_dir(house.path("cache/tmp")).unwrap().count(), 0);
}
