//! Which of fifty packages that web apps use work in a guest: what is seen is what docs/packages.md says. And
//! `guesthouse build` warns of those that do not.

use std::{
    collections::BTreeMap,
    fmt::Write,
    fs::{self, File},
    path::{Path, PathBuf},
};

use guesthouse_tests::{Manifest, Outcome, Postgres, RedisOnPort, Script, exec_with, run};
use serde_json::Value;

/// Writes the page's table anew instead of holding it against what is seen.
const WRITE: &str = "GUESTHOUSE_WRITE_PACKAGES";

const HEAD: &str = "| Package | Rank | In a guest | What was tried | Instead |\n|---|---|---|---|---|\n";

/// The fifty, each with its rank among all packages by downloads.
const PACKAGES: [(&str, u32); 50] = [
    ("boto3", 1),
    ("urllib3", 3),
    ("requests", 6),
    ("cryptography", 11),
    ("python-dateutil", 13),
    ("PyYAML", 15),
    ("pydantic", 16),
    ("numpy", 20),
    ("httpx", 34),
    ("python-dotenv", 42),
    ("PyJWT", 44),
    ("Jinja2", 45),
    ("starlette", 53),
    ("jsonschema", 55),
    ("uvicorn", 57),
    ("fastapi", 67),
    ("pillow", 78),
    ("SQLAlchemy", 98),
    ("lxml", 102),
    ("beautifulsoup4", 103),
    ("Werkzeug", 140),
    ("redis", 143),
    ("psycopg2-binary", 147),
    ("Flask", 181),
    ("bcrypt", 184),
    ("alembic", 193),
    ("orjson", 194),
    ("marshmallow", 257),
    ("gunicorn", 271),
    ("sentry-sdk", 281),
    ("Markdown", 302),
    ("PyMySQL", 332),
    ("psycopg", 368),
    ("bleach", 418),
    ("argon2-cffi", 437),
    ("celery", 506),
    ("Django", 528),
    ("pg8000", 599),
    ("Flask-SQLAlchemy", 737),
    ("Flask-Login", 809),
    ("mysqlclient", 840),
    ("djangorestframework", 850),
    ("Flask-WTF", 960),
    ("django-cors-headers", 999),
    ("django-filter", 1193),
    ("django-extensions", 1254),
    ("whitenoise", 1284),
    ("django-debug-toolbar", 1542),
    ("django-environ", 1689),
    ("django-allauth", 2226),
];

/// What `guests/test-packages/tried.py` prints of a package.
struct Package {
    name: String,
    version: Option<String>,
    /// What was tried, and the error that it came to.
    tries: Vec<(String, Option<String>)>,
}

