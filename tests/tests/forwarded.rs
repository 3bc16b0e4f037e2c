//! What a guest is told of where its request came from: believed from named proxies only, and rewritten otherwise. And
//! what a route adds: a stripped prefix and fixed headers.

use guesthouse_tests::{Connection, House, Manifest, Request, SharedHouse};
use serde_json::Value;

static TRUSTING: SharedHouse = SharedHouse::new();

/// What a guest sees of a request.
struct Seen(Value);

impl Seen {
    /// The one value of a header, or none.
    fn header(&self, name: &str) -> Option<&str> {
        let pairs = self.0["headers"].as_array().expect("pairs");
        let mut own =
            pairs.iter().filter(|pair| pair[0] == name).map(|pair| pair[1].as_str().expect("a text"));
        let value = own.next();
        assert_eq!(own.next(), None, "one value of {name} in {}", self.0);
        value
    }

    fn scheme(&self) -> String {
        self.0["scheme"].as_str().expect("a scheme").to_lowercase()
    }

    fn authority(&self) -> &str {
        self.0["authority"].as_str().expect("an authority")
    }
}

/// Both worlds must see the same.
fn see(house: &House, request: impl Fn(&str) -> Request) -> Seen {
    let [old, new] = ["info", "info-p3"].map(|app| {
        let answer = house.send(&request(&format!("{app}.test")));
        assert_eq!(answer.status(), 200, "{}", answer.text());
        // The numbers of requests and the names differ.
        let text = answer.text().replace(app, "APP");
        let mut seen: Value = serde_json::from_str(&text).expect("JSON");
        seen["headers"].as_array_mut().expect("pairs").retain(|pair| pair[0] != "x-request-id");
        seen
    });
    assert_eq!(old["headers"], new["headers"]);
    assert_eq!((&old["authority"], &old["path"]), (&new["authority"], &new["path"]));
    Seen(old)
}

fn claims(host: &str) -> Request {
    Request::get(host, "/")
        .header("x-forwarded-for", "198.51.100.7, 127.0.0.2")
        .header("x-forwarded-proto", "https")
        .header("x-forwarded-host", "public.example")
        .header("x-forwarded-port", "8443")
        .header("x-real-ip", "198.51.100.7")
        .header("x-forwarded-prefix", "/outer")
        .header("x-forwarded-ssl", "on")
}

fn apps(manifest: Manifest) -> Manifest {
    manifest.app("info", "info", "").app("info-p3", "info-p3", "")
}

#[test]
fn a_stranger_is_not_believed() {
    let house = House::start(&apps(Manifest::new()));
    let forwarded = |host: &str| {
        Request::get(host, "/").header("forwarded", "for=198.51.100.7;proto=https;host=x.example")
    };
    for seen in [see(&house, claims), see(&house, forwarded)] {
        assert_eq!(seen.scheme(), "scheme::http");
        assert_eq!(seen.authority(), "APP.test");
        assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.1"));
        assert_eq!(seen.header("x-real-ip"), Some("127.0.0.1"));
        assert_eq!(seen.header("x-forwarded-proto"), Some("http"));
        assert_eq!(seen.header("x-forwarded-host"), Some("APP.test"));
        assert_eq!(seen.header("x-forwarded-prefix"), None);
        assert_eq!(seen.header("x-forwarded-ssl"), None);
        assert_eq!(seen.header("forwarded"), Some("for=127.0.0.1;proto=http;host=\"APP.test\""));
        assert!(!seen.0.to_string().contains("198.51.100.7"), "{}", seen.0);
    }
}

fn trusting() -> std::sync::Arc<House> {
    TRUSTING.get(|| {
        let routes = "routes = [\"info.test\", \"public.example\", \"[2001:db8::5]:8443\"]";
        Manifest::new()
            .server("trusted-proxies = [\"127.0.0.0/8\", \"10.0.0.0/8\"]")
            .app("info", "info", routes)
    })
}

fn see_trusted(request: &Request) -> Seen {
    let answer = trusting().send(request);
    assert_eq!(answer.status(), 200, "{}", answer.text());
    Seen(answer.json())
}

#[test]
fn a_trusted_proxy_is_believed() {
    let house = trusting();
    let seen = see_trusted(&claims("info.test"));
    assert_eq!(seen.scheme(), "scheme::https");
    assert_eq!(seen.authority(), "public.example");
    assert_eq!(seen.header("x-real-ip"), Some("198.51.100.7"));
    assert_eq!(seen.header("x-forwarded-for"), Some("198.51.100.7, 127.0.0.2, 127.0.0.1"));
    assert_eq!(seen.header("x-forwarded-proto"), Some("https"));
    assert_eq!(seen.header("x-forwarded-host"), Some("public.example"));
    assert_eq!(seen.header("x-forwarded-prefix"), Some("/outer"));
    let line = house.log().wait_for("the access line", |entry| entry.is_access("info"));
    assert!(!line.text("client").is_empty());
}

