//! Clients that others have written get right answers.

use std::{
    io::Write,
    process::{Command, Output, Stdio},
    sync::Arc,
};

use guesthouse_tests::{House, Manifest, SharedHouse, tool};

static HOUSE: SharedHouse = SharedHouse::new();

fn house() -> Arc<House> {
    HOUSE.get(|| {
        let mut manifest = Manifest::new();
        for guest in ["echo", "echo-p3", "stream", "stream-p3", "info", "sink", "hello-rust", "hello-rust-p3"]
        {
            manifest = manifest.app(guest, guest, "");
        }
        manifest.app("reused", "hello-rust", "instances.isolation = \"reuse\"")
    })
}

fn output(command: &mut Command, input: &[u8]) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the client starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_vec();
    // From a thread of its own: the client may answer before it has read all. One that reads no input closes the pipe.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().expect("the client ends");
    writer.join().expect("the input is written");
    assert!(
        output.status.success(),
        "{}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

fn text(command: &mut Command) -> String {
    String::from_utf8(output(command, b"").stdout).expect("UTF-8")
}

/// curl, told that every name of the house is at its address.
fn curl(house: &House) -> Command {
    let mut command = tool("curl", "curl");
    command.args(["--silent", "--show-error", "--max-time", "60", "--noproxy", "*", "--connect-to"]);
    command.arg(format!("::{}", house.address()));
    command
}

#[test]
fn curl_gets_puts_and_streams() {
    let house = house();
    assert_eq!(text(curl(&house).args(["http://echo.test/ok", "http://echo-p3.test/ok"])), "ok\nok\n");
    let head = text(curl(&house).args(["--head", "http://stream.test/?bytes=5&length=1"]));
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("content-length: 5\r\n"), "{head}");
    let body: Vec<u8> = (0..5_000_000).map(|index: u32| (index % 253) as u8).collect();
    for app in ["echo", "echo-p3"] {
        let url = format!("http://{app}.test/");
        // curl asks for leave to continue before it sends as much as this.
        let echoed = output(curl(&house).args(["--data-binary", "@-", &url]), &body);
        assert!(echoed.stdout == body, "{app}: {} bytes came back", echoed.stdout.len());
        let chunked = ["--upload-file", "-", "--header", "Transfer-Encoding: chunked", &url];
        let echoed = output(curl(&house).args(chunked), &body);
        assert!(echoed.stdout == body, "{app}, chunked: {} bytes came back", echoed.stdout.len());
    }
    let old = text(curl(&house).args(["--http1.0", "--include", "http://hello-rust.test/"]));
    assert!(old.contains("Hello from a guest of the house"), "{old}");
    let form = text(curl(&house).args(["--form", "field=value", "http://sink.test/"]));
    assert!(form.contains("\"error\":null"), "{form}");
}

#[test]
fn curl_keeps_a_connection() {
    let house = house();
    let format = "%{num_connects} ";
    let connects = text(curl(&house).args([
        "--write-out",
        format,
        "--output",
        "/dev/null",
        "http://hello-rust.test/[1-10]",
    ]));
    assert_eq!(connects, "1 0 0 0 0 0 0 0 0 0 ");
}

#[test]
fn curl_over_a_unix_socket() {
    let folder = tempfile::tempdir().expect("a folder");
    let manifest = Manifest::new().head("[listen]\nhttp = \"unix:house.sock\"").app("echo", "echo", "");
    let house = House::start_in(folder, &manifest.text(), 1, |_| {});
    let mut curl = tool("curl", "curl");
    curl.args(["--silent", "--show-error", "--max-time", "60", "--noproxy", "*", "--unix-socket"]);
    curl.arg(house.folder().join("house.sock"));
    assert_eq!(text(curl.arg("http://echo.test/ok")), "ok\n");
}

#[test]
fn wrk_finds_no_error() {
    let house = house();
    for app in ["hello-rust", "hello-rust-p3", "reused"] {
        let report = text(
            tool("wrk", "wrk")
                .args(["-t2", "-c32", "-d1s", "-H", &format!("Host: {app}.test")])
                .arg(format!("http://{}/", house.address())),
        );
        assert!(!report.contains("Non-2xx") && !report.contains("Socket errors"), "{app}: {report}");
        let requests =
            report.lines().find_map(|line| line.trim().split_once(" requests in")).expect("a count").0;
        assert!(requests.parse::<u64>().expect("a number") > 50, "{app}: {report}");
    }
}

#[test]
fn hey_finds_no_error() {
    let house = house();
    for app in ["hello-rust", "hello-rust-p3", "reused"] {
        let report = text(
            tool("hey", "hey")
                .args(["-n", "1000", "-c", "20", "-host", &format!("{app}.test")])
                .arg(format!("http://{}/", house.address())),
        );
        assert!(report.contains("[200]\t1000 responses"), "{app}: {report}");
        assert!(!report.contains("Error distribution"), "{app}: {report}");
    }
}

const PYTHON: &str = r#"
import http.client, json, sys
port = int(sys.argv[1])
connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

def ask(method, host, path, body=None, headers={}, **options):
    connection.request(method, path, body=body, headers={"Host": host, **headers}, **options)
    answer = connection.getresponse()
    return answer.status, answer.read(), answer

socket = None
for number in range(20):
    status, body, answer = ask("GET", "hello-rust.test", f"/{number}")
    assert status == 200 and f"GET /{number}".encode() in body, body
    assert socket in (None, connection.sock), "the connection is kept"
    socket = connection.sock

for host in ["echo.test", "echo-p3.test"]:
    assert ask("POST", host, "/", b"known length")[:2] == (200, b"known length")
    chunks = (bytes([65 + number]) * 10000 for number in range(20))
    status, body, _ = ask("POST", host, "/", chunks, {"Transfer-Encoding": "chunked"}, encode_chunked=True)
    assert status == 200 and len(body) == 200000, (status, len(body))
    assert ask("PUT", host, "/", b"")[:2] == (200, b"")

status, body, answer = ask("HEAD", "stream.test", "/?bytes=1000&length=1")
assert (status, body, answer.getheader("content-length")) == (200, b"", "1000")
status, body, answer = ask("GET", "stream-p3.test", "/?bytes=3000000")
assert body == bytes(index % 251 for index in range(3000000))
status, body, _ = ask("OPTIONS", "info.test", "/x", headers={"X-Many": "a, b"})
assert ["x-many", "a, b"] in json.loads(body)["headers"], body
assert ask("GET", "nobody.test", "/")[0] == 404
assert socket is connection.sock, "the connection is kept all along"
print("all is well")
"#;

#[test]
fn python_finds_all_well() {
    let house = house();
    let port = house.address().port().to_string();
    assert_eq!(text(tool("python3", "python3").args(["-c", PYTHON, &port])), "all is well\n");
}
