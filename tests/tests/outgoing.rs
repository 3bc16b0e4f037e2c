//! What goes out of the house: to whom requests, connections and datagrams may go, whatever a target is written like and
//! whatever a name server says; how many there may be at once, and how much may go through.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::{IpAddr, TcpStream, UdpSocket},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Mutex, mpsc},
    thread,
};

use guesthouse_tests::{
    Connection, House, Manifest, Names, Request, certificate, component, greeter, http_server, server,
    server_at,
};

/// A whole answer of an HTTP server.
fn answer(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

/// One row of a table: the app, what it asks for, and what its answer begins with.
type Row<'a> = (&'a str, String, &'a str);

/// Has each row's app ask for its target, prints the table, and fails where an answer is another one.
fn check(house: &House, rows: &[Row<'_>]) {
    let mut wrong = Vec::new();
    println!("{:<12} {:<58} outcome", "app", "target");
    for (app, target, expected) in rows {
        let text = house.get(app, target).text();
        println!("{app:<12} {target:<58} {}", text.trim_end());
        if !text.starts_with(expected) {
            wrong.push(format!("{app} {target}: {expected:?} expected, {text:?} came"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn http(authority: &str) -> String {
    let encoded = authority.replace('%', "%25").replace('@', "%40");
    format!("/?scheme=http&authority={encoded}&path=/")
}

fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().expect("an address")).collect()
}

const DENIED: &str = "refused: ErrorCode::HttpRequestDenied";
const PROHIBITED: &str = "refused: ErrorCode::DestinationIpProhibited";
const INVALID: &str = "refused: ErrorCode::HttpRequestUriInvalid";
const UNKNOWN: &str = "refused: ErrorCode::DnsError";

#[test]
fn targets_of_requests_by_address() {
    let port = http_server(answer("yes"));
    let other = http_server(answer("not for you"));
    let six = server_at("[::1]:0", |mut connection| {
        let mut head = [0; 1000];
        let _ = connection.read(&mut head)?;
        connection.write_all(answer("yes").as_bytes())
    });
    let grants = format!("grants.http = [\"http://127.0.0.1:{port}\", \"http://[::1]:{six}\"]");
    let local = format!("grants.http = [\"http://localhost:{port}\"]");
    let house = House::start(
        &Manifest::new()
            .app("address", "fetch", &grants)
            .app("address-p3", "fetch-p3", &grants)
            .app("localhost", "fetch", &local)
            .app("bare", "fetch", "")
            .app("bare-p3", "fetch-p3", ""),
    );
    let mut rows = Vec::new();
    for app in ["address", "address-p3"] {
        rows.extend([
            (app, http(&format!("127.0.0.1:{port}")), "200 yes"),
            (app, http(&format!("127.0.0.1.:{port}")), "200 yes"),
            (app, http(&format!("[::ffff:127.0.0.1]:{port}")), "200 yes"),
            (app, http(&format!("[::FFFF:7f00:1]:{port}")), "200 yes"),
            (app, http(&format!("[::1]:{six}")), "200 yes"),
            (app, http(&format!("[0:0:0:0:0:0:0:1]:{six}")), "200 yes"),
            (app, http(&format!("127.0.0.1:{other}")), DENIED),
            (app, http("127.0.0.1"), DENIED),
            (app, http(&format!("127.0.0.2:{port}")), DENIED),
            (app, http(&format!("[::1]:{port}")), DENIED),
            (app, http(&format!("[::127.0.0.1]:{port}")), DENIED),
            (app, http(&format!("[64:ff9b::127.0.0.1]:{port}")), DENIED),
            (app, http(&format!("localhost:{port}")), DENIED),
            (app, http(&format!("0.0.0.0:{port}")), DENIED),
            (app, http("169.254.169.254"), DENIED),
            (app, http(&format!("2130706433:{port}")), INVALID),
            (app, http(&format!("0177.0.0.1:{port}")), INVALID),
            (app, http(&format!("0x7f.0.0.1:{port}")), INVALID),
            (app, http(&format!("0x7f000001:{port}")), INVALID),
            (app, http(&format!("127.1:{port}")), INVALID),
            (app, http(&format!("user@127.0.0.1:{port}")), INVALID),
            (app, http(&format!("127.0.0.1:{port}@example.com")), "refused: "),
            (app, http(&format!("[::1%25lo]:{six}")), "refused: "),
            (app, format!("/?scheme=https&authority=127.0.0.1:{port}&path=/"), DENIED),
        ]);
    }
    rows.extend([
        ("localhost", http(&format!("localhost:{port}")), "200 yes"),
        ("localhost", http(&format!("LocalHost.:{port}")), "200 yes"),
        ("localhost", http(&format!("127.0.0.1:{port}")), DENIED),
        ("localhost", http(&format!("a.localhost:{port}")), DENIED),
        ("bare", http(&format!("127.0.0.1:{port}")), DENIED),
        ("bare-p3", http(&format!("127.0.0.1:{port}")), DENIED),
    ]);
    check(&house, &rows);
}

/// Names that lead to all kinds of places.
fn names() -> Names {
    Names::serve(|name, before| match name.split_once('.').unwrap_or((name, "")) {
        ("good" | "deep", _) => addresses(&["127.0.0.1"]),
        ("both", _) => addresses(&["10.255.255.1", "127.0.0.1"]),
        ("rebind", _) if before % 2 == 0 => addresses(&["127.0.0.1"]),
        ("rebind", _) => addresses(&["127.0.0.2"]),
        ("loopback", _) => addresses(&["127.0.0.2"]),
        ("private", _) => addresses(&["10.9.8.7", "192.168.0.1", "172.16.0.1"]),
        ("metadata", _) => addresses(&["169.254.169.254"]),
        ("shared", _) => addresses(&["100.64.0.1"]),
        ("unspecified", _) => addresses(&["0.0.0.0"]),
        ("broadcast", _) => addresses(&["255.255.255.255"]),
        ("multicast", _) => addresses(&["224.0.0.1", "ff02::1"]),
        ("loopback6", _) => addresses(&["::1"]),
        ("mapped", _) => addresses(&["::ffff:127.0.0.2"]),
        ("nat64", _) => addresses(&["64:ff9b::7f00:1"]),
        ("6to4", _) => addresses(&["2002:7f00:1::1"]),
        ("local6", _) => addresses(&["fd00::1", "fe80::1"]),
        _ => Vec::new(),
    })
}

#[test]
fn targets_of_requests_by_name() {
    let names = names();
    let port = http_server(answer("yes"));
    // What a name must not lead to, at the very port that is granted.
    server_at(&format!("127.0.0.2:{port}"), |mut connection| {
        connection.write_all(answer("not for you").as_bytes())
    });
    let keys = format!(
        "grants.http = [\"http://*.names.test:{port}\", \"http://good.test:{port}\"]\n\
         grants.networks = [\"127.0.0.1\"]"
    );
    let strict = format!("grants.http = [\"http://*.names.test:{port}\"]");
    let manifest = Manifest::new()
        .app("named", "fetch", &keys)
        .app("named-p3", "fetch-p3", &keys)
        .app("strict", "fetch", &strict);
    let house = House::start_with(&manifest, 1, |command| names.resolve_for(command));
    let mut rows = Vec::new();
    for app in ["named", "named-p3"] {
        rows.extend([
            (app, http(&format!("good.names.test:{port}")), "200 yes"),
            (app, http(&format!("GOOD.Names.TEST.:{port}")), "200 yes"),
            (app, http(&format!("deep.er.names.test:{port}")), "200 yes"),
            (app, http(&format!("good.test:{port}")), "200 yes"),
            (app, http(&format!("both.names.test:{port}")), "200 yes"),
            (app, http(&format!("names.test:{port}")), DENIED),
            (app, http(&format!("good.badnames.test:{port}")), DENIED),
            (app, http(&format!("good.names.test.evil.test:{port}")), DENIED),
            (app, http("good.names.test"), DENIED),
            (app, http(&format!("127.0.0.1:{port}")), DENIED),
            (app, http(&format!("missing.names.test:{port}")), UNKNOWN),
        ]);
        for name in [
            "loopback",
            "private",
            "metadata",
            "shared",
            "unspecified",
            "broadcast",
            "multicast",
            "loopback6",
            "mapped",
            "nat64",
            "6to4",
            "local6",
        ] {
            rows.push((app, http(&format!("{name}.names.test:{port}")), PROHIBITED));
        }
        // The first answer of the name server is let through, the second one is not, the third one is again.
        for expected in ["200 yes", PROHIBITED, "200 yes", PROHIBITED] {
            rows.push((app, http(&format!("rebind.names.test:{port}")), expected));
        }
    }
    rows.push(("strict", http(&format!("good.names.test:{port}")), PROHIBITED));
    check(&house, &rows);
    assert_eq!(names.asked("rebind.names.test"), 8, "one look-up for each request, and none to connect");
    assert_eq!(names.asked("good.badnames.test"), 0, "what is not granted is not looked up");
    let line = house.log().wait_for("the line about the network", |entry| {
        entry.text("app") == "strict" && entry.message().contains("good.names.test")
    });
    assert!(line.message().contains("`grants.networks = [\"127.0.0.1\"]`"), "{line}");
}

#[test]
fn targets_of_connections() {
    let names = names();
    let port = greeter("welcome\n");
    server_at(&format!("127.0.0.2:{port}"), |mut connection| connection.write_all(b"not for you\n"));
    let other = greeter("not for you\n");
    let by_name = format!(
        "grants.tcp = [\"*.names.test:{port}\"]\ngrants.networks = [\"127.0.0.1\"]\ngrants.http = [\"http://web.test\"]"
    );
    let by_address = format!("grants.tcp = [\"127.0.0.1:{port}\"]");
    let manifest = Manifest::new()
        .app("named", "connect", &by_name)
        .app("named-p3", "connect-p3", &by_name)
        .app("address", "connect", &by_address)
        .app("bare", "connect", "");
    let house = House::start_with(&manifest, 1, |command| names.resolve_for(command));
    let to = |address: &str, port: u16| format!("/?address={address}:{port}");
    let name = |name: &str| format!("/name?name={name}");
    let name_3 = |name: &str, port: u16| format!("/?name={name}&port={port}");
    const REFUSED: &str = "refused: ";
    const DENIED: &str = "refused: PermissionDenied";
    check(
        &house,
        &[
            ("address", to("127.0.0.1", port), "welcome"),
            ("address", to("127.0.0.1", other), DENIED),
            ("address", to("127.0.0.2", port), DENIED),
            ("address", to("[::ffff:127.0.0.1]", port), REFUSED),
            ("address", to("good.names.test", port), REFUSED),
            ("address", name("good.names.test"), REFUSED),
            ("address", "/listen".to_owned(), DENIED),
            ("named", to("good.names.test", port), "welcome"),
            ("named", to("both.names.test", port), "welcome"),
            ("named", to("good.names.test", other), DENIED),
            ("named", to("127.0.0.1", port), DENIED),
            ("named", to("loopback.names.test", port), REFUSED),
            ("named", to("private.names.test", port), REFUSED),
            ("named", name("good.names.test"), "127.0.0.1"),
            ("named", name("both.names.test"), "127.0.0.1"),
            ("named", name("metadata.names.test"), REFUSED),
            ("named", name("good.elsewhere.test"), REFUSED),
            ("named", name("web.test"), REFUSED),
            ("named", to("rebind.names.test", port), "welcome"),
            ("named", to("rebind.names.test", port), REFUSED),
            ("bare", to("127.0.0.1", port), DENIED),
            ("bare", name("good.names.test"), REFUSED),
            ("named-p3", name_3("good.names.test", port), "1 connected"),
            (
                "named-p3",
                name_3("good.names.test", other),
                "refused: 0 and then connection ErrorCode::AccessDenied",
            ),
            ("named-p3", name_3("127.0.0.2", port), "refused: 0 and then connection ErrorCode::AccessDenied"),
            (
                "named-p3",
                name_3("private.names.test", port),
                "refused: 0 and then name ErrorCode::AccessDenied",
            ),
            (
                "named-p3",
                name_3("good.elsewhere.test", port),
                "refused: 0 and then name ErrorCode::AccessDenied",
            ),
            (
                "named-p3",
                name_3("missing.names.test", port),
                "refused: 0 and then name ErrorCode::NameUnresolvable",
            ),
            ("named-p3", name_3("0x7f.1", port), "refused: 0 and then name ErrorCode::InvalidArgument"),
        ],
    );
    assert_eq!(names.asked("good.elsewhere.test"), 0, "what is not granted is not looked up");
    assert_eq!(names.asked("web.test"), 0, "and a grant of requests is none of look-ups");
    house.log().wait_for("the line about the port", |entry| {
        entry.text("app") == "address"
            && entry.message().contains(&format!("`grants.tcp = [\"127.0.0.1:{other}\"]`"))
    });
}

#[test]
fn targets_of_datagrams() {
    let echo = |greeting: &'static str| {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let port = socket.local_addr().expect("an address").port();
        thread::spawn(move || {
            let mut packet = [0; 100];
            while let Ok((_, client)) = socket.recv_from(&mut packet) {
                let _ = socket.send_to(greeting.as_bytes(), client);
            }
        });
        port
    };
    let (granted, other) = (echo("welcome\n"), echo("not for you\n"));
    let house =
        House::start(
            &Manifest::new()
                .app("granted", "connect", &format!("grants.udp = [\"127.0.0.1:{granted}\"]"))
                .app("tcp", "connect", &format!("grants.tcp = [\"127.0.0.1:{granted}\"]")),
        );
    let to = |port: u16| format!("/udp?address=127.0.0.1:{port}");
    check(
        &house,
        &[
            ("granted", to(granted), "welcome"),
            ("granted", to(other), "refused: "),
            ("tcp", to(granted), "refused: "),
        ],
    );
    house.log().wait_for("the line about the port", |entry| {
        entry.message().contains(&format!("`grants.udp = [\"127.0.0.1:{other}\"]`"))
    });
}

#[test]
fn a_redirect_is_a_request_like_any_other() {
    let secret = http_server(answer("not for you"));
    let open = http_server(answer("yes"));
    let redirect = |to: String| {
        http_server(format!(
            "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        ))
    };
    let (good, bad) =
        (redirect(format!("http://127.0.0.1:{open}/")), redirect(format!("http://127.0.0.1:{secret}/")));
    let metadata = redirect("http://169.254.169.254/latest/meta-data/".to_owned());
    let grants = [open, good, bad, metadata].map(|port| format!("\"http://127.0.0.1:{port}\"")).join(", ");
    let house = House::start(&Manifest::new().app("fetch", "fetch", &format!("grants.http = [{grants}]")));
    let from = |port: u16| format!("{}&follow=3", http(&format!("127.0.0.1:{port}")));
    check(
        &house,
        &[("fetch", from(good), "200 yes"), ("fetch", from(bad), DENIED), ("fetch", from(metadata), DENIED)],
    );
}

#[test]
fn a_guest_that_is_refused_again_and_again_has_one_line() {
    let house = House::start(&Manifest::new().app("fetch", "fetch", "").app("other", "fetch", ""));
    for _ in 0..20 {
        assert!(house.get("fetch", &http("127.0.0.1:9")).text().starts_with(DENIED));
    }
    assert!(house.get("other", &http("127.0.0.1:9")).text().starts_with(DENIED));
    let lines = |app: &'static str| {
        house.log().matching(move |entry| entry.text("app") == app && entry.message().starts_with("refused "))
    };
    house.log().wait_for("the other app's line", |entry| {
        entry.text("app") == "other" && entry.message().starts_with("refused ")
    });
    assert_eq!(lines("fetch").len(), 1);
    let message = lines("fetch")[0].message();
    assert!(message.contains("`grants.http = [\"http://127.0.0.1:9\"]`"), "{message}");
    let status: serde_json::Value =
        serde_json::from_str(&house.command(&["status", "--json"]).stdout).expect("JSON");
    let app = status["apps"].as_array().expect("apps").iter().find(|app| app["name"] == "fetch").expect("it");
    assert_eq!(app["serving"]["refused"], 20);
    assert_eq!(app["serving"]["outgoing"], 0);
}

/// A server that answers no request before it is told to, and tells of each that has come.
fn slow_server() -> (u16, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let (came, coming) = mpsc::channel();
    let (go, going) = mpsc::channel();
    let going = std::sync::Arc::new(Mutex::new(going));
    let port = server(move |mut connection: TcpStream| {
        let (came, going) = (came.clone(), going.clone());
        thread::spawn(move || -> io::Result<()> {
            let mut lines = BufReader::new(connection.try_clone()?).lines();
            while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
            let _ = came.send(());
            let _ = going.lock().expect("the word").recv();
            connection.write_all(answer("yes").as_bytes())
        });
        Ok(())
    });
    (port, coming, go)
}

#[test]
fn so_many_requests_at_once_and_no_more() {
    let (port, coming, go) = slow_server();
    let keys = format!("grants.http = [\"http://127.0.0.1:{port}\"]\nlimits.outgoing = 2");
    let house =
        House::start(&Manifest::new().app("fetch", "fetch", &keys).app("fetch-p3", "fetch-p3", &keys));
    let target = http(&format!("127.0.0.1:{port}"));
    for app in ["fetch", "fetch-p3"] {
        let ask = || -> Connection {
            let mut connection = house.connect();
            connection.send(Request::get(&format!("{app}.test"), &target).bytes());
            connection
        };
        let waiting = [ask(), ask()];
        for _ in &waiting {
            coming.recv().expect("a request");
        }
        let text = house.get(app, &target).text();
        assert!(text.starts_with("refused: ErrorCode::ConnectionLimitReached"), "{app}: {text}");
        waiting.iter().for_each(|_| go.send(()).expect("the server"));
        for mut connection in waiting {
            assert_eq!(connection.response("GET").text(), "200 yes");
        }
        go.send(()).expect("the server");
        assert_eq!(house.get(app, &target).text(), "200 yes", "there is a place again");
        coming.recv().expect("that request");
        house.log().wait_for("the line about the limit", |entry| {
            entry.text("app") == app && entry.message().contains("`limits.outgoing`")
        });
    }
}

#[test]
fn so_many_sockets_at_once_and_no_more() {
    let held = Mutex::new(Vec::new());
    let port = server(move |connection| {
        held.lock().expect("them").push(connection);
        Ok(())
    });
    let keys = format!("grants.tcp = [\"127.0.0.1:{port}\"]\nlimits.outgoing = 3");
    let house = House::start(&Manifest::new().app("connect", "connect", &keys).app(
        "connect-p3",
        "connect-p3",
        &keys,
    ));
    for _ in 0..2 {
        let count =
            |count: u8| format!("/many?address=127.0.0.1:{port}&name=127.0.0.1&port={port}&count={count}");
        assert_eq!(house.get("connect", &count(3)).text(), "3\n");
        assert!(house.get("connect", &count(4)).text().starts_with("3 and then "));
        assert_eq!(house.get("connect-p3", &count(3)).text(), "3 connected\n");
        let text = house.get("connect-p3", &count(4)).text();
        assert!(
            text.starts_with("refused: 3 and then socket ErrorCode::Other(Some(\"new-socket-limit\"))"),
            "{text}"
        );
    }
    let streams = format!("/streams?name=127.0.0.1&port={port}&count=4");
    let text = house.get("connect-p3", &streams).text();
    assert!(text.starts_with("refused: 3 and then socket "), "a stream keeps its connection open: {text}");
}

#[test]
fn servers_that_keep_a_guest_waiting() {
    let silent_until = |sent: &'static str| {
        let held = Mutex::new(Vec::new());
        server(move |mut connection| {
            connection.read_exact(&mut [0])?;
            connection.write_all(sent.as_bytes())?;
            held.lock().expect("them").push(connection);
            Ok(())
        })
    };
    let silent = silent_until("");
    let half = silent_until("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    let keys = format!(
        "grants.http = [\"http://127.0.0.1:{silent}\", \"http://127.0.0.1:{half}\"]\nlimits.outgoing-ms = 300"
    );
    let house =
        House::start(&Manifest::new().app("fetch", "fetch", &keys).app("fetch-p3", "fetch-p3", &keys));
    for app in ["fetch", "fetch-p3"] {
        for port in [silent, half] {
            let text = house.get(app, &http(&format!("127.0.0.1:{port}"))).text();
            let words = ["ConnectionReadTimeout", "connection read timeout"];
            assert!(words.iter().any(|words| text.contains(words)), "{app}: {text}");
        }
    }
}

#[test]
fn bodies_over_the_limit() {
    let body = "x".repeat(2 << 20);
    let declared = http_server(answer(&body));
    let streamed = http_server(format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{body}"));
    let sink = server(|mut connection| {
        // Until the client breaks off.
        io::copy(&mut connection, &mut io::sink()).map(drop)
    });
    let keys = format!(
        "grants.http = [\"http://127.0.0.1:{declared}\", \"http://127.0.0.1:{streamed}\", \"http://127.0.0.1:{sink}\"]\n\
         limits.outgoing-body-mib = 1"
    );
    let house =
        House::start(&Manifest::new().app("fetch", "fetch", &keys).app("fetch-p3", "fetch-p3", &keys));
    for app in ["fetch", "fetch-p3"] {
        for port in [declared, streamed] {
            let text = house.get(app, &http(&format!("127.0.0.1:{port}"))).text();
            // The one is told by the head, the other within the body, where WASI 0.2 has words for it.
            let words =
                ["HttpResponseBodySize(Some(1048576))", "HTTP response body size exceeds limit: 1048576"];
            assert!(words.iter().any(|words| text.contains(words)), "{app}: {text}");
        }
        house.log().wait_for("the line about the limit", |entry| {
            entry.text("app") == app && entry.message().contains("`limits.outgoing-body-mib`")
        });
    }
    let text = house.get("fetch", &format!("{}&send=2000000", http(&format!("127.0.0.1:{sink}")))).text();
    assert!(text.contains("HttpRequestBodySize(Some(1048576))"), "{text}");
}

/// `openssl s_server` with a certificate for `localhost`.
struct TlsServer(Child);

impl TlsServer {
    fn start(folder: &Path) -> (TlsServer, u16) {
        certificate(folder);
        let mut server = Command::new("openssl")
            .args(["s_server", "-accept", "127.0.0.1:0", "-www", "-key", "key.pem", "-cert", "cert.pem"])
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl serves");
        let mut lines = BufReader::new(server.stdout.take().expect("a pipe")).lines();
        let told = lines.by_ref().map_while(Result::ok).find(|line| line.starts_with("ACCEPT "));
        let told = told.expect("the server tells its address");
        let port = told.rsplit(':').next().and_then(|port| port.trim().parse().ok()).expect("a port");
        // Read on, so that the server never waits for a reader.
        thread::spawn(move || lines.for_each(drop));
        (TlsServer(server), port)
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn https_wants_a_certificate_of_the_host_that_somebody_trusted_has_signed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_server, port) = TlsServer::start(folder.path());
    let plain = server(|mut connection| {
        connection.read_exact(&mut [0])?;
        connection.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    });
    let keys = format!(
        "grants.http = [\"https://localhost:{port}\", \"https://127.0.0.1:{port}\", \"https://localhost:{plain}\"]"
    );
    let manifest = Manifest::new().app_of("fetch", &component("fetch"), &keys);
    let to = |host: &str, port: u16| format!("/?scheme=https&authority={host}:{port}&path=/");
    let certificate = folder.path().join("cert.pem");
    let trusting = House::start_with(&manifest, 1, |command| {
        command.env("SSL_CERT_FILE", &certificate);
    });
    check(
        &trusting,
        &[
            ("fetch", to("localhost", port), "200 "),
            ("fetch", to("127.0.0.1", port), "refused: ErrorCode::TlsCertificateError"),
            ("fetch", to("localhost", plain), "refused: ErrorCode::TlsProtocolError"),
        ],
    );
    let house = House::start_with(&manifest, 1, |command| {
        command.env_remove("SSL_CERT_FILE");
    });
    check(&house, &[("fetch", to("localhost", port), "refused: ErrorCode::TlsCertificateError")]);
    let file = folder.path().join("none.pem");
    fs::write(&file, "no certificate").expect("a file");
    let broken = House::start_with(&manifest, 1, |command| {
        command.env("SSL_CERT_FILE", &file);
    });
    check(&broken, &[("fetch", to("localhost", port), "refused: ErrorCode::")]);
}
