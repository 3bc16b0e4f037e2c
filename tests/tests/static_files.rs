//! Static files: the host answers with them before it asks the app, and with nothing that lies outside of their folder.

use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use guesthouse_tests::{House, Manifest, Request, Response, SharedHouse, run};
use tempfile::TempDir;

/// A file that fits in no buffer between the house and a client that does not read.
const LARGE: usize = 32 << 20;

static HOUSE: SharedHouse = SharedHouse::new();

fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(path, content).expect("a file");
}

/// The file as if it had been written that many seconds ago.
fn age(folder: &Path, name: &str, seconds: u64) {
    let file = fs::File::options().write(true).open(folder.join(name)).expect("the file");
    file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).expect("a time");
}

/// Bytes of which no two stretches are alike.
fn content(length: usize) -> Vec<u8> {
    (0..length as u64).map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

/// A folder with an app's static files, and with what must not get out.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    write(path, "static/site.css", "body{}\n");
    write(path, "static/0123456789", "0123456789");
    write(path, "static/empty.txt", "");
    write(path, "static/a b/caf\u{e9}~.txt", "coffee");
    write(path, "static/app.0a1b2c3d4e5f.js", "let x;");
    write(path, "static/docs/index.html", "<p>docs");
    write(path, "static/bare/file.txt", "bare");
    write(path, "static/.env", "SECRET");
    write(path, "static/.git/config", "SECRET");
    write(path, "static/.well-known/security.txt", "Contact: us");
    write(path, "static/a\\b", "SECRET");
    write(path, "static/unknown.strange", "?");
    write(path, "secret.txt", "SECRET");
    write(path, "static-2/secret.txt", "SECRET");
    symlink("../secret.txt", path.join("static/out.txt")).expect("a link");
    symlink("..", path.join("static/out")).expect("a link");
    symlink("/etc", path.join("static/etc")).expect("a link");
    symlink(path.join("static/site.css"), path.join("static/absolute.css")).expect("a link");
    symlink("site.css", path.join("static/inner.css")).expect("a link");
    symlink("docs", path.join("static/inner")).expect("a link");
    symlink("loop", path.join("static/loop")).expect("a link");
    symlink("nowhere", path.join("static/dangling")).expect("a link");
    let made = Command::new("mkfifo").arg(path.join("static/pipe")).status().expect("mkfifo");
    assert!(made.success());
    folder
}

const STATIC: &str = "static = { \"/static\" = \"static\" }\n";

fn start(folder: TempDir, manifest: &Manifest) -> House {
    House::start_in(folder, &manifest.text(), 1, |_| {})
}

fn house() -> Arc<House> {
    HOUSE.get_in(folder, || Manifest::new().app("site", "info", STATIC))
}

/// Whether the app was asked, and not the host's folder.
fn is_apps(answer: &Response) -> bool {
    answer.status() == 200
        && answer.header("content-type") == Some("application/json")
        && answer.text().contains("grants")
}

fn get(house: &House, path: &str, headers: &[(&str, &str)]) -> Response {
    let request = headers
        .iter()
        .fold(Request::get("site.test", path), |request, (name, value)| request.header(name, value));
    house.send(&request)
}

