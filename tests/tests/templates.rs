//! `guesthouse new`: what every template makes is built and served at once. The first run fetches packages.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use guesthouse_tests::{House, Request, Response, exec, run};
use tempfile::TempDir;

/// A project made, built and served.
struct Project {
    house: House,
    host: String,
    _folder: TempDir,
}

impl Project {
    fn of(template: &str) -> Project {
        let folder = tempfile::tempdir().expect("a folder");
        let name = format!("my-{template}");
        let made = run(folder.path(), &["new", template, &name]);
        assert_eq!(made.code, Some(0), "{}", made.stderr);
        assert!(made.stdout.contains(&format!("http://{name}.localhost:8000/")), "{}", made.stdout);
        let dir: PathBuf = folder.path().join(&name);
        let built = run(&dir, &["build"]);
        assert_eq!(built.code, Some(0), "{}", built.stderr);
        let house = House::start_at(&dir, 1, |command| {
            command.args(["--listen", "127.0.0.1:0"]);
        });
        Project { house, host: format!("{name}.localhost"), _folder: folder }
    }

    fn get(&self, path: &str) -> Response {
        self.house.send(&Request::get(&self.host, path))
    }

    #[track_caller]
    fn answers(&self, path: &str, text: &str) {
        let answer = self.get(path);
        assert_eq!(answer.status(), 200, "{path}: {}", answer.text());
        assert!(answer.text().contains(text), "{path}: {}", answer.text());
    }
}

#[test]
fn django() {
    let project = Project::of("django");
    project.answers("/", "Django 5.2");
    project.answers("/static/pages/site.css", "font:");
    project.answers("/static/admin/css/base.css", "body");
    assert_eq!(project.get("/admin/nothing").status(), 302);
    exec(project.house.folder(), "my-django", &["migrate", "-v0"]);
    assert_eq!(project.get("/admin/login/?next=/admin/").status(), 200);
}

#[test]
fn wsgi() {
    let project = Project::of("wsgi");
    project.answers("/", "<h1>My site</h1>");
    project.answers("/static/site.css", "font:");
    project.answers("/hello/you", "\"you\"");
}

#[test]
fn rust() {
    let project = Project::of("rust");
    project.answers("/", "Hello from Rust.");
    assert_eq!(project.get("/nothing").status(), 404);
}

#[test]
fn rust_p3() {
    let project = Project::of("rust-p3");
    project.answers("/?x=1", "Hello from Rust.");
    assert_eq!(project.get("/nothing").status(), 404);
}

#[test]
fn js() {
    let project = Project::of("js");
    project.answers("/", "Hello from Hono.");
    project.answers("/hello/you", "\"you\"");
    assert_eq!(project.get("/nothing").status(), 404);
}

#[test]
fn c() {
    install(&["make", "clang-22", "lld-22", "wasi-libc", "libclang-rt-22-dev-wasm32"]);
    let project = Project::of("c");
    project.answers("/?x=1", "Hello from C.");
    assert_eq!(project.get("/nothing").status(), 404);
}

/// The `Makefile` says what to install where it is missing.
#[test]
fn c_without_its_tools() {
    let folder = tempfile::tempdir().expect("a folder");
    assert_eq!(run(folder.path(), &["new", "c", "app"]).code, Some(0));
    let dir = folder.path().join("app");
    let make = std::fs::read_to_string(dir.join("Makefile")).expect("the Makefile");
    std::fs::write(dir.join("Makefile"), make.replace("/usr/lib/wasm32-wasi", "/nowhere")).expect("written");
    let built = run(&dir, &["build"]);
    assert_eq!(built.code, Some(1));
    assert!(built.stderr.contains("apt-get install clang-22"), "{}", built.stderr);
}

/// Installs Debian packages, where they are not there.
fn install(packages: &[&str]) {
    let has = |package: &&str| {
        Command::new("dpkg").args(["-s", package]).output().is_ok_and(|out| out.status.success())
    };
    if packages.iter().all(has) {
        return;
    }
    for arguments in
        [&["update", "-qq"][..], &[&["install", "-y", "-qq", "--no-install-recommends"], packages].concat()]
    {
        let mut apt = Command::new("apt-get");
        let done =
            apt.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").output().expect("apt-get starts");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
}

#[test]
fn what_is_there_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let refused = |arguments: &[&str], code: i32, text: &str| {
        let outcome = run(folder.path(), arguments);
        assert_eq!(outcome.code, Some(code), "{}", outcome.stderr);
        assert!(outcome.stderr.contains(text), "{}", outcome.stderr);
    };
    std::fs::create_dir(folder.path().join("full")).expect("a folder");
    std::fs::write(folder.path().join("full/file"), "mine").expect("a file");
    refused(&["new", "wsgi", "full"], 1, "full is not empty");
    refused(&["new", "wsgi", "full/file"], 1, "is a file");
    refused(&["new", "wsgi", "full/file/below"], 1, "below one");
    refused(&["new", "cobol", "x"], 2, "django");
    refused(&["new", "wsgi", "x", "--name", "No Name"], 1, "is no name");
    let left: Vec<_> = std::fs::read_dir(folder.path()).expect("the folder").collect();
    assert_eq!(left.len(), 1, "{left:?}");

    // An empty one will do, also the current one.
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).expect("a folder");
    assert_eq!(run(&empty, &["new", "rust", "."]).code, Some(0));
    assert!(Path::new(&empty).join("guesthouse.toml").is_file());
}
