//! How long a newcomer waits: from `guesthouse new` in an empty folder, by `guesthouse dev`, to the first page.
//!
//! Each template twice: with an empty cache of the house, so that the tools that it brings for builds are fetched and all
//! is built, and a second project with what the first has left in the cache. It builds the house first, and prints a table.
//! Package managers have their own caches, and use them in both.

use std::{
    env,
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use guesthouse_tests::{House, Request, build_house, run};

const USAGE: &str = "\
usage: first-page [TEMPLATE]...
           prints the time from `guesthouse new TEMPLATE` and `guesthouse dev` in an empty folder to the first page, for
           the templates that are named, or for all: with an empty cache, and once more with what is in it then";

/// Those of `guesthouse new`, with what their first pages say.
const TEMPLATES: [(&str, &str); 6] = [
    ("django", "Django"),
    ("wsgi", "My site"),
    ("rust", "Hello from Rust."),
    ("rust-p3", "Hello from Rust."),
    ("js", "Hello from Hono."),
    ("c", "Hello from C."),
];

fn main() -> ExitCode {
    let wanted: Vec<String> = env::args().skip(1).collect();
    if let Some(unknown) = wanted.iter().find(|name| TEMPLATES.iter().all(|(known, _)| name != known)) {
        eprintln!("there is no template {unknown:?}\n{USAGE}");
        return ExitCode::from(2);
    }
    build_house();
    println!("| template | first page, empty cache | first page, another project |");
    println!("|---|--:|--:|");
    for (template, text) in TEMPLATES {
        if !wanted.is_empty() && wanted.iter().all(|name| name != template) {
            continue;
        }
        let cache = tempfile::tempdir().expect("a folder for the cache");
        let times = [(); 2].map(|()| first_page(template, text, cache.path()).as_secs_f64());
        println!("| {template} | {:.1} s | {:.1} s |", times[0], times[1]);
    }
    ExitCode::SUCCESS
}

fn first_page(template: &str, text: &str, cache: &Path) -> Duration {
    let folder = tempfile::tempdir().expect("an empty folder");
    let begun = Instant::now();
    let made = run(folder.path(), &["new", template, "site"]);
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    let house = House::develop_with(&folder.path().join("site"), |command| {
        command.env("GUESTHOUSE_CACHE_DIR", cache).args(["--listen", "127.0.0.1:0"]);
    });
    let page = house.send(&Request::get("site.localhost", "/"));
    let time = begun.elapsed();
    assert!(page.status() == 200 && page.text().contains(text), "{}: {}", page.status(), page.text());
    time
}
