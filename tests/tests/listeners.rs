//! Several listeners, TCP and Unix, serve one house.

use std::{fs, os::unix::fs::FileTypeExt};

use guesthouse_tests::{Connection, House, Manifest, Request};

fn asked(connection: &mut Connection) -> String {
    connection.send(Request::get("hello.test", "/ok").bytes());
    connection.response("GET").text()
}

#[test]
fn all_listeners_serve_the_house() {
    let folder = tempfile::tempdir().expect("a folder");
    let listen = "[listen]\nhttp = [\"127.0.0.1:0\", \"127.0.0.1:0\", \"unix:house.sock\", \"[::1]:0\"]";
    let manifest = Manifest::new().head(listen).app("hello", "echo", "");
    let house = House::start_in(folder, &manifest.text(), 4, |_| {});
    let addresses = house.addresses();
    assert_eq!(addresses.len(), 3);
    assert!(addresses.iter().all(|address| address.port() != 0), "ports are told as they are: {addresses:?}");
    for address in addresses {
        assert_eq!(asked(&mut Connection::tcp(address)), "ok\n", "{address}");
    }
    let socket = house.folder().join("house.sock");
    assert_eq!(asked(&mut Connection::unix(&socket)), "ok\n");
    assert!(house.stop().status.success());
}

#[test]
fn a_unix_socket_is_there_while_the_house_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let manifest =
        Manifest::new().head("[listen]\nhttp = \"unix:house.sock\"").app("hello", "echo", "").text();
    let socket = folder.path().join("house.sock");
    // A socket of a house that was killed is in nobody's way.
    let killed = House::start_in(
        tempfile::tempdir_in(folder.path()).expect("a folder"),
        &manifest.replace("house.sock", &socket.to_string_lossy()),
        1,
        |_| {},
    );
    killed.signal(rustix::process::Signal::KILL);
    assert!(!killed.wait().status.success());
    assert!(fs::metadata(&socket).expect("left behind").file_type().is_socket());

    let house = House::start_in(folder, &manifest, 1, |_| {});
    assert_eq!(asked(&mut Connection::unix(&socket)), "ok\n");
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&socket).expect("the socket").permissions());
    assert_eq!(mode & 0o007, 0, "strangers have no access: {mode:o}");
    house.signal(rustix::process::Signal::TERM);
    assert!(house.wait().status.success());
    assert!(!socket.exists());
}

#[test]
fn listen_on_the_command_line_replaces_those_of_the_manifest() {
    let manifest = Manifest::new().head("[listen]\nhttp = \"127.0.0.1:1\"").app("hello", "echo", "");
    let house = House::start_with(&manifest, 2, |command| {
        command.args(["--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0"]);
    });
    for address in house.addresses() {
        assert_eq!(asked(&mut Connection::tcp(address)), "ok\n");
    }
}

/// The port in a route is the one that the client asked for.
#[test]
fn routes_may_name_a_port() {
    let app = |name: &str, route: &str| format!("routes = [\"{route}\"]\nsettings.greeting = \"{name}\"");
    let house =
        House::start(&Manifest::new().app("plain", "hello-rust", &app("the plain one", "name.test")).app(
            "special",
            "hello-rust",
            &app("the special one", "name.test:8443"),
        ));
    for (host, app) in [
        ("name.test", "plain"),
        ("name.test:80", "plain"),
        ("name.test:8443", "special"),
        ("name.test:8444", "plain"),
    ] {
        let text = house.send(&Request::get(host, "/")).text();
        assert!(text.starts_with(&format!("Hello from the {app} one")), "{host}: {text}");
    }
}

#[test]
fn more_connections_than_allowed_wait_for_their_turn() {
    let house = House::start(&Manifest::new().server("connections = 2").app("hello", "echo", ""));
    let mut first = house.connect();
    let mut second = house.connect();
    assert_eq!((asked(&mut first), asked(&mut second)), ("ok\n".to_owned(), "ok\n".to_owned()));
    let mut third = house.connect();
    third.send(Request::get("hello.test", "/ok").bytes());
    assert_eq!(asked(&mut second), "ok\n");
    drop(first);
    assert_eq!(third.response("GET").text(), "ok\n");
}