#[test]
fn the_host_answers_with_files_and_the_app_all_else() {
    let house = house();
    for (path, text, kind) in [
        ("/static/site.css", "body{}\n", "text/css; charset=utf-8"),
        ("/static/a%20b/caf%C3%A9~.txt", "coffee", "text/plain; charset=utf-8"),
        ("/static/a%20b/caf%c3%a9%7E.txt?v=1", "coffee", "text/plain; charset=utf-8"),
        ("/static/docs/../%73ite.css", "body{}\n", "text/css; charset=utf-8"),
        ("/static/app.0a1b2c3d4e5f.js", "let x;", "text/javascript; charset=utf-8"),
        ("/static/unknown.strange", "?", "application/octet-stream"),
        ("/static/.well-known/security.txt", "Contact: us", "text/plain; charset=utf-8"),
        ("/static/inner.css", "body{}\n", "text/css; charset=utf-8"),
        ("/static/empty.txt", "", "text/plain; charset=utf-8"),
    ] {
        let answer = get(&house, path, &[]);
        assert_eq!((answer.status(), answer.text()), (200, text.to_owned()), "{path}");
        assert_eq!(answer.header("content-type"), Some(kind), "{path}");
        assert_eq!(answer.header("content-length"), Some(&*text.len().to_string()), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
    }
    for path in [
        "/",
        "/static/none.css",
        "/static/bare",
        "/static/bare/",
        "/static/",
        "/static",
        "/statics/site.css",
        "/site.css",
    ] {
        let answer = get(&house, path, &[]);
        assert!(is_apps(&answer), "{path}: {}", answer.text());
        assert_eq!(answer.json()["path"], path);
    }
}

/// Whatever a client writes, it gets nothing that lies outside of the folder, or is hidden in it.
#[test]
fn no_path_leads_out_of_the_folder() {
    let house = house();
    let dots = [
        "..",
        "%2e%2e",
        ".%2e",
        "%2E.",
        "..%00",
        "%c0%ae%c0%ae",
        "..;",
        "%252e%252e",
        "..%5c..",
        "..\\..",
        "\u{ff0e}\u{ff0e}",
    ];
    let slashes = ["/", "%2f", "%2F", "%5c", "\\", "//", "/./", "%252f"];
    let mut paths: Vec<String> = Vec::new();
    for dots in dots {
        for slash in slashes {
            for depth in [1, 3] {
                let up = format!("{dots}{slash}").repeat(depth);
                paths.extend(["secret.txt", "etc/passwd"].map(|name| format!("/static/{up}{name}")));
            }
        }
    }
    let named = [
        "/static/.env",
        "/static/%2eenv",
        "/static/.git/config",
        "/static/a%5Cb",
        "/static/a\\b",
        "/static//etc/passwd",
        "/static///etc/passwd",
        "/static/%2Fetc/passwd",
        "/static%2Fsite.css",
        "/static/site.css%00",
        "/static/site.css%00.html",
        "/static/site.css/",
        "/static/site.css/x",
        "/static/out.txt",
        "/static/out/secret.txt",
        "/static/out/static-2/secret.txt",
        "/static/etc/passwd",
        "/static/absolute.css",
        "/static/loop",
        "/static/dangling",
        "/static/pipe",
        "/static-2/secret.txt",
        "/STATIC/site.css",
    ];
    paths.extend(named.map(str::to_owned));
    paths.push(format!("/static/{}", "a".repeat(5000)));
    paths.push(format!("/static/{}", "a/".repeat(2000)));
    for path in paths {
        let mut connection = house.connect();
        connection.send(Request::get("site.test", &path).bytes());
        let answer = connection.response("GET");
        // Some are no request targets at all.
        assert!(is_apps(&answer) || matches!(answer.status(), 400 | 404), "{path}: {:?}", answer.head);
        assert!(
            !answer.text().contains("SECRET") && !answer.text().contains("root:"),
            "{path}: {}",
            answer.text()
        );
    }
    let told = house.log().wait_for("the line of a link", |entry| entry.message().contains("out.txt"));
    assert!(told.message().contains("leads out of the folder"), "{told}");
}

#[test]
fn folders_answer_with_their_index() {
    let house = house();
    let answer = get(&house, "/static/docs/", &[]);
    assert_eq!((answer.status(), answer.text()), (200, "<p>docs".to_owned()));
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(get(&house, "/static/inner/", &[]).text(), "<p>docs");
    for (path, to) in [("/static/docs", "/static/docs/"), ("/static/docs?a=/b", "/static/docs/?a=/b")] {
        let answer = get(&house, path, &[]);
        assert_eq!((answer.status(), answer.header("location")), (308, Some(to)));
        assert_eq!(answer.header("cache-control"), Some("no-cache"));
    }
}

#[test]
fn head_has_no_body_and_other_methods_are_the_apps() {
    let house = house();
    let answer =
        house.send(&Request::new("HEAD", "site.test", "/static/site.css").header("range", "bytes=0-1"));
    assert_eq!((answer.status(), answer.header("content-length")), (200, Some("7")));
    assert!(answer.body.is_empty() && answer.header("etag").is_some());
    let mut connection = house.connect();
    for _ in 0..2 {
        connection.send(Request::new("HEAD", "site.test", "/static/site.css").bytes());
        connection.response("HEAD");
        connection.send(Request::get("site.test", "/static/site.css").bytes());
        assert_eq!(connection.response("GET").text(), "body{}\n");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND"] {
        let answer = house.send(&Request::new(method, "site.test", "/static/site.css"));
        assert!(is_apps(&answer), "{method}: {}", answer.text());
    }
}

#[test]
fn ranges() {
    let house = house();
    let ask = |range: &str| get(&house, "/static/0123456789", &[("range", range)]);
    for (range, part, said) in [
        ("bytes=0-0", "0", "bytes 0-0/10"),
        ("bytes=2-4", "234", "bytes 2-4/10"),
        ("bytes=7-", "789", "bytes 7-9/10"),
        ("bytes=-3", "789", "bytes 7-9/10"),
        ("bytes=8-1000", "89", "bytes 8-9/10"),
        ("bytes=0-18446744073709551615", "0123456789", "bytes 0-9/10"),
    ] {
        let answer = ask(range);
        assert_eq!((answer.status(), answer.text()), (206, part.to_owned()), "{range}");
        assert_eq!(answer.header("content-range"), Some(said), "{range}");
        assert_eq!(answer.header("content-length"), Some(&*part.len().to_string()), "{range}");
    }
    // RFC 9110, section 14.2: a server may ignore what it does not know, and several ranges.
    for range in [
        "bytes=0-1,3-4",
        "bytes=-11",
        "bytes=-99999999999999999999999",
        "items=0-1",
        "bytes",
        "bytes=0-0,0-0,0-0,0-0",
    ] {
        let answer = ask(range);
        assert_eq!((answer.status(), answer.text()), (200, "0123456789".to_owned()), "{range}");
    }
    for range in
        ["bytes=10-", "bytes=10-20", "bytes=-0", "bytes=4-2", "bytes=a-b", "bytes=18446744073709551616-"]
    {
        let answer = ask(range);
        assert_eq!((answer.status(), answer.header("content-range")), (416, Some("bytes */10")), "{range}");
        assert_eq!(answer.header("cache-control"), Some("no-cache"), "{range}");
    }
    assert_eq!(get(&house, "/static/empty.txt", &[("range", "bytes=0-")]).status(), 200);

    let whole = get(&house, "/static/0123456789", &[]);
    assert_eq!(whole.header("accept-ranges"), Some("bytes"));
    let (etag, modified) =
        (whole.header("etag").expect("a tag"), whole.header("last-modified").expect("a date"));
    for (if_range, status) in
        [(etag, 206), ("\"another\"", 200), (&*format!("W/{etag}"), 200), (modified, 200), ("?", 200)]
    {
        let answer = get(&house, "/static/0123456789", &[("range", "bytes=2-4"), ("if-range", if_range)]);
        assert_eq!(answer.status(), status, "{if_range}");
        assert_eq!(answer.text(), if status == 206 { "234" } else { "0123456789" }, "{if_range}");
    }
    let answer = get(&house, "/static/0123456789", &[("range", "bytes=20-"), ("if-range", "\"another\"")]);
    assert_eq!(
        (answer.status(), answer.text()),
        (200, "0123456789".to_owned()),
        "the range is of another file"
    );
}

#[test]
fn conditions() {
    let house = house();
    let whole = get(&house, "/static/site.css", &[]);
    let (etag, modified) =
        (whole.header("etag").expect("a tag"), whole.header("last-modified").expect("a date"));
    assert!(etag.starts_with('"'), "a strong tag: {etag}");
    let later = "Fri, 01 Jan 2100 00:00:00 GMT";
    let earlier = "Sat, 01 Jan 2000 00:00:00 GMT";
    for (headers, status) in [
        (&[("if-none-match", etag)][..], 304),
        (&[("if-none-match", &*format!("\"a,b\", W/{etag}"))], 304),
        (&[("if-none-match", "*")], 304),
        (&[("if-none-match", "\"another\"")], 200),
        (&[("if-none-match", "\"another\""), ("if-modified-since", later)], 200),
        (&[("if-none-match", "nonsense")], 200),
        (&[("if-modified-since", modified)], 304),
        (&[("if-modified-since", later)], 304),
        (&[("if-modified-since", earlier)], 200),
        (&[("if-modified-since", "yesterday")], 200),
        (&[("if-match", etag)], 200),
        (&[("if-match", "\"another\"")], 412),
        (&[("if-unmodified-since", earlier)], 412),
        (&[("if-unmodified-since", later)], 200),
        (&[("if-none-match", etag), ("range", "bytes=0-1")], 304),
    ] {
        let answer = get(&house, "/static/site.css", headers);
        assert_eq!(answer.status(), status, "{headers:?}");
        if status == 304 {
            assert!(answer.body.is_empty());
            for field in ["etag", "last-modified", "cache-control", "vary"] {
                assert_eq!(answer.header(field), whole.header(field), "{field}, {headers:?}");
            }
        }
    }
}

#[test]
fn what_is_said_of_caches() {
    let folder = folder();
    write(folder.path(), "kept/site.css", "kept");
    let keys =
        "static = { \"/static\" = \"static\", \"/kept\" = { path = \"kept\", cache-seconds = 600 } }\n";
    let house = start(folder, &Manifest::new().app("site", "info", keys));
    for (path, wanted) in [
        ("/static/site.css", "no-cache"),
        ("/static/app.0a1b2c3d4e5f.js", "public, max-age=31536000, immutable"),
        ("/kept/site.css", "public, max-age=600"),
    ] {
        assert_eq!(get(&house, path, &[]).header("cache-control"), Some(wanted), "{path}");
    }
}

#[test]
fn precompressed_files_are_sent_to_whom_takes_them() {
    let folder = folder();
    let path = folder.path();
    for (extension, text) in [("", "plain"), (".gz", "gzip"), (".br", "brotli"), (".zst", "zstandard")] {
        write(path, &format!("static/all.js{extension}"), text);
    }
    write(path, "static/one.js", "plain");
    write(path, "static/one.js.gz", "gzip");
    // What is older than its file was made of another, and what is empty of none.
    write(path, "static/stale.js.gz", "gzip");
    age(path, "static/stale.js.gz", 60);
    write(path, "static/stale.js", "plain");
    write(path, "static/hollow.js", "plain");
    write(path, "static/hollow.js.gz", "");
    write(path, "static/orphan.js.gz", "gzip");
    write(path, "static/linked.js", "plain");
    write(path, "secret.gz", "SECRET");
    symlink("../secret.gz", path.join("static/linked.js.gz")).expect("a link");
    let house = start(folder, &Manifest::new().app("site", "info", STATIC));
    for (name, accepted, text, encoding) in [
        ("all.js", "gzip", "gzip", Some("gzip")),
        ("all.js", "gzip;q=0.5, br;q=0.8", "brotli", Some("br")),
        ("all.js", "gzip;q=1.0, br;q=0.8, zstd;q=0.001", "gzip", Some("gzip")),
        ("all.js", "GZIP", "gzip", Some("gzip")),
        ("all.js", "gzip;q=0", "plain", None),
        ("all.js", "identity, gzip;q=0.5", "plain", None),
        ("all.js", "", "plain", None),
        ("all.js", "compress, deflate", "plain", None),
        ("all.js", "gzip;q=x, zstd", "zstandard", Some("zstd")),
        ("one.js", "gzip, deflate, br, zstd", "gzip", Some("gzip")),
        ("one.js", "br", "plain", None),
        ("stale.js", "gzip", "plain", None),
        ("hollow.js", "gzip", "plain", None),
        ("linked.js", "gzip", "plain", None),
    ] {
        let answer = get(&house, &format!("/static/{name}"), &[("accept-encoding", accepted)]);
        assert_eq!((answer.status(), answer.text()), (200, text.to_owned()), "{name}, {accepted}");
        assert_eq!(answer.header("content-encoding"), encoding, "{name}, {accepted}");
        assert_eq!(answer.header("content-type"), Some("text/javascript; charset=utf-8"));
        assert_eq!(answer.header("vary"), Some("accept-encoding"));
        let head =
            Request::new("HEAD", "site.test", &format!("/static/{name}")).header("accept-encoding", accepted);
        let head = house.send(&head);
        assert_eq!(
            (head.header("content-encoding"), head.header("content-length")),
            (encoding, answer.header("content-length"))
        );
    }
    // The tags of variants differ, and ranges are of the variant.
    let tag = |accepted| {
        get(&house, "/static/all.js", &[("accept-encoding", accepted)]).header("etag").map(str::to_owned)
    };
    assert_ne!(tag("gzip"), tag("br"));
    let answer = get(&house, "/static/all.js", &[("accept-encoding", "br"), ("range", "bytes=0-2")]);
    assert_eq!((answer.status(), answer.text()), (206, "bro".to_owned()));
    assert!(is_apps(&get(&house, "/static/orphan.js", &[("accept-encoding", "gzip")])));
    let by_name = get(&house, "/static/all.js.gz", &[("accept-encoding", "gzip")]);
    assert_eq!(
        (by_name.header("content-encoding"), by_name.header("content-type")),
        (None, Some("application/gzip"))
    );
}

#[test]
fn prefixes_are_relative_to_the_route() {
    let folder = folder();
    write(folder.path(), "big/site.css", "big");
    let keys = "static = { \"/static\" = \"static\", \"/static/big\" = \"big\" }\n";
    let manifest = Manifest::new()
        .app("plain", "info", &format!("routes = [\"site.test/plain\"]\n{keys}"))
        .app(
            "strips",
            "info",
            &format!("routes = [{{ route = \"site.test/strips\", strip-prefix = true }}]\n{keys}"),
        )
        .app("inner", "info", "routes = [\"site.test/plain/static/inner.css\"]");
    let house = start(folder, &manifest);
    for mount in ["/plain", "/strips"] {
        assert_eq!(get(&house, &format!("{mount}/static/site.css"), &[]).text(), "body{}\n");
        assert_eq!(get(&house, &format!("{mount}/static/big/site.css"), &[]).text(), "big");
        let answer = get(&house, &format!("{mount}/static/docs"), &[]);
        assert_eq!(answer.header("location"), Some(&*format!("{mount}/static/docs/")));
    }
    assert!(is_apps(&get(&house, "/strips/static/none", &[])));
    assert_eq!(get(&house, "/strips/static/none", &[]).json()["path"], "/static/none");
    // The longest prefix decides, and no shorter one is asked after it.
    assert!(is_apps(&get(&house, "/plain/static/big/docs/index.html", &[])));
    // A more specific route goes before.
    assert!(is_apps(&get(&house, "/plain/static/inner.css", &[])));
    assert_eq!(get(&house, "/static/site.css", &[]).status(), 404);
}

#[test]
fn a_whole_site_beside_an_app() {
    let folder = folder();
    write(folder.path(), "static/index.html", "<h1>home");
    let house = start(folder, &Manifest::new().app("site", "info", "static = { \"/\" = \"static\" }\n"));
    assert_eq!(get(&house, "/", &[]).text(), "<h1>home");
    assert_eq!(get(&house, "/site.css", &[]).text(), "body{}\n");
    assert_eq!(get(&house, "/docs", &[]).header("location"), Some("/docs/"));
    for path in ["/api", "/bare", "/bare/", "/.env", "/guesthouse.toml", "//docs", "//site.css"] {
        assert!(is_apps(&get(&house, path, &[])), "{path}");
    }
    assert!(is_apps(&house.send(&Request::post("site.test", "/", "x"))));
}

/// No restart and no reload: the folder is looked into with each request.
#[test]
fn files_and_folders_come_change_and_go() {
    let folder = folder();
    fs::rename(folder.path().join("static"), folder.path().join("later")).expect("a rename");
    let house = start(folder, &Manifest::new().app("site", "info", STATIC));
    let path = house.folder();
    let told =
        house.errors().matching(|entry| entry.message().contains("the folder `static` does not exist"));
    assert!(
        !told.is_empty(),
        "{:?}",
        house.errors().entries().iter().map(ToString::to_string).collect::<Vec<_>>()
    );
    assert!(is_apps(&get(&house, "/static/site.css", &[])));
    fs::rename(path.join("later"), path.join("static")).expect("a rename");
    let first = get(&house, "/static/site.css", &[]);
    assert_eq!(first.text(), "body{}\n");
    let etag = first.header("etag").expect("a tag");

    write(path, "static/site.css", "body{color:red}\n");
    let second = get(&house, "/static/site.css", &[("if-none-match", etag)]);
    assert_eq!((second.status(), second.text()), (200, "body{color:red}\n".to_owned()));
    // Another folder in its place, by a link as deployments make them.
    write(path, "release-2/site.css", "body{}/*2*/");
    fs::rename(path.join("static"), path.join("gone")).expect("a rename");
    symlink("release-2", path.join("static")).expect("a link");
    assert_eq!(get(&house, "/static/site.css", &[]).text(), "body{}/*2*/");
    fs::remove_file(path.join("release-2/site.css")).expect("the file goes");
    assert!(is_apps(&get(&house, "/static/site.css", &[])));
    // A time that HTTP cannot tell: no date, and no tag made of it.
    write(path, "release-2/old.css", "old");
    let file = fs::File::options().write(true).open(path.join("release-2/old.css")).expect("the file");
    for time in
        [SystemTime::UNIX_EPOCH - Duration::from_secs(9), SystemTime::now() + Duration::from_secs(3600)]
    {
        file.set_modified(time).expect("a time");
        let answer =
            get(&house, "/static/old.css", &[("if-modified-since", "Sat, 01 Jan 2000 00:00:00 GMT")]);
        assert_eq!((answer.status(), answer.text()), (200, "old".to_owned()));
        assert_eq!((answer.header("last-modified"), answer.header("etag")), (None, None));
    }
}

#[test]
fn another_folder_is_no_other_generation() {
    let folder = folder();
    write(folder.path(), "other/site.css", "other");
    let of = |keys: &str| Manifest::new().head("[host]\nwatch = false").app("site", "info", keys);
    let house = start(folder, &of(STATIC));
    assert_eq!(get(&house, "/static/site.css", &[]).text(), "body{}\n");
    house.rewrite(&of("static = { \"/assets\" = \"other\" }\n"));
    let reloaded = house.api().reload().done();
    assert_eq!(reloaded["changes"][0]["action"], "rerouted", "{reloaded:#}");
    assert_eq!(reloaded["changes"][0]["differs"], serde_json::json!(["static"]));
    assert!(is_apps(&get(&house, "/static/site.css", &[])));
    assert_eq!(get(&house, "/assets/site.css", &[]).text(), "other");
    assert_eq!(house.api().serving("site"), 1);
    // A swap leaves the folders as they are, and the counts go on.
    house.api().swap("site", &serde_json::json!({ "settings": { "A": 1 } })).done();
    assert_eq!(get(&house, "/assets/site.css", &[]).text(), "other");
    let app = house.api().app("site");
    assert_eq!((&app["static"]["requests"], &app["static"]["failures"]), (&3.into(), &0.into()), "{app:#}");
    assert_eq!(app["serving"]["requests"], 0, "{app:#}");
    house.rewrite(&of("static = { \"/assets\" = \"secret.txt\" }\n"));
    let refused = house.api().reload().unfit();
    assert!(refused.contains("the folder `secret.txt` is no folder"), "{refused}");
    assert_eq!(get(&house, "/assets/site.css", &[]).text(), "other");
    house.rewrite(&of(""));
    house.api().reload().done();
    assert!(is_apps(&get(&house, "/assets/site.css", &[])));
    assert!(house.api().app("site").get("static").is_none());
}

#[test]
fn the_access_log_tells_files_from_the_apps_answers() {
    let house = start(folder(), &Manifest::new().app("site", "info", STATIC));
    get(&house, "/static/site.css", &[]);
    get(&house, "/static/none.css", &[]);
    let line = |path: &str| {
        house.log().wait_for("the line", |entry| entry.is_access("site") && entry.text("path") == path)
    };
    let file = line("/static/site.css");
    assert_eq!(
        (file.text("static"), file.text("generation"), file.text("bytes")),
        ("true".into(), String::new(), "7".into())
    );
    assert_eq!((file.text("status"), file.text("cut")), ("200".into(), String::new()));
    let apps = line("/static/none.css");
    assert_eq!((apps.text("static"), apps.text("generation")), (String::new(), "1".into()));
    let table = house.command(&["status"]).stdout;
    assert!(table.lines().any(|line| line.contains("static files") && line.contains('1')), "{table}");
}

#[test]
fn large_files_come_whole_and_in_parts() {
    let folder = folder();
    let bytes = content(LARGE);
    write(folder.path(), "static/large.bin", &bytes);
    let house = start(folder, &Manifest::new().app("site", "info", STATIC));
    assert!(get(&house, "/static/large.bin", &[]).body == bytes);
    let (from, to) = (1_000_003, LARGE - 70_001);
    let answer = get(&house, "/static/large.bin", &[("range", &*format!("bytes={from}-{to}"))]);
    assert!(answer.status() == 206 && answer.body == bytes[from..=to]);
}

/// A file that changes its length under way is never taken for whole, and never longer than announced.
#[test]
fn a_file_that_shrinks_is_broken_off() {
    let folder = folder();
    write(folder.path(), "static/large.bin", content(LARGE));
    let house = start(folder, &Manifest::new().app("site", "info", STATIC));
    let mut connection = house.connect();
    connection.send(Request::get("site.test", "/static/large.bin").bytes());
    let head = connection.head();
    let file =
        fs::File::options().write(true).open(house.folder().join("static/large.bin")).expect("the file");
    file.set_len(70_000).expect("a length");
    let broken = connection.rest(head, "GET").expect_err("a broken answer");
    assert!(broken.body.len() < LARGE);
    assert!(broken.why.ends_with("then the end"), "{broken}");
    let line = house.log().wait_for("the access line", |entry| entry.is_access("site"));
    assert_eq!(line.text("cut"), "true", "{line}");
    house.log().wait_for("why", |entry| entry.text("cause") == "static-file");
    assert_eq!(house.api().app("site")["static"]["failures"], 1);

    let mut connection = house.connect();
    write(house.folder(), "static/grows.bin", content(LARGE));
    connection.send(Request::get("site.test", "/static/grows.bin").bytes());
    let head = connection.head();
    fs::File::options()
        .append(true)
        .open(house.folder().join("static/grows.bin"))
        .expect("the file")
        .set_len(2 * LARGE as u64)
        .expect("a length");
    assert_eq!(connection.rest(head, "GET").expect("a whole answer").body.len(), LARGE);
    connection.send(Request::get("site.test", "/static/site.css").bytes());
    assert_eq!(connection.response("GET").text(), "body{}\n");
}

#[test]
fn who_does_not_read_holds_a_place_for_a_while_and_no_more() {
    let folder = folder();
    write(folder.path(), "static/large.bin", content(LARGE));
    let manifest = Manifest::new()
        .server("body-ms = 3000")
        .app("site", "info", &format!("{STATIC}limits = {{ static-files = 2 }}"))
        .app("other", "info", &format!("routes = [\"other.test\"]\n{STATIC}"));
    let house = start(folder, &manifest);
    let begun = Instant::now();
    let mut holding: Vec<_> = (0..2)
        .map(|_| {
            let mut connection = house.connect();
            connection.send(Request::get("site.test", "/static/large.bin").bytes());
            connection.head();
            connection
        })
        .collect();
    let refused = get(&house, "/static/site.css", &[]);
    assert_eq!((refused.status(), refused.header("retry-after")), (503, Some("1")), "{}", refused.text());
    // What is no file is not kept waiting, nor are others.
    assert!(is_apps(&get(&house, "/static/none.css", &[])));
    assert!(is_apps(&get(&house, "/", &[])));
    assert_eq!(house.get("other", "/static/site.css").text(), "body{}\n");
    assert_eq!(house.api().app("site")["static"]["refused"], 1);
    house.log().wait_for("the limit", |entry| entry.message().contains("limits.static-files = 2"));
    let free = house.api().wait_for_app("site", "free places", |app| app["static"]["in_flight"] == 0);
    assert!(begun.elapsed() < Duration::from_secs(40), "{free:#}");
    assert_eq!(get(&house, "/static/site.css", &[]).text(), "body{}\n");
    holding.clear();
    let cut = house.log().wait_for_count("cut answers", 2, |entry| entry.text("cut") == "true");
    assert!(cut.iter().all(|line| line.text("static") == "true"));
}

#[test]
fn explain_and_check_tell_of_static_files() {
    let folder = folder();
    let manifest = Manifest::new().app("site", "info", STATIC).text();
    fs::write(folder.path().join("guesthouse.toml"), manifest).expect("the manifest");
    let explain = |path: &str| run(folder.path(), &["explain", &format!("http://site.test{path}")]).stdout;
    assert!(
        explain("/static/site.css").contains("the host answers GET and HEAD itself, with"),
        "{}",
        explain("/static/site.css")
    );
    assert!(explain("/static/docs").contains("static/docs/index.html"));
    assert!(explain("/static/none").contains("the app is asked, since there is no file"));
    assert!(!explain("/other").contains("static:"));
    let checked = run(folder.path(), &["check"]);
    assert!(checked.stdout.contains("static /static = "), "{}", checked.stdout);
}
