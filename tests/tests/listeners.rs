//! Several listeners, TCP and Unix, serve one house.

use std::{fs, net::IpAddr, os::unix::fs::FileTypeExt, process::Command};

use guesthouse_tests::{Connection, House, Manifest, Request};
use serde_json::json;

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

/// An answer that refuses a connection, and the end of it.
fn assert_turned_away(mut connection: Connection) {
    connection.send(Request::get("hello.test", "/ok").bytes());
    let answer = connection.response("GET");
    assert_eq!((answer.status(), answer.header("retry-after")), (429, Some("1")), "{answer:?}");
    assert!(answer.head.closes());
    assert!(connection.until_closed().is_empty());
}

#[test]
fn a_client_has_so_many_connections() {
    let house = House::start(&Manifest::new().server("connections-per-client = 2").app("hello", "echo", ""));
    let mut kept = [house.connect(), house.connect()];
    for connection in &mut kept {
        assert_eq!(asked(connection), "ok\n");
    }
    assert_turned_away(house.connect());
    assert_turned_away(house.connect());
    // Others are not concerned, and neither are the connections that were there.
    let other: IpAddr = "127.0.0.9".parse().expect("an address");
    assert_eq!(asked(&mut Connection::tcp_from(other, house.address())), "ok\n");
    for connection in &mut kept {
        assert_eq!(asked(connection), "ok\n");
    }
    let status = house.api().status();
    assert_eq!(status["connections_refused"], json!(2), "{status:#}");
    let told = house.log().wait_for("a warning", |entry| entry.message().contains("connection(s) refused"));
    assert!(told.message().contains("127.0.0.1") && told.message().contains("trusted-proxies"), "{told}");
    // A connection that ends makes room, as soon as the house sees it end.
    drop(kept);
    loop {
        let mut connection = house.connect();
        connection.send(Request::get("hello.test", "/ok").bytes());
        match connection.response("GET").status() {
            200 => break,
            status => assert_eq!(status, 429),
        }
    }
}

/// Whoever speaks for others has as many as there are.
#[test]
fn proxies_and_unix_sockets_are_not_counted_as_clients() {
    let folder = tempfile::tempdir().expect("a folder");
    let manifest = Manifest::new()
        .head("[listen]\nhttp = [\"127.0.0.1:0\", \"unix:house.sock\"]")
        .server("connections-per-client = 1\ntrusted-proxies = [\"127.0.0.1\"]")
        .app("hello", "echo", "");
    let house = House::start_in(folder, &manifest.text(), 2, |_| {});
    let socket = house.folder().join("house.sock");
    let mut kept: Vec<_> =
        (0..3).flat_map(|_| [Connection::unix(&socket), Connection::tcp(house.address())]).collect();
    for connection in &mut kept {
        assert_eq!(asked(connection), "ok\n");
    }
}

/// A client that floods the house with connections is told so; beyond a number it is closed upon, and nobody waits.
#[test]
fn a_flood_of_connections_is_refused() {
    let house = House::start(&Manifest::new().server("connections-per-client = 5").app("hello", "echo", ""));
    let flood: Vec<_> = (0..500).map(|_| house.connect()).collect();
    let other: IpAddr = "127.0.0.9".parse().expect("an address");
    assert_eq!(asked(&mut Connection::tcp_from(other, house.address())), "ok\n");
    let mut open = 0;
    for mut connection in flood {
        let _ = connection.try_send(Request::get("hello.test", "/ok").bytes());
        match connection.try_response("GET") {
            Ok(answer) if answer.status() == 200 => open += 1,
            Ok(answer) => assert_eq!(answer.status(), 429),
            Err(broken) => assert!(broken.head.is_none(), "{broken}"),
        }
    }
    assert!((1..=5).contains(&open), "{open} were served");
}

/// The limit of open files that a shell gives is no limit of connections: the house raises it as far as it may.
#[test]
fn connections_are_not_bounded_by_the_soft_limit_of_open_files() {
    let house = House::start_with(&Manifest::new().app("hello", "echo", ""), 1, |command| {
        let mut limited = Command::new("sh");
        limited.args(["-c", "ulimit -Sn 64 && exec \"$0\" \"$@\""]);
        limited.arg(command.get_program()).args(command.get_args());
        limited.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        *command = limited;
    });
    let mut all: Vec<_> = (0..200).map(|_| house.connect()).collect();
    for connection in &mut all {
        assert_eq!(asked(connection), "ok\n");
    }
}
