//! `guesthouse exec`: commands of an app with its settings and grants, at a terminal and without, beside a house that runs.

use std::{fs, path::Path};

use guesthouse_tests::{
    House, Manifest, Request, component, exec, exec_at_terminal, exec_with, python_component, run,
};
use serde_json::json;
use tempfile::TempDir;

const GRANTS: &str = "[apps.shop.grants]\ndirs = { \"/data\" = { path = \"data\", write = true } }\n";

/// A folder with a Django site that has an SQLite database, Flask, plain WSGI and a Rust guest.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("data")).expect("the folder of the database");
    let manifest = Manifest::new()
        .app_of(
            "shop",
            &python_component("data"),
            &format!("settings = {{ SITE_TITLE = \"Shop\" }}\n{GRANTS}"),
        )
        .app_of(
            "flask",
            &python_component("flask"),
            "settings = { SITE_TITLE = \"Notes\", NOTES_MAX = 2, SECRET_KEY = \"s\" }",
        )
        .app_of("wsgi-p3", &python_component("wsgi-p3"), "settings = { TEXT = \"ä\" }")
        .app_of("wat", &component("small"), "");
    write(folder.path(), &manifest.text());
    folder
}

fn write(folder: &Path, manifest: &str) {
    fs::write(folder.join("guesthouse.toml"), manifest).expect("the manifest is written");
}

#[test]
fn commands_of_django_find_settings_files_and_the_database() {
    let folder = folder();
    let shop = |arguments: &[&str]| exec(folder.path(), "shop", arguments);
    assert!(shop(&["migrate"]).contains("Applying ledger.0001_initial... OK"));
    assert!(folder.path().join("data/db.sqlite3").is_file());
    assert_eq!(shop(&["tally", "--begin"]), "hits: 0\n");
    let code = "from django.conf import settings as s; import sys; print(s.SITE_TITLE, sys.stdin.isatty())";
    assert!(shop(&["shell", "-c", code]).ends_with("Shop False\n"));
    shop(&["collectstatic", "--noinput"]);
    assert!(folder.path().join("data/static/admin/css/base.css").is_file());
    shop(&["check"]);
    assert!(shop(&["--help"]).contains("[ledger]\n    tally"));
    assert!(shop(&["dumpdata", "ledger.counter"]).contains("\"hits\""));

    let python = shop(&["python", "-c", "from ledger.models import Counter; print(Counter.objects.count())"]);
    assert_eq!(python, "1\n");
    assert!(shop(&["python", "-m", "calendar", "2026", "2"]).contains("February 2026"));
}

#[test]
fn exit_status_errors_and_standard_input_are_the_commands() {
    let folder = folder();
    exec(folder.path(), "shop", &["migrate", "-v0"]);
    let shop = |arguments: &[&str], input: &str| exec_with(folder.path(), "shop", arguments, input);
    let failed = shop(&["tally", "--fail", "1"], "");
    assert_eq!((failed.code, failed.stdout.as_str()), (Some(1), ""));
    assert!(failed.stderr.contains("CommandError: it was to fail"), "{}", failed.stderr);
    let ended = shop(&["tally", "--fail", "42"], "");
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(42), "before the end\n"));
    let unknown = shop(&["migrat"], "");
    assert_eq!(unknown.code, Some(1));
    assert!(
        unknown.stderr.contains("Unknown command: 'migrat'. Did you mean migrate?"),
        "{}",
        unknown.stderr
    );
    let raised = shop(&["python", "-c", "1/0"], "");
    assert_eq!(raised.code, Some(1));
    assert!(
        raised.stderr.contains("File \"<string>\", line 1")
            && raised.stderr.ends_with("ZeroDivisionError: division by zero\n")
    );
    assert!(!raised.stderr.contains("guesthouse/command.py"), "{}", raised.stderr);
    let told = shop(&["python"], "print('told')\n");
    assert_eq!((told.code, told.stdout.as_str()), (Some(0), "told\n"));
    let read = shop(&["python", "-c", "import sys; print(sys.stdin.read().upper(), end='')"], "one\ntwo\n");
    assert_eq!(read.stdout, "ONE\nTWO\n");
    let piped = shop(&["shell", "--no-imports"], "print(6 * 7)\n");
    assert_eq!((piped.code, piped.stdout.as_str()), (Some(0), "42\n"), "{}", piped.stderr);
    let much = shop(&["python", "-c", "print('x' * 1000000)"], "");
    assert_eq!(much.stdout.len(), 1_000_001);
}

