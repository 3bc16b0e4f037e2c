//! The router against a naive reference: for random tables and requests, the table finds what trying every pattern and
//! taking the most specific one finds; and what it finds does not depend on how the request is spelled.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use guesthouse::router::{Host, Outcome, Pattern, RequestPath, Table};
use proptest::prelude::*;

/// A pattern in parts, from few enough words that patterns and requests often meet.
#[derive(Debug, Clone)]
struct Route {
    host: String,
    port: Option<u16>,
    path: Vec<&'static str>,
}

impl Route {
    fn text(&self) -> String {
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        let path: String = self.path.iter().flat_map(|segment| ["/", segment]).collect();
        format!("{}{port}{path}", self.host)
    }

    /// Whether the pattern matches and how specific it is, by the rules as the manual tells them, one by one.
    fn rank(&self, host: &str, port: u16, path: &[&str]) -> Option<(usize, usize, bool, usize)> {
        let is_name = host.ends_with(|last: char| last.is_ascii_alphabetic());
        let (kind, length) = match self.host.strip_prefix("*.") {
            _ if self.host == "*" => (0, 0),
            Some(suffix) => {
                (is_name && host.ends_with(&format!(".{suffix}"))).then_some((1, suffix.len()))?
            }
            None => (self.host == host).then_some((2, 0))?,
        };
        if self.port.is_some_and(|named| named != port) || !path.starts_with(&self.path) {
            return None;
        }
        Some((kind, length, self.port.is_some(), self.path.len()))
    }
}

fn name() -> impl Strategy<Value = String> {
    let label = prop::sample::select(vec!["a", "b", "example", "com"]);
    prop::collection::vec(label, 1..5).prop_map(|labels| labels.join("."))
}

fn address() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["127.0.0.1", "[::1]"]).prop_map(str::to_owned)
}

fn port() -> impl Strategy<Value = Option<u16>> {
    prop::sample::select(vec![None, Some(80), Some(443), Some(8000)])
}

fn segments() -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "ab", "a-b", "a.b", "A", "%20"]), 0..5)
}

fn routes() -> impl Strategy<Value = Vec<Route>> {
    let host = prop_oneof![
        1 => Just("*".to_owned()),
        2 => name().prop_map(|name| format!("*.{name}")),
        3 => name(),
        1 => address(),
    ];
    let route = (host, port(), segments()).prop_map(|(host, port, path)| Route { host, port, path });
    prop::collection::vec(route, 0..60).prop_map(|mut routes| {
        let mut seen = std::collections::HashSet::new();
        routes.retain(|route| seen.insert(route.text()));
        routes
    })
}

fn table(routes: &[Route]) -> Table<usize> {
    let pattern = |route: &Route| Pattern::parse(&route.text()).unwrap();
    Table::new(routes.iter().enumerate().map(|(index, route)| (pattern(route), index)).collect()).unwrap()
}

/// One of several spellings of the same host and path, as a client may send them.
fn spell(host: &str, port: Option<u16>, path: &[&str], variant: u8) -> (String, String) {
    let mut host = if variant & 1 == 0 { host.to_owned() } else { host.to_uppercase() };
    if variant & 2 != 0 && !host.starts_with('[') {
        host.push('.');
    }
    if let Some(port) = port {
        host.push_str(&format!(":{port}"));
    }
    let segment = |segment: &&str| match (variant & 4 != 0, variant & 8 != 0) {
        (true, _) => segment.replace('a', "%61"),
        (_, true) => format!("./x/%2e./{segment}"),
        _ => (*segment).to_owned(),
    };
    let path: String = path.iter().flat_map(|part| ["/".to_owned(), segment(part)]).collect();
    (host, path)
}

/// Host, port, path, how it is spelled, and whether it comes by https.
type Request = (String, Option<u16>, Vec<&'static str>, u8, bool);

fn requests() -> impl Strategy<Value = Vec<Request>> {
    let host = prop_oneof![5 => name(), 1 => address()];
    prop::collection::vec((host, port(), segments(), any::<u8>(), any::<bool>()), 1..20)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn the_table_finds_what_the_naive_reference_finds(routes in routes(), requests in requests()) {
        let table = table(&routes);
        for (host, named_port, path, variant, tls) in requests {
            let scheme_port = if tls { 443 } else { 80 };
            let port = named_port.unwrap_or(scheme_port);
            let ranked = routes.iter().enumerate().filter_map(|(at, route)| Some((route.rank(&host, port, &path)?, at)));
            let expected = ranked.max().map(|(_, at)| at);

            let (host, raw_path) = spell(&host, named_port, &path, variant);
            let host = Host::parse(&host).unwrap();
            let path = RequestPath::new(&raw_path);
            prop_assert_eq!(table.lookup(&host, scheme_port, &path).copied(), expected, "{}{}", host, raw_path);

            let explained = table.explain(&host, scheme_port, &path);
            let answers = explained.iter().filter(|one| one.outcome == Outcome::Answers).map(|one| *one.target);
            prop_assert_eq!(Vec::from_iter(answers), Vec::from_iter(expected), "explain says what lookup does");
        }
    }

    #[test]
    fn nothing_makes_the_parsers_panic_and_normal_forms_are_stable(
        text in "\\PC{0,40}",
        like_a_host in "[a-zA-Z0-9.:*é\\[\\]/%_-]{0,30}",
        path in "/[a-c./%0-9A-Fé]{0,40}",
    ) {
        for text in [text, like_a_host] {
            if let Ok(host) = Host::parse(&text) {
                let again = host.to_string();
                prop_assert_eq!(Host::parse(&again).unwrap().to_string(), again);
            }
            if let Ok(pattern) = Pattern::parse(&text) {
                prop_assert_eq!(Pattern::parse(&pattern.to_string()).unwrap(), pattern);
            }
        }
        let normal = RequestPath::new(&path).as_str().to_owned();
        let again = RequestPath::new(&normal);
        prop_assert_eq!(again.as_str(), &normal);
        prop_assert!(normal.starts_with('/'));
        prop_assert!(!normal.split('/').any(|segment| matches!(segment, "." | "..")), "{} -> {}", path, normal);
    }
}

#[test]
fn ten_thousand_hosts_suffixes_and_prefixes_are_all_found() {
    let texts = (0..10_000).map(|n| format!("host-{n}.example.com"));
    let texts = texts.chain((0..10_000).map(|n| format!("*.zone-{n}.example.com")));
    let texts = texts.chain((0..10_000).map(|n| format!("shared.example.com/{}/t{n}", n % 7)));
    let routes = texts.enumerate().map(|(at, text)| (Pattern::parse(&text).unwrap(), at));
    let table = Table::new(routes.collect()).unwrap();
    let lookup = |host: &str, path: &str| {
        table.lookup(&Host::parse(host).unwrap(), 80, &RequestPath::new(path)).copied()
    };
    for n in 0..10_000 {
        assert_eq!(lookup(&format!("host-{n}.example.com"), "/"), Some(n));
        assert_eq!(lookup(&format!("x.y.zone-{n}.example.com"), "/"), Some(10_000 + n));
        assert_eq!(lookup("shared.example.com", &format!("/{}/t{n}/x", n % 7)), Some(20_000 + n));
        assert_eq!(lookup("shared.example.com", &format!("/{}/t{n}x", n % 7)), None);
    }
}
