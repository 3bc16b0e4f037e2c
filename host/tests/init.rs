//! `guesthouse init` as an operator runs it: the real binary, in folders with projects as their tools make them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

struct Folder(tempfile::TempDir);

impl Folder {
    /// A folder called `shop` with these files.
    fn with(files: &[(&str, &str)]) -> Folder {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("shop")).unwrap();
        let folder = Folder(dir);
        for (name, text) in files {
            folder.write(name, text);
        }
        folder
    }

    fn path(&self) -> std::path::PathBuf {
        self.0.path().join("shop")
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap()
    }

    #[track_caller]
    fn run(&self, arguments: &[&str]) -> (bool, String) {
        run(&self.path(), arguments)
    }

    #[track_caller]
    fn well(&self, arguments: &[&str]) -> String {
        let (success, said) = self.run(arguments);
        assert!(success, "{said}");
        said
    }

    #[track_caller]
    fn badly(&self, arguments: &[&str]) -> String {
        let before = fs::read_to_string(self.path().join("guesthouse.toml")).ok();
        let (success, said) = self.run(arguments);
        assert!(!success, "{said}");
        assert_eq!(fs::read_to_string(self.path().join("guesthouse.toml")).ok(), before);
        said
    }

    /// The manifest is one that `guesthouse explain` understands, and leads this host to this app.
    #[track_caller]
    fn leads(&self, host: &str, app: &str) {
        let (success, said) = self.run(&["explain", &format!("http://{host}/")]);
        assert!(success && said.contains(app), "{said}");
    }
}

fn run(folder: &Path, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_guesthouse"))
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

#[track_caller]
fn assert_has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in:\n{text}");
    }
}

const MANAGE: &str = "#!/usr/bin/env python\nimport os\n\ndef main():\n    \
    os.environ.setdefault(\"DJANGO_SETTINGS_MODULE\", \"mysite.settings\")\n";

/// As `django-admin startproject` makes them.
fn django() -> Folder {
    let settings =
        "SECRET_KEY = os.environ[\"SECRET_KEY\"]\nWSGI_APPLICATION = \"mysite.wsgi.application\"\n";
    Folder::with(&[
        ("manage.py", MANAGE),
        ("mysite/__init__.py", ""),
        ("mysite/settings.py", settings),
        ("mysite/wsgi.py", "application = get_wsgi_application()\n"),
        ("requirements.txt", "Django==5.2.6\n"),
    ])
}

#[test]
fn a_django_project_is_found_with_its_settings() {
    let folder = django();
    let said = folder.well(&["init"]);
    assert_has(
        &said,
        &["A Django project", "settings: mysite.settings", "guesthouse dev", "http://shop.localhost:8000/"],
    );
    let manifest = "[listen]\nhttp = \"127.0.0.1:8000\"\n\n[apps.shop]\n\
        source = { python = \".\", wsgi = \"mysite.wsgi:application\", requirements = \"requirements.txt\" }\n\
        routes = [\"shop.localhost\"]\ninstances = { isolation = \"reuse\" }\n\n[apps.shop.settings]\n\
        DJANGO_SETTINGS_MODULE = \"mysite.settings\"\nALLOWED_HOSTS = [\"shop.localhost\"]\n";
    let written = folder.read("guesthouse.toml");
    assert!(written.starts_with(manifest), "{written}");
    assert_has(&written, &["# env = { SECRET_KEY = \"${SECRET_KEY}\" }"]);
    folder.leads("shop.localhost", "shop");
}

#[test]
fn the_host_serves_the_static_files_of_django() {
    let folder = django();
    assert_has(&folder.well(&["init"]), &["set STATIC_ROOT"]);
    let folder = django();
    let settings = folder.read("mysite/settings.py");
    let more = "STATIC_URL = \"static/\"\nSTATIC_ROOT = BASE_DIR / \"staticfiles\"\n";
    folder.write("mysite/settings.py", &format!("{settings}{more}"));
    assert_has(&folder.well(&["init"]), &["serves staticfiles at /static", "manage.py collectstatic"]);
    assert_has(&folder.read("guesthouse.toml"), &["static = { \"/static\" = \"staticfiles\" }"]);
    folder.leads("shop.localhost", "shop");
}

