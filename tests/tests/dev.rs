//! `guesthouse dev`: what is saved is served, what cannot be built or started is shown in its place.

use std::{fs, path::Path};

use guesthouse_tests::{House, Request, Response, component};
use tempfile::TempDir;

const HEAD: &str = "[listen]\nhttp = '127.0.0.1:0'\n[server]\nlog = 'json'\n";
const PYTHON: &str = "[apps.site]\nsource = { python = 'site', wsgi = 'app:application' }\nroutes = ['site.test']\n\
                      instances = { isolation = 'reuse' }\nsettings = { WORD = 'set' }\n";

/// A folder with files and a manifest of these apps.
fn folder(apps: &str, files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "guesthouse.toml", &format!("{HEAD}{apps}"));
    for (name, text) in files {
        write(folder.path(), name, text);
    }
    folder
}

/// Writes a file as editors do: beside it, then in its place.
fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().expect("a folder")).expect("the folder is made");
    let beside = path.with_extension("saving");
    fs::write(&beside, text).expect("the file is written");
    fs::rename(beside, path).expect("the file is put in place");
}

/// The app is whatever component the file `which` names.
fn copied(name: &str) -> String {
    format!(
        "[apps.{name}]\nsource = {{ command = 'cp \"$(cat which-{name})\" {name}.wasm' }}\ncomponent = '{name}.wasm'\n\
         routes = ['{name}.test']\n"
    )
}

fn which(guest: &str) -> String {
    component(guest).display().to_string()
}

/// A page as a browser asks for it.
fn page(house: &House, app: &str) -> Response {
    house.send(&Request::get(&format!("{app}.test"), "/").header("Accept", "text/html,*/*;q=0.8"))
}

fn wait_for(house: &House, text: &str) {
    house.errors().wait_for(text, |entry| entry.message().contains(text));
}

#[track_caller]
fn assert_notice(answer: &Response, parts: &[&str]) {
    assert_eq!(answer.status(), 500);
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
    for part in parts {
        assert!(answer.text().contains(part), "no {part:?} in:\n{}", answer.text());
    }
}

fn application(word: &str) -> String {
    format!(
        "from guesthouse import settings\nfrom pathlib import Path\n\ndef application(environ, start_response):\n    \
         start_response('200 OK', [('Content-Type', 'text/plain')])\n    \
         return [f\"{word} {{settings.get('WORD')}} {{Path('note.txt').read_text()}}\".encode()]\n"
    )
}

#[test]
fn saved_files_of_a_python_project_are_served_without_a_build() {
    let folder = folder(PYTHON, &[("site/app.py", &application("one")), ("site/note.txt", "first")]);
    let house = House::develop(folder.path());
    assert_eq!(page(&house, "site").text(), "one set first");

    write(folder.path(), "site/app.py", &application("two"));
    wait_for(&house, "site: generation 2 serves");
    assert_eq!(page(&house, "site").text(), "two set first");

    write(folder.path(), "site/note.txt", "second");
    wait_for(&house, "site: generation 3 serves");
    assert_eq!(page(&house, "site").text(), "two set second");

    write(folder.path(), "site/app.py", "raise ValueError('<b>&')\n");
    wait_for(&house, "site: generation 4 serves");
    assert_notice(&page(&house, "site"), &["ValueError: &lt;b&gt;&amp;", "/app/app.py", "line 1"]);

    write(folder.path(), "site/app.py", &format!("from more import WORD\n{}", application("{WORD}")));
    wait_for(&house, "site: generation 5 serves");
    assert_notice(&page(&house, "site"), &["ModuleNotFoundError", "hint: no requirement brings `more`"]);

    // A package that is new: nobody had watched its folder.
    write(folder.path(), "site/more/__init__.py", "WORD = 'three'\n");
    wait_for(&house, "site: generation 6 serves");
    assert_eq!(page(&house, "site").text(), "three set second");
    write(folder.path(), "site/more/__init__.py", "WORD = 'four'\n");
    wait_for(&house, "site: generation 7 serves");
    assert_eq!(page(&house, "site").text(), "four set second");

    let built = house.errors().matching(|entry| entry.message().contains("building site"));
    assert!(built.len() <= 1, "it was built {} times", built.len());
    // Nothing of it is left for `serve`, and nothing was written into the project.
    assert!(!folder.path().join(".guesthouse/components/site.wasm").exists());
    assert!(!folder.path().join("site/__pycache__").exists());
    assert!(house.stop().status.success());
}