#[test]
fn the_standard_field_is_believed_too() {
    let forwarded = "for=\"[2001:db8::1]:4711\";proto=https;host=\"[2001:db8::5]:8443\", for=10.1.2.3";
    let seen = see_trusted(&Request::get("info.test", "/").header("forwarded", forwarded));
    assert_eq!(seen.scheme(), "scheme::https");
    assert_eq!(seen.authority(), "[2001:db8::5]:8443");
    assert_eq!(seen.header("x-real-ip"), Some("2001:db8::1"));
    assert_eq!(seen.header("x-forwarded-for"), Some("2001:db8::1, 10.1.2.3, 127.0.0.1"));
    let forwarded = seen.header("forwarded").expect("Forwarded");
    assert!(forwarded.contains("for=\"[2001:db8::1]\"") && forwarded.contains("proto=https"), "{forwarded}");
}

/// A client may have sent a chain of its own to the proxy: only its last stranger is the client.
#[test]
fn what_a_client_claims_to_a_trusted_proxy_is_not_believed() {
    let request =
        Request::get("info.test", "/").header("x-forwarded-for", "10.9.9.9, 6.6.6.6, 198.51.100.7, 10.0.0.1");
    let seen = see_trusted(&request);
    assert_eq!(seen.header("x-real-ip"), Some("198.51.100.7"));
    assert!(!seen.header("x-forwarded-for").expect("a chain").contains("6.6.6.6"));
    let request = Request::get("info.test", "/").header("x-forwarded-for", "198.51.100.7, nonsense<script>");
    let seen = see_trusted(&request);
    assert_eq!(seen.header("x-real-ip"), Some("127.0.0.1"));
    assert!(!seen.0.to_string().contains("script"), "{}", seen.0);
}

#[test]
fn a_proxy_cannot_name_a_host_that_is_none() {
    for host in ["a b", "user@info.test", "info.test/path", "<script>", "info.test:99999"] {
        let answer = trusting().send(&Request::get("info.test", "/").header("x-forwarded-host", host));
        assert!([400, 404].contains(&answer.status()), "{host}: {}", answer.status());
    }
}

#[test]
fn peers_of_unix_sockets_are_trusted_if_said_so() {
    for (trust, expected) in [("", None), ("trust-unix = true", Some("198.51.100.7"))] {
        let folder = tempfile::tempdir().expect("a folder");
        let manifest = apps(Manifest::new().head("[listen]\nhttp = \"unix:house.sock\"").server(trust));
        let house = House::start_in(folder, &manifest.text(), 1, |_| {});
        let mut connection = Connection::unix(&house.folder().join("house.sock"));
        connection.send(Request::get("info.test", "/").header("x-forwarded-for", "198.51.100.7").bytes());
        let seen = Seen(connection.response("GET").json());
        assert_eq!(seen.header("x-real-ip"), expected);
        assert_eq!(seen.header("x-forwarded-for"), expected);
    }
}

#[test]
fn every_request_has_a_number_of_its_own() {
    let house = House::start(&apps(Manifest::new()));
    let mut numbers: Vec<_> = (0..5)
        .map(|_| {
            let answer = house.send(&Request::get("info.test", "/").header("x-request-id", "mine"));
            let number = Seen(answer.json()).header("x-request-id").expect("a number").to_owned();
            let line = house.log().wait_for("its access line", |entry| entry.text("request") == number);
            assert_eq!(line.text("app"), "info");
            number
        })
        .collect();
    numbers.sort();
    numbers.dedup();
    assert_eq!(numbers.len(), 5);
    assert!(!numbers.contains(&"mine".to_owned()));
}

const SHOP: &str = r#"
routes = [
    { route = "mall.test/shop", strip-prefix = true, headers = { "X-Tenant" = "shop", "X-Proto" = "fixed" } },
    { route = "mall.test/shop/old", strip-prefix = false },
]
"#;

#[test]
fn a_route_may_strip_its_prefix_and_set_headers() {
    let house = House::start(&Manifest::new().app("shop", "info", SHOP).app(
        "mall",
        "info-p3",
        "routes = [\"mall.test\"]",
    ));
    let see = |path: &str| {
        Seen(house.send(&Request::get("mall.test", path).header("x-tenant", "of the client")).json())
    };
    for (path, seen_path) in
        [("/shop", "/"), ("/shop/", "/"), ("/shop/a/b?c=d", "/a/b?c=d"), ("/shop?x=1", "/?x=1")]
    {
        let seen = see(path);
        assert_eq!(seen.0["path"], seen_path, "{path}");
        assert_eq!(seen.header("x-forwarded-prefix"), Some("/shop"));
        assert_eq!(seen.header("x-tenant"), Some("shop"), "in place of what the client sent");
        assert_eq!(seen.header("x-proto"), Some("fixed"));
    }
    let seen = see("/shop/old/x");
    assert_eq!(seen.0["path"], "/shop/old/x");
    assert_eq!((seen.header("x-forwarded-prefix"), seen.header("x-tenant")), (None, Some("of the client")));
    // A prefix ends where a segment ends.
    for path in ["/shopping", "/", "/Shop"] {
        let seen = see(path);
        assert_eq!((&seen.0["path"], seen.header("x-proto")), (&Value::from(path), None), "{path}");
    }
}