#[test]
fn a_second_time_nothing_is_written() {
    let folder = django();
    folder.well(&["init"]);
    let before = folder.read("guesthouse.toml");
    assert_has(&folder.well(&["init", "--name", "other"]), &["already, as the app `shop`"]);
    assert_eq!(folder.read("guesthouse.toml"), before);
}

#[test]
fn an_entry_is_added_to_what_is_there() {
    let folder = Folder::with(&[
        ("site/manage.py", MANAGE),
        ("site/mysite/settings/base.py", "WSGI_APPLICATION = 'mysite.wsgi.application'\n"),
        ("site/mysite/settings/__init__.py", "from .base import *\n"),
        ("site/mysite/settings/production.py", "from .base import *\nfrom whitenoise import x\n"),
        ("site/mysite/wsgi.py", ""),
        ("requirements/base.txt", ""),
    ]);
    let before = "# mine\n[listen]\nhttp = [\"unix:/tmp/x.sock\", \"127.0.0.1:8123\"] # two\n[apps.old]\ncomponent = 'old.wasm'\nroutes = ['old.localhost']";
    folder.write("guesthouse.toml", before);
    folder.write("old.wasm", "");
    let said = folder.well(&["init"]);
    assert_has(
        &said,
        &["http://shop.localhost:8123/", "`mysite.settings.production` too", "requirements/base.txt"],
    );
    let written = folder.read("guesthouse.toml");
    assert!(written.starts_with(before), "{written}");
    assert_has(&written, &["python = \"site\"", "requirements = \"../requirements/base.txt\""]);
    folder.leads("shop.localhost", "shop");
    folder.leads("old.localhost", "old");
}

#[test]
fn flask_and_other_wsgi_applications_are_found() {
    for (files, wsgi) in [
        (&[("app.py", "from flask import Flask\napp = Flask(__name__)\n")][..], "app:app"),
        (&[("shop/__init__.py", "def create_app(config=None):\n    pass\n")], "shop:create_app()"),
        (
            &[
                ("wsgi.py", "from shop import app as application\n"),
                ("shop/__init__.py", "app = Flask(__name__)\n"),
                ("main.py", "app = Flask(__name__)\n"),
            ],
            "wsgi:application",
        ),
        (&[("main.py", "def application(environ, start_response):\n    return []\n")], "main:application"),
        (
            &[("main.py", "app = Flask(__name__)\n"), ("api.py", ""), ("server.py", "app = Bottle()\n")],
            "--wsgi main:app",
        ),
        (&[("src/web/app.py", "app = falcon.App()\n")], "web.app:app"),
    ] {
        let folder = Folder::with(files);
        let (success, said) = folder.run(&["init"]);
        if let Some(wanted) = wsgi.strip_prefix("--wsgi ") {
            assert!(!success, "{said}");
            assert_has(&said, &["several WSGI applications", wanted]);
            folder.well(&["init", "--wsgi", wanted]);
        } else {
            assert!(success, "{said}");
            assert_has(&folder.read("guesthouse.toml"), &[&format!("wsgi = \"{wsgi}\"")]);
        }
        folder.leads("shop.localhost", "shop");
    }
}