#[test]
fn at_a_terminal_passwords_are_asked_for_and_not_shown() {
    let folder = folder();
    exec(folder.path(), "shop", &["migrate", "-v0"]);
    let dialogue = [
        ("Username: ", Some("ann")),
        ("Email address: ", Some("ann@example.com")),
        ("Password: ", Some("correct-horse")),
        ("Password (again): ", Some("correct-horse")),
    ];
    let seen = exec_at_terminal(folder.path(), "shop", &["createsuperuser"], &dialogue);
    let screen = seen["screen"].as_str().expect("a text");
    assert_eq!(seen["status"], 0, "{screen}");
    assert!(screen.contains("Superuser created successfully."), "{screen}");
    assert!(screen.contains("ann@example.com") && !screen.contains("correct-horse"), "{screen}");
    assert_eq!(seen["echoed"], json!([true, true, false, false]));
    let check = "from django.contrib.auth.models import User; u = User.objects.get(); print(u, u.check_password('correct-horse'))";
    assert_eq!(exec(folder.path(), "shop", &["python", "-c", check]), "ann True\n");

    // Ended while it waits for a password, it leaves the terminal as it was.
    let dialogue = [("Username: ", Some("bob")), ("Email address: ", Some("")), ("Password: ", None)];
    let seen = exec_at_terminal(folder.path(), "shop", &["createsuperuser"], &dialogue);
    assert_eq!(seen["status"], 130);
    let restored = "import getpass, sys\nprint('tty', sys.stdin.isatty(), sys.stdout.isatty())\n\
                    getpass.getpass('first ')\nprint(input('then '))";
    let seen = exec_at_terminal(
        folder.path(),
        "shop",
        &["python", "-c", restored],
        &[("first ", Some("hidden")), ("then ", Some("shown"))],
    );
    let screen = seen["screen"].as_str().expect("a text");
    assert!(screen.contains("tty True True") && !screen.contains("hidden"), "{screen}");
    assert_eq!((screen.matches("shown").count(), &seen["echoed"]), (2, &json!([false, true])), "{screen}");
    // Neither a limit of time nor a signal that is not sent ends one that computes.
    let computes = "import itertools\nprint('begun')\nfor _ in itertools.count(): pass";
    let seen = exec_at_terminal(folder.path(), "shop", &["python", "-c", computes], &[("begun", None)]);
    assert_eq!(seen["status"], 130);
}

#[test]
fn flask_and_plain_projects_have_the_commands_that_they_know() {
    let folder = folder();
    let routes = exec(folder.path(), "flask", &["routes"]);
    assert!(routes.contains("Endpoint") && routes.contains("/static/<path:filename>"), "{routes}");
    let unknown = exec_with(folder.path(), "flask", &["nothing"], "");
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.stderr.contains("No such command 'nothing'"), "{}", unknown.stderr);
    let code = "from guesthouse import settings; print(settings.get('TEXT'))";
    assert_eq!(exec(folder.path(), "wsgi-p3", &["python", "-c", code]), "ä\n");
    let none = exec_with(folder.path(), "wsgi-p3", &["migrate"], "");
    assert_eq!(none.code, Some(1));
    assert!(none.stderr.contains("guesthouse exec wsgi-p3 -- python -c 'CODE'"), "{}", none.stderr);
}

#[test]
fn a_command_works_on_the_database_of_a_house_that_runs() {
    let folder = folder();
    let house = House::start_at(folder.path(), 1, |_| {});
    let before = house.get("shop", "/count");
    assert_eq!(before.status(), 500);
    house.log().wait_for("the hint", |entry| entry.to_string().contains("guesthouse exec APP -- migrate"));
    exec(folder.path(), "shop", &["migrate", "-v0"]);
    exec(folder.path(), "shop", &["tally", "--begin"]);
    for expected in 1..=3 {
        assert_eq!(house.send(&Request::get("shop.test", "/increment")).json()["value"], expected);
        assert_eq!(exec(folder.path(), "shop", &["tally"]), format!("hits: {expected}\n"));
    }
}

#[test]
fn what_cannot_be_run_is_said_with_what_to_do() {
    let folder = folder();
    let refused = |app: &str, text: &str| {
        let outcome = exec_with(folder.path(), app, &["migrate"], "");
        assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
        assert!(outcome.stderr.contains(text), "{}", outcome.stderr);
    };
    refused("shopp", "help: did you mean `shop`?");
    refused("wat", "`wat` has no commands");
    let manifest =
        "[apps.later]\nroutes = [\"later.test\"]\nsource = { python = \".\", wsgi = \"app:app\" }\n";
    write(folder.path(), manifest);
    refused("later", "build it: guesthouse build later");
    assert_eq!(run(folder.path(), &["exec"]).code, Some(2));
    // Memory is limited as it is for requests.
    let limited = Manifest::new().app_of("shop", &python_component("data"), GRANTS);
    write(folder.path(), &limited.text());
    let outcome = exec_with(folder.path(), "shop", &["python", "-c", "x = bytearray(200_000_000)"], "");
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.stderr.contains("MemoryError"), "{}", outcome.stderr);
}