impl Package {
    fn of(line: &str) -> Package {
        let told: Value = serde_json::from_str(line).expect("JSON");
        let tries = told["seen"].as_array().expect("a list").iter();
        Package {
            name: text(&told["package"]).expect("a name"),
            version: text(&told["version"]),
            tries: tries.map(|seen| (text(&seen["what"]).expect("a text"), text(&seen["error"]))).collect(),
        }
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the repository")
}

/// What is known of those that do not work, or only in part: by normalised names.
fn known() -> Value {
    let text = fs::read(repository().join("guests/python/builder/packages.json")).expect("what is known");
    serde_json::from_slice(&text).expect("JSON")
}

/// The components of the projects in which packages are tried. The first build takes minutes.
fn components() -> PathBuf {
    let folder = repository().join("guests/test-packages");
    fs::create_dir_all(folder.join(".guesthouse")).expect("a folder");
    let lock = File::create(folder.join(".guesthouse/lock")).expect("a lock file");
    lock.lock().expect("the lock of the components");
    let built = run(&folder, &["build"]);
    assert_eq!(built.code, Some(0), "{}", built.stderr);
    folder.join(".guesthouse/components")
}

/// Runs the checks of a project in its guest.
fn seen(folder: &Path, app: &str) -> Vec<Package> {
    let runner = fs::read_to_string(repository().join("guests/test-packages/tried.py"));
    let outcome = exec_with(folder, app, &["python"], &runner.expect("the runner"));
    let lines = outcome.stdout.lines().filter(|line| line.starts_with('{'));
    let packages: Vec<Package> = lines.map(Package::of).collect();
    // With what was said of each failure, for whoever finds the page wrong.
    eprintln!("{}", outcome.stderr);
    assert_eq!(outcome.code, Some(0), "{app} ended after {} packages", packages.len());
    packages
}

/// One package's line of the page. What is known of it has to agree with what was seen.
fn line(name: &str, rank: u32, package: &Package, known: &Value) -> String {
    let failed = package.tries.iter().filter(|(_, error)| error.is_some()).count();
    let found = match failed {
        0 => "yes",
        _ if failed < package.tries.len() => "in part",
        _ => "no",
    };
    let field = |name: &str| known[name].as_str().unwrap_or_default();
    // Another package is there, with which it works.
    let helped = failed == 0 && !field("unless").is_empty();
    let told = if helped || known.is_null() { "yes" } else { field("works") };
    assert!(
        told == found || (told, found) == ("not needed", "no"),
        "{name}: `{told}` in guests/python/builder/packages.json, but `{found}` was seen"
    );
    let tries: Vec<String> = package.tries.iter().map(attempt).collect();
    let (why, instead) = match (known.is_null(), helped) {
        (true, _) => (String::new(), ""),
        (false, true) => (format!(", with {}", field("unless")), ""),
        (false, false) => (format!(": {}", field("why")), field("instead")),
    };
    let version = package.version.as_deref().unwrap_or("(no wheel)");
    format!("| {name} {version} | {rank} | **{told}**{why} | {} | {instead} |", tries.join("; "))
}

fn attempt((what, error): &(String, Option<String>)) -> String {
    let error = error.as_ref().map_or(String::new(), |error| format!(" – `{}`", error.replace('|', "/")));
    format!("{what}{error}")
}

#[test]
fn the_page_says_which_packages_work() {
    let (redis, postgres) = (RedisOnPort::start(), Postgres::start());
    let (web, mysql) = (Script::start("objects", &[]), Script::start("mysql", &[]));
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("data")).expect("a folder");
    let components = components();
    let address = |port: u16| format!("127.0.0.1:{port}");
    let site = format!(
        "limits.memory-mib = 512\nsettings.DJANGO_SETTINGS_MODULE = \"settings\"\n[apps.site.grants]\ntcp = {:?}\n\
         env = {{ REDIS_PORT = \"{}\", POSTGRES_PORT = \"{}\", MYSQL_PORT = \"{}\" }}\n\
         dirs = {{ \"/data\" = {{ path = \"data\", write = true }} }}\n",
        [redis.port, postgres.port, mysql.port].map(address),
        redis.port,
        postgres.port,
        mysql.port
    );
    let more = format!(
        "limits.memory-mib = 512\ngrants.http = [\"http://{0}\"]\ngrants.env.WEB = \"http://{0}\"\n",
        address(web.port)
    );
    let manifest = Manifest::new()
        .app_of("site", &components.join("site.wasm"), &site)
        .app_of("more", &components.join("more.wasm"), &more)
        .app_of("instead", &components.join("instead.wasm"), "limits.memory-mib = 512\n");
    fs::write(folder.path().join("guesthouse.toml"), manifest.text()).expect("the manifest is written");

    for package in seen(folder.path(), "instead") {
        for (what, error) in package.tries {
            assert_eq!(error, None, "{}: {what}", package.name);
        }
    }
    let mut packages: BTreeMap<String, Package> = BTreeMap::new();
    for package in ["site", "more"].iter().flat_map(|app| seen(folder.path(), app)) {
        packages.insert(package.name.to_lowercase(), package);
    }
    let known = known();
    let mut lines = Vec::new();
    for (name, rank) in PACKAGES {
        let package = packages.remove(&name.to_lowercase()).unwrap_or_else(|| panic!("{name} was not tried"));
        lines.push(line(name, rank, &package, &known[name.to_lowercase()]));
    }
    assert!(packages.is_empty(), "not among the fifty: {:?}", packages.keys());
    compare(&lines);
}