#[test]
fn dependencies_of_pyproject_become_requirements() {
    let folder = Folder::with(&[
        ("app.py", "app = Flask(__name__)\n"),
        ("pyproject.toml", "[project]\nname = 'shop'\ndependencies = ['flask==3.1.2', 'rich>=13']\n"),
    ]);
    assert_has(&folder.well(&["init"]), &["requirements: 2 in pyproject.toml", "Wrote ./requirements.txt"]);
    assert!(folder.read("requirements.txt").ends_with("flask==3.1.2\nrich>=13\n"));
    folder.leads("shop.localhost", "shop");

    let folder = Folder::with(&[("app.py", "app = Flask(__name__)\n"), ("poetry.lock", "")]);
    assert_has(&folder.well(&["init"]), &["poetry.lock requires is not understood", "poetry export"]);
}

#[test]
fn rust_and_javascript_are_found_and_told_apart() {
    let cargo = ("Cargo.toml", "[package]\nname = 'api'\n[dependencies]\naxum = '1'\n");
    let package = ("package.json", "{ \"dependencies\": { \"express\": \"5\" } }");
    let folder = Folder::with(&[cargo]);
    assert_has(&folder.well(&["init"]), &["A Rust package", "axum listens on sockets", "wstd"]);
    assert_has(&folder.read("guesthouse.toml"), &["source = { rust = \".\" }"]);

    let folder = Folder::with(&[package, ("src/app.ts", "")]);
    assert_has(&folder.well(&["init"]), &["express listens on sockets", "npm install"]);
    assert_has(&folder.read("guesthouse.toml"), &["source = { js = \"src/app.ts\" }"]);

    let folder = Folder::with(&[cargo, package]);
    assert_has(&folder.badly(&["init"]), &["--kind rust", "--kind js"]);
    assert_has(&folder.badly(&["init", "--kind", "js"]), &["no module to begin with", "src/app"]);
    folder.well(&["init", "--kind", "rust"]);

    let folder = Folder::with(&[("Cargo.toml", "[workspace]\nmembers = ['a']\n")]);
    assert_has(&folder.badly(&["init"]), &["workspace without a package"]);
}

#[test]
fn what_cannot_be_brought_is_said() {
    let folder = Folder::with(&[]);
    assert_has(&folder.badly(&["init"]), &["found nothing to bring", "manage.py", "guesthouse new"]);
    assert_has(&folder.badly(&["init", "nowhere"]), &["nowhere does not exist"]);
    assert_has(&folder.badly(&["init", "--name", "Shop"]), &["found nothing"]);

    let folder = Folder::with(&[("a/manage.py", ""), ("b/manage.py", "")]);
    assert_has(&folder.badly(&["init"]), &["several Django projects: a, b", "guesthouse init"]);

    let folder = Folder::with(&[("manage.py", "")]);
    assert_has(&folder.badly(&["init"]), &["names no settings module"]);
    folder.write("mysite/settings.py", "");
    assert_has(&folder.badly(&["init"]), &["no WSGI module", "--wsgi"]);

    let folder = Folder::with(&[("main.py", "app = FastAPI()\n")]);
    assert_has(&folder.badly(&["init"]), &["FastAPI, which is ASGI"]);
}

#[test]
fn a_manifest_that_does_not_allow_it_stays_as_it_is() {
    let folder = django();
    assert_has(&folder.badly(&["init", "--name", "Shop"]), &["`Shop` is no name", "lower-case"]);
    folder.write("guesthouse.toml", "[apps.shop]\ncomponent = 'a.wasm'\nroutes = ['*']\n");
    assert_has(&folder.badly(&["init"]), &["has another app `shop`", "--name shop-2"]);
    folder.write("guesthouse.toml", "[apps.a]\ncomponent = 'a.wasm'\nroutes = ['shop.localhost']\n");
    assert_has(&folder.badly(&["init"]), &["shop.localhost leads to the app `a`"]);
    folder.write("guesthouse.toml", "apps = { a = { component = 'a.wasm', routes = ['*'] } }\n");
    assert_has(&folder.badly(&["init"]), &["add this by hand", "[apps.shop]"]);
    folder.write("guesthouse.toml", "[apps\n");
    assert_has(&folder.badly(&["init"]), &["cannot be understood", "guesthouse check"]);
}
