//! What a guest may touch: its settings, and what the manifest grants. Of the host it sees nothing else.

use std::{
    fs,
    io::{self, BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    thread,
};

use guesthouse_tests::{House, Manifest, Response, component};
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

/// A server that treats each connection as told, one after another, until the test ends. Answers its port.
fn server(serve: impl Fn(TcpStream) -> io::Result<()> + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        for connection in listener.incoming() {
            let _ = connection.and_then(&serve);
        }
    });
    port
}

/// A server that sends one line to whoever connects.
fn greeter(line: &'static str) -> u16 {
    server(move |mut connection| connection.write_all(line.as_bytes()))
}

/// An HTTP server that answers a request once its head has come whole: an answer before the request would be
/// a breach of the protocol, and a client may take it for one.
fn http_server(answer: &'static str) -> u16 {
    server(move |mut connection| {
        let mut lines = BufReader::new(connection.try_clone()?).lines();
        while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
        connection.write_all(answer.as_bytes())
    })
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
