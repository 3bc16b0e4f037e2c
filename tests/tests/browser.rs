//! Django's admin in a real browser: Chromium, driven by WebDriver. Its screenshots lie in `target/tmp/screenshots`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use guesthouse_tests::{House, exec, tool};

const PASSWORD: &str = "correct horse battery staple";

/// The Python of an environment that has Selenium.
fn python() -> PathBuf {
    let wanted = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser/requirements.txt");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("selenium");
    let python = folder.join("bin/python");
    let done = folder.join("requirements.txt");
    let text = fs::read_to_string(&wanted).expect("the requirements");
    if fs::read_to_string(&done).is_ok_and(|there| there == text) {
        return python;
    }
    succeed(tool("python3", "python3-venv").args(["-m", "venv", "--clear"]).arg(&folder));
    succeed(
        Command::new(&python).args(["-m", "pip", "install", "-q", "--require-hashes", "-r"]).arg(&wanted),
    );
    fs::write(&done, text).expect("a note of what is installed");
    python
}

fn succeed(command: &mut Command) -> String {
    let output = command.output().expect("it starts");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?}: {told}{}", String::from_utf8_lossy(&output.stderr));
    told
}

#[test]
fn the_admin_works_in_a_browser_and_shows_what_is_saved() {
    drop(tool("chromedriver", "chromium-driver"));
    let folder = tempfile::tempdir().expect("a folder");
    let project = folder.path();
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guests/test-python-data");
    succeed(Command::new("cp").arg("-rT").args([&sources, project]));
    fs::create_dir_all(project.join("store/static")).expect("a folder");
    let manifest = "
        [listen]
        http = \"127.0.0.1:0\"
        [server]
        log = \"json\"
        [apps.shop]
        source = { python = \".\", wsgi = \"data.wsgi:application\", requirements = \"requirements.txt\" }
        routes = [\"shop.localhost\"]
        instances = { isolation = \"reuse\" }
        static = { \"/static\" = \"store/static\" }
        [apps.shop.settings]
        DJANGO_SETTINGS_MODULE = \"data.settings\"
        PASSWORD_HASHERS = [\"django.contrib.auth.hashers.PBKDF2PasswordHasher\"]
        [apps.shop.grants]
        dirs = { \"/data\" = { path = \"store\", write = true }, \"/tmp\" = { temporary = true } }
    ";
    fs::write(project.join("guesthouse.toml"), manifest).expect("the manifest");
    let house = House::develop(project);
    exec(project, "shop", &["migrate", "-v0"]);
    exec(project, "shop", &["collectstatic", "--noinput", "-v0"]);
    let user = format!(
        "from django.contrib.auth.models import User; User.objects.create_superuser('ann', 'ann@example.com', '{PASSWORD}')"
    );
    exec(project, "shop", &["shell", "-v0", "-c", &user]);

    let screenshots = Path::new(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
    let url = format!("http://shop.localhost:{}", house.address().port());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser/round.py");
    let mut round = Command::new(python());
    println!("{}", succeed(round.arg(script).args([&url, PASSWORD]).args([project, &screenshots])));
    assert!(screenshots.join("8-saved-file.png").is_file());
    assert!(house.stop().status.success());
}
