//! Manifests and what is made of them: beside each `tests/manifest/x.toml` stands `x.plan` with the plan, or `x.err` with
//! the report, to the letter. `BLESS=1 cargo test --test manifest` writes them anew; then read the difference.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Once,
};

use guesthouse::{
    manifest,
    plan::{self, Admin, ListenAddr, Plan},
    report::Report,
};
use proptest::prelude::*;

/// The folder of the manifests. Its files of tokens and secrets get the modes that git does not keep.
fn dir() -> PathBuf {
    static MODES: Once = Once::new();
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/manifest");
    MODES.call_once(|| {
        let tokens =
            [("admin.token", 0o600), ("empty.token", 0o600), ("words.token", 0o600), ("open.token", 0o644)];
        let secrets = [("db.secret", 0o600), ("empty.secret", 0o600), ("open.secret", 0o644)];
        for (name, mode) in tokens.into_iter().chain(secrets) {
            let path = dir.join("files").join(name);
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
    });
    dir
}

/// The environment of all manifests here: that of the machine would make plans differ.
fn variable(name: &str) -> Option<String> {
    let value = match name {
        "HOME" => "/home/operator",
        "TITLE" => "title",
        "PORT" => "8123",
        "EMPTY" => "",
        "SHOP_KEY" => "planted",
        "TRICKY" => "${TITLE}",
        _ => return None,
    };
    Some(value.to_owned())
}

fn load(file: &str) -> Result<(Plan, Report), Report> {
    Plan::load(&dir().join(file), &variable)
}

/// What stands in the file beside a manifest: its extension and text, with `DIR` for the folder of the tests.
fn outcome(manifest: &str) -> (&'static str, String) {
    let (extension, text) = match load(manifest) {
        Ok((plan, report)) if report.is_empty() => ("plan", plan.describe_in_full()),
        Ok((plan, report)) => ("plan", format!("{}\n{report}", plan.describe_in_full())),
        Err(report) => ("err", format!("{report}\n{}\n", report.count())),
    };
    (extension, text.replace(&dir().display().to_string(), "DIR"))
}

#[test]
fn every_manifest_gives_the_plan_or_the_report_beside_it() {
    let bless = env::var_os("BLESS").is_some();
    let mut names: Vec<String> = Vec::new();
    let mut others: Vec<String> = Vec::new();
    for entry in fs::read_dir(dir()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        match name.rsplit_once('.') {
            Some((stem, "toml")) => names.push(stem.to_owned()),
            Some((_, "plan" | "err")) => others.push(name),
            _ => {}
        }
    }
    names.sort();
    assert!(names.len() >= 40, "{} manifests found", names.len());

    let mut wrong = String::new();
    for name in &names {
        let (extension, found) = outcome(&format!("{name}.toml"));
        let beside = format!("{name}.{extension}");
        others.retain(|other| *other != beside);
        let path = dir().join(&beside);
        if bless {
            fs::write(&path, &found).unwrap();
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        if found != expected {
            wrong.push_str(&format!("=== {beside}\n--- expected\n{expected}\n--- found\n{found}\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}(BLESS=1 writes the files anew)");
    assert!(others.is_empty(), "files that no manifest gives: {others:?}");
}

#[test]
fn a_manifest_that_is_not_there_is_said_to_be_so() {
    let report = Plan::load(Path::new("nowhere/guesthouse.toml"), &variable).unwrap_err();
    let expected = "\
error: there is no manifest `nowhere/guesthouse.toml`
 |
 = help: name one with `-m FILE` (by default it is `guesthouse.toml` in the current folder), or see a sample house with \
`guesthouse demo`
";
    assert_eq!(report.to_string(), expected);
}

#[test]
fn a_manifest_that_cannot_be_read_is_said_to_be_so() {
    let report = load("files").unwrap_err().to_string();
    assert!(report.contains("cannot be read: Is a directory"), "{report}");
    assert!(report.contains("name the file in it"), "{report}");
    let report = load("files/latin-1.toml").unwrap_err().to_string();
    assert!(report.contains("the manifest is not UTF-8"), "{report}");
    assert!(report.contains("latin-1.toml:1:13"), "{report}");
}

#[test]
fn colours_are_the_callers_choice() {
    let report = load("err-empty.toml").unwrap_err();
    assert!(!report.render(false).contains('\u{1b}'));
    assert!(report.render(true).contains("\u{1b}["));
}

#[test]
fn of_very_many_problems_the_first_are_shown() {
    let text: String = (0..150).map(|n| format!("[apps.a{n}]\nroutes = 5\n")).collect();
    let mut report = Report::default();
    manifest::parse("x.toml", &text, &mut report);
    let shown = report.to_string();
    assert_eq!((report.problems().len(), shown.matches("--> x.toml:").count()), (150, 100));
    assert!(shown.ends_with("\n\n... and 50 more\n"), "{shown}");
    assert_eq!(report.count(), "150 errors");
}

#[test]
fn the_cache_folder_is_the_first_that_is_named() {
    let cache = |manifest: &str, variables: &[(&str, &str)]| {
        let variable = |name: &str| Some(variables.iter().find(|(key, _)| *key == name)?.1.to_owned());
        let (plan, _) = Plan::load(&dir().join(manifest), &variable).unwrap();
        plan.cache_dir.display().to_string().replace(&dir().display().to_string(), "DIR")
    };
    let named = ("GUESTHOUSE_CACHE_DIR", "/named");
    let (xdg, home) = (("XDG_CACHE_HOME", "/xdg"), ("HOME", "/home/operator"));
    assert_eq!(cache("minimal.toml", &[named, xdg, home]), "/named");
    assert_eq!(cache("minimal.toml", &[xdg, home]), "/xdg/guesthouse");
    assert_eq!(
        cache("minimal.toml", &[("XDG_CACHE_HOME", "relative"), home]),
        "/home/operator/.cache/guesthouse"
    );
    assert_eq!(
        cache("minimal.toml", &[("GUESTHOUSE_CACHE_DIR", ""), home]),
        "/home/operator/.cache/guesthouse"
    );
    assert_eq!(cache("minimal.toml", &[]), "DIR/.guesthouse/cache");
    assert_eq!(cache("everything.toml", &[xdg, home]), "DIR/cache");
    assert_eq!(cache("everything.toml", &[named, home]), "/named");
}

#[test]
fn the_state_folder_is_the_first_that_is_named() {
    let state = |manifest: &str, named: Option<&str>| {
        let variable = |name: &str| {
            if name == "GUESTHOUSE_STATE_DIR" { named.map(str::to_owned) } else { variable(name) }
        };
        let (plan, _) = Plan::load(&dir().join(manifest), &variable).unwrap();
        plan.state_dir
    };
    assert_eq!(state("minimal.toml", Some("/named")), Path::new("/named"));
    assert_eq!(state("everything.toml", Some("/named")), Path::new("/named"));
    assert_eq!(state("everything.toml", None), dir().join("state"));
    assert_eq!(state("everything.toml", Some("")), dir().join("state"));
    assert_eq!(state("minimal.toml", None), dir().join(".guesthouse/state"));
    assert_eq!(state("minimal.toml", Some("relative")), env::current_dir().unwrap().join("relative"));
}

#[test]
fn the_admin_listener_is_found_however_broken_the_manifest_is() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = folder.path().join("guesthouse.toml");
    let admin = |text: &str| {
        fs::write(&manifest, text).unwrap();
        plan::admin(&manifest, &variable).unwrap()
    };
    let by_default = Some(Admin {
        address: ListenAddr::Unix(folder.path().join(".guesthouse/admin.sock")),
        token_file: None,
        named: false,
    });
    assert_eq!(admin(""), by_default);
    assert_eq!(admin("[apps.a]\nroutes = [\nunknown = 5\n[listen]\nhttp = 7\n"), by_default);
    // The token file is neither there nor needed to tell where the listener is.
    let named = Some(Admin {
        address: ListenAddr::Tcp("127.0.0.1:8123".parse().unwrap()),
        token_file: Some(folder.path().join("no.token")),
        named: true,
    });
    let listen = "admin = \"127.0.0.1:${PORT}\"\nadmin-token-file = \"no.token\"\n";
    assert_eq!(
        admin(&format!("[listen]\nhttp = [1,\n{listen}[apps.a]\ncomponent = \"${{NO}}\"\n= 5\n")),
        named
    );
    assert_eq!(admin(&format!("[listen]\n{listen}admin-tocken = 5\nhttp = \"127.0.0.1:8123\"\n")), named);
    assert_eq!(admin("listen = { admin = \"off\" }\napps = 5\n"), None);
    assert_eq!(admin("[listen]\nadmin = \"127.0.0.1:${NO_PORT}\"\n"), None);

    let report = plan::admin(&folder.path().join("none.toml"), &variable).unwrap_err();
    assert!(report.to_string().contains("there is no manifest"), "{report}");
    assert!(plan::admin(folder.path(), &variable).is_err());
}

#[test]
fn where_the_default_admin_socket_cannot_be_there_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("a-folder-with-a-long-name/".repeat(4));
    fs::create_dir_all(&deep).unwrap();
    let manifest = deep.join("guesthouse.toml");
    let load = |listen: &str| {
        let app = dir().join("files/app.wasm");
        let text = format!("{listen}[apps.a]\ncomponent = {app:?}\nroutes = [\"*\"]\n");
        fs::write(&manifest, text).unwrap();
        Plan::load(&manifest, &variable).unwrap()
    };
    let (plan, report) = load("");
    assert!(plan.admin.is_none() && report.is_empty(), "{report}");
    assert_eq!(plan::admin(&manifest, &variable).unwrap(), None);
    // Who names a token wants a listener for it.
    let (plan, report) = load("[listen]\nadmin-token-file = \"x\"\n");
    let report = report.to_string();
    assert!(plan.admin.is_none() && report.contains("the default socket is too long"), "{report}");
}

#[test]
fn listen_addresses_are_read_as_they_are_written() {
    for text in ["127.0.0.1:8000", "[::1]:0", "unix:/run/house.sock"] {
        assert_eq!(text.parse::<ListenAddr>().unwrap().to_string(), text);
    }
    let slashes: ListenAddr = "unix:///run/house.sock".parse().unwrap();
    assert_eq!(slashes.to_string(), "unix:/run/house.sock");
    let error = ":8000".parse::<ListenAddr>().unwrap_err().to_string();
    assert!(
        error.starts_with("`:8000` is no listen address; name the address too: 127.0.0.1:8000"),
        "{error}"
    );
}

#[test]
fn what_check_shows_holds_no_values_of_settings() {
    let (plan, _) = load("everything.toml").unwrap();
    let shown = plan.describe();
    assert!(shown.contains("setting SITE_TITLE\n") && shown.contains("grant env LANG\n"), "{shown}");
    assert!(!shown.contains("Shop at") && !shown.contains("de_AT"), "{shown}");
    assert!(plan.describe_in_full().contains("setting SITE_TITLE = \"Shop\"\n"));
}

#[test]
fn explain_tells_which_app_answers_and_why() {
    let (plan, _) = load("everything.toml").unwrap();
    let explain = |url: &str| {
        let explanation = plan::explain(&plan, url).unwrap();
        (explanation.app.as_deref().unwrap_or("none").to_owned(), explanation.text)
    };
    let (app, text) = explain("http://EXAMPLE.com/x/../%73hop/cart?a=b");
    let expected = format!(
        "app `shop` answers, by its route `example.com/shop`
  component: {}/files/app.wasm
  path: /x/../%73hop/cart is the same as /shop/cart
  the app sees: /cart, mounted at /shop
  header set: x-site: shop
  header set: x-home: /home/operator

routes for this host, the most specific first:
  example.com/shop  shop  answers
",
        dir().display()
    );
    assert_eq!((app.as_str(), text), ("shop", expected));

    let (app, text) = explain("https://example.com");
    assert_eq!(app, "none");
    let expected = "no app answers: 404\n  add the host to the routes of an app: routes = [\"example.com\"]\n\n\
                    routes for this host, the most specific first:\n  example.com/shop  shop  no: only for paths below /shop\n";
    assert_eq!(text, expected);
    assert!(explain("nobody.example.org/").1.contains("no route is for this host"));

    let errors = ["ftp://x", "http://", "http://user@x/", "http://a b"]
        .map(|url| plan::explain(&plan, url).unwrap_err());
    assert!(errors.iter().all(|error| !error.to_string().is_empty()), "{errors:?}");
}

#[test]
fn explain_weighs_host_then_port_then_path() {
    let (plan, _) = load("routes-of-every-kind.toml").unwrap();
    let text = plan::explain(&plan, "http://example.com:8000/Shop/x").unwrap().text;
    let expected = "\
routes for this host, the most specific first:
  example.com:443/shop  a  no: only for port 443
  example.com:8000      a  answers
  example.com/Shop      a  matches too, but it names no port
  example.com           a  matches too, but it names no port
  *:9000                a  no: only for port 9000
  *                     a  matches too, but its host is less specific
";
    assert!(text.ends_with(expected), "{text}");
}

#[test]
fn the_schema_is_json_and_speaks_of_every_table() {
    let schema: serde_json::Value = serde_json::from_str(&manifest::schema()).unwrap();
    assert_eq!(schema["title"], "Guesthouse manifest");
    assert_eq!(schema["properties"]["apps"]["additionalProperties"]["$ref"], "#/$defs/App");
    let limits = &schema["$defs"]["Limits"]["properties"]["request-ms"];
    assert_eq!(limits["default"], 30_000);
    assert_eq!(
        limits["description"],
        "Milliseconds until the head of the answer. By default not more than `stream-ms`."
    );
}

/// A sound manifest with some of its bytes gone, doubled or replaced.
fn mangled() -> impl Strategy<Value = String> {
    let text = fs::read_to_string(dir().join("everything.toml")).unwrap();
    let edit = (any::<prop::sample::Index>(), 0..12_usize, "[\\[\\]{}=\"'#.,\\n a0é$-]{0,4}");
    prop::collection::vec(edit, 1..6).prop_map(move |edits| {
        let mut characters: Vec<char> = text.chars().collect();
        for (at, removed, inserted) in edits {
            let at = at.index(characters.len());
            let end = (at + removed).min(characters.len());
            characters.splice(at..end, inserted.chars());
        }
        characters.into_iter().collect()
    })
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic_and_every_problem_has_a_place(text in mangled()) {
        let mut report = Report::default();
        manifest::parse("x.toml", &text, &mut report);
        let shown = report.to_string();
        for problem in report.problems() {
            prop_assert!(shown.contains(problem.message()), "{}", shown);
        }
        prop_assert_eq!(shown.matches("--> x.toml:").count(), report.problems().len(), "{}\n{}", text, shown);
        prop_assert!(report.is_empty() || report.has_errors());
        // A handful of slips is a handful of problems, whatever they do to what comes after.
        prop_assert!(report.problems().len() <= 40, "{}\n{}", text, shown);
    }
}
