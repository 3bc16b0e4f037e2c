//! What a guest may touch: its settings, and what the manifest grants. Of the host it sees nothing else.

use std::fs;

use guesthouse_tests::{House, Manifest, Response, component, greeter, http_server};
use serde_json::json;

/// A house whose own environment, arguments and folder hold things that no guest may see.
fn house_with_secrets(manifest: &Manifest) -> House {
    House::start_with(manifest, 1, |command| {
        command.env("HOST_SECRET", "do-not-tell").env("AWS_SECRET_ACCESS_KEY", "do-not-tell");
    })
}

#[test]
fn nothing_of_the_host_reaches_a_guest_by_default() {
    let house = house_with_secrets(
        &Manifest::new().app("info", "info", "").app("info-p3", "info-p3", "").app("files", "files", ""),
    );
    for app in ["info", "info-p3"] {
        let answer = house.get(app, "/");
        let grants = &answer.json()["grants"];
        assert_eq!(grants["environment"], json!([]));
        assert_eq!(grants["directories"], json!([]));
        assert!(!answer.text().contains("do-not-tell"), "{}", answer.text());
        assert_eq!(grants["clocks"], json!([1000, 0, 1000, 0]), "microseconds, and no fraction of one");
        let arguments = grants["arguments"].to_string();
        for word in ["guesthouse.toml", "serve", "--", "/tmp", "target"] {
            assert!(!arguments.contains(word), "{word} in {arguments}");
        }
        assert!(
            !grants["working-directory"].to_string().contains(&*house.folder().to_string_lossy()),
            "{grants}"
        );
    }
    for path in ["/etc/passwd", "/", ".", "guesthouse.toml", "/proc/self/environ"] {
        for action in ["read", "write", "list"] {
            let text = house.get("files", &format!("/{action}?path={path}")).text();
            assert!(text.starts_with("refused: "), "{action} {path}: {text}");
        }
    }
}

#[test]
fn environment_variables_are_granted_as_written() {
    let house = house_with_secrets(
        &Manifest::new()
            .app("one", "info", "grants.env = { LANG = \"C\", PLACE = \"here\" }")
            .app("two", "info", ""),
    );
    let grants = &house.get("one", "/").json()["grants"];
    assert_eq!(grants["environment"], json!([["LANG", "C"], ["PLACE", "here"]]));
    assert_eq!(house.get("two", "/").json()["grants"]["environment"], json!([]));
}

#[test]
fn directories_are_granted_by_name_and_for_reading_only_unless_said_otherwise() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["media", "drop", "private"] {
        fs::create_dir(folder.path().join(name)).expect("a folder");
        fs::write(folder.path().join(name).join("note.txt"), name).expect("a file");
    }
    std::os::unix::fs::symlink("../private", folder.path().join("media/way-out")).expect("a link");
    let manifest = Manifest::new().app_of(
        "files",
        &component("files"),
        "grants.dirs = { \"/media\" = { path = \"media\" }, \"/drop\" = { path = \"drop\", write = true } }",
    );
    let house = House::start_in(folder, &manifest.text(), 1, |_| {});
    let ask = |question: &str| house.get("files", question).text();

    assert_eq!(ask("/read?path=/media/note.txt"), "media");
    assert_eq!(ask("/list?path=/drop"), "note.txt");
    assert!(ask("/write?path=/media/new.txt&text=x").starts_with("refused: "));
    assert!(ask("/write?path=/media/note.txt&text=x").starts_with("refused: "));
    assert_eq!(ask("/write?path=/drop/new.txt&text=kept"), "written");
    assert_eq!(fs::read_to_string(house.folder().join("drop/new.txt")).expect("the file"), "kept");
    assert_eq!(fs::read_to_string(house.folder().join("media/note.txt")).expect("the file"), "media");

    for outside in ["/media/../private/note.txt", "/media/way-out/note.txt", "/private/note.txt", "/note.txt"]
    {
        assert!(ask(&format!("/read?path={outside}")).starts_with("refused: "), "{outside}");
    }
}