fn compare(lines: &[String]) {
    let path = repository().join("docs/packages.md");
    let page = fs::read_to_string(&path).expect("docs/packages.md");
    let (before, rest) = page.split_once(HEAD).expect("the head of the table");
    let (table, after) = rest.split_once("\n\n").expect("an end of the table");
    if std::env::var_os(WRITE).is_some() {
        fs::write(&path, format!("{before}{HEAD}{}\n\n{after}", lines.join("\n")))
            .expect("the page is written");
        return;
    }
    let said: Vec<&str> = table.lines().collect();
    let mut wrong = String::new();
    for line in lines.iter().filter(|line| !said.contains(&line.as_str())) {
        writeln!(wrong, "the page has to say:\n{line}").expect("a text");
    }
    for line in said.iter().filter(|said| !lines.iter().any(|line| line == *said)) {
        writeln!(wrong, "the page says:\n{line}").expect("a text");
    }
    assert!(wrong.is_empty(), "docs/packages.md is not what was seen ({WRITE}=1 writes it)\n{wrong}");
    assert_eq!(said, lines, "the order of docs/packages.md");
}

/// Builds a project that was not built before, with these requirements and this application.
fn build(requirements: &str, source: &str) -> Outcome {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("a file");
    write("requirements.txt", requirements);
    // So that no component of the cache is of the same sources.
    write("app.py", &format!("# {}\n{source}", folder.path().display()));
    let source =
        "source = { python = \".\", wsgi = \"app:application\", requirements = \"requirements.txt\" }";
    write("guesthouse.toml", &format!("[apps.app]\nroutes = [\"app.test\"]\n{source}\n"));
    run(folder.path(), &["build"])
}

const REQUIREMENTS: &str = "orjson==3.13.0\nPyJWT==2.15.1\nitsdangerous==2.2.0\ngunicorn==27.0.1\n";

const APPLICATION: &str = "def application(environ, start_response):\n    raise ValueError\n";

#[test]
fn a_build_warns_of_requirements_that_do_not_work() {
    let built = build(REQUIREMENTS, APPLICATION);
    assert_eq!(built.code, Some(0), "{}", built.stderr);
    let warned: Vec<&str> = built.stderr.lines().filter(|line| line.contains("warning: ")).collect();
    assert_eq!(warned.len(), 2, "{}", built.stderr);
    for (name, verb, instead) in
        [("orjson", "does not work", "`json`"), ("pyjwt", "works in part", "python-jose")]
    {
        let warning = format!("warning: the requirement `{name}` {verb} in a guest: ");
        assert!(built.stderr.contains(&warning), "{}", built.stderr);
        assert!(built.stderr.contains(&format!("hint: instead: {instead}")), "{}", built.stderr);
    }
}

#[test]
fn a_build_that_fails_for_a_requirement_says_what_to_use_instead() {
    let built = build(REQUIREMENTS, "import orjson\napplication = orjson.loads\n");
    assert_eq!(built.code, Some(1), "{}", built.stderr);
    assert!(built.stderr.contains("error: `orjson` needs native code"), "{}", built.stderr);
    let hint =
        built.stderr.split_once("error: `orjson`").map(|(_, rest)| rest.contains("hint: instead: `json`"));
    assert_eq!(hint, Some(true), "{}", built.stderr);
    // One of which pip finds no wheel at all.
    let built = build("mysqlclient==2.3.1\n", APPLICATION);
    assert_eq!(built.code, Some(1), "{}", built.stderr);
    let help = "help: the requirement `mysqlclient` does not work in a guest: native code, for which there is no wheel; instead: PyMySQL";
    assert!(built.stderr.contains(help), "{}", built.stderr);
}