#[test]
fn a_build_that_fails_is_shown_and_the_last_good_version_stays() {
    let folder = folder(&copied("shop"), &[("which-shop", &which("version-1"))]);
    let house = House::develop(folder.path());
    assert!(page(&house, "shop").text().starts_with("code=1"));

    write(folder.path(), "which-shop", "/no/<such>/file");
    wait_for(&house, "error: cannot build shop");
    assert_notice(
        &page(&house, "shop"),
        &["cannot build shop", "/no/&lt;such&gt;/file", "guesthouse-notice"],
    );
    // A program is served on.
    assert!(house.get("shop", "/").text().starts_with("code=1"));

    write(folder.path(), "which-shop", &which("version-2"));
    wait_for(&house, "shop: generation 2 serves");
    assert!(page(&house, "shop").text().starts_with("code=2"));
}

#[test]
fn a_component_that_cannot_be_started_is_shown_and_the_last_good_version_stays() {
    let folder = folder(&copied("shop"), &[("which-shop", &which("version-1")), ("empty.wasm", "")]);
    // A component, but one that answers nothing.
    fs::write(folder.path().join("empty.wasm"), b"\0asm\r\0\x01\0").expect("a component");
    let house = House::develop(folder.path());
    write(folder.path(), "which-shop", "empty.wasm");
    wait_for(&house, "shop");
    house.errors().wait_for("the refusal", |entry| entry.message().contains("wasi:http"));
    assert_notice(&page(&house, "shop"), &["wasi:http"]);
    assert!(house.get("shop", "/").text().starts_with("code=1"));

    write(folder.path(), "which-shop", &which("version-2"));
    wait_for(&house, "generation 2 serves");
    assert!(page(&house, "shop").text().starts_with("code=2"));
}

#[test]
fn an_app_that_was_never_built_does_not_keep_the_others_from_serving() {
    let apps = format!("{}{}", copied("shop"), copied("cafe"));
    let folder = folder(&apps, &[("which-shop", &which("version-1")), ("which-cafe", "nowhere")]);
    let house = House::develop(folder.path());
    assert!(page(&house, "shop").text().starts_with("code=1"));
    assert_notice(&page(&house, "cafe"), &["cannot build cafe"]);
    assert_notice(&house.get("cafe", "/"), &["cannot build cafe"]);

    write(folder.path(), "which-cafe", &which("version-2"));
    wait_for(&house, "cafe: generation 1 serves");
    assert!(page(&house, "cafe").text().starts_with("code=2"));
    assert!(page(&house, "shop").text().starts_with("code=1"));
}

#[test]
fn a_manifest_that_cannot_be_understood_is_shown_and_taken_up_when_it_is_mended() {
    let folder = folder(&copied("shop"), &[("which-shop", &which("version-1"))]);
    let house = House::develop(folder.path());
    write(folder.path(), "guesthouse.toml", &format!("{HEAD}{}nonsense = <1>\n", copied("shop")));
    house.errors().wait_for("the report", |entry| entry.message().contains("guesthouse.toml:"));
    assert_notice(&page(&house, "shop"), &["nonsense = &lt;1&gt;"]);

    write(folder.path(), "which-cafe", &which("version-2"));
    write(folder.path(), "guesthouse.toml", &format!("{HEAD}{}{}", copied("shop"), copied("cafe")));
    wait_for(&house, "cafe: generation 1 serves");
    assert!(page(&house, "shop").text().starts_with("code=1"));
    assert!(page(&house, "cafe").text().starts_with("code=2"));
}