#[test]
fn no_link_and_no_rename_leads_out_of_a_granted_directory() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path().to_owned();
    for name in ["media", "drop", "private"] {
        fs::create_dir(here.join(name)).expect("a folder");
        fs::write(here.join(name).join("note.txt"), name).expect("a file");
    }
    let link = |to: &std::path::Path, name: &str| {
        std::os::unix::fs::symlink(to, here.join(name)).expect("a link");
    };
    link(&here.join("private"), "media/absolute");
    link(&here.join("private/note.txt"), "media/absolute.txt");
    link("../private/note.txt".as_ref(), "media/relative.txt");
    link("..".as_ref(), "media/up");
    link("/".as_ref(), "drop/root");
    link("relative.txt".as_ref(), "media/twice.txt");
    link("note.txt".as_ref(), "media/inside.txt");
    let manifest = Manifest::new().app_of(
        "files",
        &component("files"),
        "grants.dirs = { \"/media\" = { path = \"media\" }, \"/drop\" = { path = \"drop\", write = true } }",
    );
    let house = House::start_in(folder, &manifest.text(), 1, |_| {});
    let ask = |question: &str| house.get("files", question).text();
    let refused = |question: &str| {
        let text = ask(question);
        assert!(text.starts_with("refused: "), "{question}: {text}");
    };

    assert_eq!(ask("/read?path=/media/inside.txt"), "media", "a link within leads on");
    for outside in [
        "/media/absolute/note.txt",
        "/media/absolute.txt",
        "/media/relative.txt",
        "/media/twice.txt",
        "/media/up/private/note.txt",
        "/media/../private/note.txt",
        "/media/up/drop/../private/note.txt",
        "/media//..//private/note.txt",
        "/drop/root/etc/passwd",
        "/drop/../../../../../../etc/passwd",
        "/drop/./../private/note.txt",
    ] {
        refused(&format!("/read?path={outside}"));
    }
    for outside in ["/drop/root/tmp/new", "/drop/../private/new", "/media/up/drop/new"] {
        refused(&format!("/write?path={outside}&text=x"));
    }
    // What the guest makes itself: a link is refused, or leads nowhere.
    for (number, to) in
        ["/etc", "../private", "../private/note.txt", "/etc/passwd", "./../private"].iter().enumerate()
    {
        let _ = ask(&format!("/link?path=/drop/own-{number}&to={to}"));
        refused(&format!("/read?path=/drop/own-{number}"));
        refused(&format!("/read?path=/drop/own-{number}/note.txt"));
        refused(&format!("/write?path=/drop/own-{number}/new.txt&text=x"));
        // Where there is no link this makes a file; else it must not write through it.
        let _ = ask(&format!("/write?path=/drop/own-{number}&text=x"));
    }
    // Nothing comes in or goes out by another name.
    refused("/hard-link?path=/drop/hard.txt&to=../private/note.txt");
    refused("/hard-link?path=/drop/hard.txt&to=/media/note.txt");
    refused("/rename?path=/drop/note.txt&to=/drop/../private/moved.txt");
    refused("/rename?path=/drop/note.txt&to=/media/moved.txt");
    refused("/rename?path=/media/note.txt&to=/drop/moved.txt");
    refused("/rename?path=/drop/../private/note.txt&to=/drop/moved.txt");
    refused("/rename?path=/media/note.txt&to=/media/moved.txt");
    refused("/link?path=/media/own&to=note.txt");
    assert_eq!(ask("/rename?path=/drop/note.txt&to=/drop/moved.txt"), "done");
    for (file, text) in
        [("media/note.txt", "media"), ("private/note.txt", "private"), ("drop/moved.txt", "drop")]
    {
        assert_eq!(fs::read_to_string(here.join(file)).expect("the file"), text, "{file}");
    }
    assert_eq!(fs::read_dir(here.join("private")).expect("the folder").count(), 1);
    assert!(!std::path::Path::new("/tmp/new").exists());
}

#[test]
fn tcp_connections_are_refused_unless_granted() {
    let (granted, other) = (greeter("welcome\n"), greeter("not for you\n"));
    let house = House::start(
        &Manifest::new()
            .app("granted", "connect", &format!("grants.tcp = [\"127.0.0.1:{granted}\"]"))
            .app("bare", "connect", ""),
    );
    let ask = |app: &str, port: u16| house.get(app, &format!("/?address=127.0.0.1:{port}")).text();
    assert_eq!(ask("granted", granted), "welcome\n");
    for (app, port) in [("granted", other), ("bare", granted), ("bare", house.address().port())] {
        let text = ask(app, port);
        assert!(text.starts_with("refused: "), "{app} at {port}: {text}");
    }
}

#[test]
fn outgoing_requests_are_refused_unless_granted() {
    let other = http_server("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nyes");
    let house = House::start(
        &Manifest::new()
            .app("granted", "fetch", &format!("grants.http = [\"http://127.0.0.1:{other}\"]"))
            .app("elsewhere", "fetch", "grants.http = [\"http://localhost:1\", \"https://127.0.0.1\"]")
            .app("bare", "fetch", ""),
    );
    let ask = |app: &str, authority: &str| -> Response {
        house.get(app, &format!("/?scheme=http&authority={authority}&path=/"))
    };
    assert_eq!(ask("granted", &format!("127.0.0.1:{other}")).text(), "200 yes");
    for (app, authority) in [
        ("granted", format!("127.0.0.1:{}", house.address().port())),
        ("granted", format!("localhost:{other}")),
        ("elsewhere", format!("127.0.0.1:{other}")),
        ("bare", format!("127.0.0.1:{other}")),
    ] {
        let text = ask(app, &authority).text();
        assert!(text.contains("HttpRequestDenied"), "{app} to {authority}: {text}");
    }
}
