use super::*;

fn table(patterns: &[&'static str]) -> Table<&'static str> {
    let routes = patterns.iter().map(|text| (Pattern::parse(text).unwrap(), *text)).collect();
    Table::new(routes).unwrap()
}

#[track_caller]
fn assert_leads(table: &Table<&'static str>, host: &str, path: &str, expected: Option<&str>) {
    let found = table.lookup(&Host::parse(host).unwrap(), 80, &RequestPath::new(path));
    assert_eq!(found.copied(), expected, "{host}{path}");
}

#[test]
fn the_most_specific_host_wins_whatever_the_order() {
    let mut patterns = ["*", "*.example.com", "a.example.com", "*.a.example.com", "[::1]", "127.0.0.1"];
    for _ in 0..2 {
        let table = table(&patterns);
        assert_leads(&table, "a.example.com", "/", Some("a.example.com"));
        assert_leads(&table, "b.example.com", "/", Some("*.example.com"));
        assert_leads(&table, "c.b.example.com", "/", Some("*.example.com"));
        assert_leads(&table, "b.a.example.com", "/", Some("*.a.example.com"));
        assert_leads(&table, "example.com", "/", Some("*"));
        assert_leads(&table, "notexample.com", "/", Some("*"));
        assert_leads(&table, "[::1]", "/", Some("[::1]"));
        assert_leads(&table, "[0:0::0001]:80", "/", Some("[::1]"));
        assert_leads(&table, "127.0.0.1:8080", "/", Some("127.0.0.1"));
        assert_leads(&table, "", "/", Some("*"));
        patterns.reverse();
    }
}

#[test]
fn names_are_compared_without_case_trailing_dot_and_in_ascii() {
    let table = table(&["Example.COM.", "bücher.example", "*.BÜCHER.example"]);
    assert_leads(&table, "EXAMPLE.com", "/", Some("Example.COM."));
    assert_leads(&table, "example.com.:8000", "/", Some("Example.COM."));
    assert_leads(&table, "xn--bcher-kva.example", "/", Some("bücher.example"));
    assert_leads(&table, "XN--BCHER-KVA.example", "/", Some("bücher.example"));
    assert_leads(&table, "Bücher.example", "/", Some("bücher.example"));
    assert_leads(&table, "a.xn--bcher-kva.example", "/", Some("*.BÜCHER.example"));
    assert_leads(&table, "example.org", "/", None);
}

#[test]
fn a_port_in_a_pattern_is_the_port_of_the_request() {
    let table = table(&["example.com", "example.com:8000", "example.com:443/tls", "*:8000"]);
    assert_leads(&table, "example.com:8000", "/", Some("example.com:8000"));
    assert_leads(&table, "example.com:8001", "/", Some("example.com"));
    assert_leads(&table, "example.com:443", "/tls", Some("example.com:443/tls"));
    assert_leads(&table, "example.com", "/tls", Some("example.com"));
    assert_leads(&table, "other.com:8000", "/", Some("*:8000"));
    assert_leads(&table, "other.com", "/", None);
    let of_scheme = table.lookup(&Host::parse("example.com").unwrap(), 443, &RequestPath::new("/tls"));
    assert_eq!(
        of_scheme.copied(),
        Some("example.com:443/tls"),
        "the port of the scheme counts where the host has none"
    );
}

#[test]
fn the_longest_path_wins_on_a_segment_boundary() {
    let table = table(&["h/shop", "h/shop/cart", "h/shop-b", "h/s", "h/shop/cart/x/y"]);
    assert_leads(&table, "h", "/shop", Some("h/shop"));
    assert_leads(&table, "h", "/shop/", Some("h/shop"));
    assert_leads(&table, "h", "/shop/x", Some("h/shop"));
    assert_leads(&table, "h", "/shop/cart", Some("h/shop/cart"));
    assert_leads(&table, "h", "/shop/cart/x", Some("h/shop/cart"));
    assert_leads(&table, "h", "/shop/cart/x/y/z", Some("h/shop/cart/x/y"));
    assert_leads(&table, "h", "/shop/carts", Some("h/shop"));
    assert_leads(&table, "h", "/shop-b/x", Some("h/shop-b"));
    assert_leads(&table, "h", "/shop-a", None);
    assert_leads(&table, "h", "/shop!", None);
    assert_leads(&table, "h", "/SHOP", None);
    assert_leads(&table, "h", "/", None);
    assert_leads(&table, "h", "*", None);
}

#[test]
fn a_host_without_a_matching_path_leaves_the_request_to_less_specific_ones() {
    let table = table(&["example.com/shop", "*.com/blog", "*", "example.com:81"]);
    assert_leads(&table, "example.com", "/shop/1", Some("example.com/shop"));
    assert_leads(&table, "example.com", "/blog", Some("*.com/blog"));
    assert_leads(&table, "example.com", "/other", Some("*"));
    assert_leads(&table, "example.com:81", "/shop", Some("example.com:81"));
    assert_leads(&table, "example.com", "*", Some("*"));
}

#[test]
fn every_spelling_of_a_path_leads_to_the_same_place() {
    let table = table(&["h", "h/admin", "h/caf%C3%A9"]);
    for path in [
        "/admin",
        "/admin/",
        "/%61dmin",
        "/./admin",
        "/x/../admin",
        "/x/%2e%2E/admin",
        "/../admin",
        "/x/.%2e/admin/y",
    ] {
        assert_leads(&table, "h", path, Some("h/admin"));
    }
    for path in [
        "/admin/..",
        "/admin/../x",
        "/admin%2F",
        "//admin",
        "/x/admin",
        "/admin/%2e%2e/",
        "/Admin",
        "/%2561dmin",
    ] {
        assert_leads(&table, "h", path, Some("h"));
    }
    for path in ["/café", "/caf%c3%a9/x", "/%63af%C3%a9"] {
        assert_leads(&table, "h", path, Some("h/caf%C3%A9"));
    }
}

#[test]
fn paths_are_normalised_once_and_for_all() {
    let cases = [
        ("", "/"),
        ("*", "*"),
        ("/", "/"),
        ("/a/b", "/a/b"),
        ("/a/./b", "/a/b"),
        ("/a/../b", "/b"),
        ("/a/b/..", "/a/"),
        ("/a/b/.", "/a/b/"),
        ("/a/.", "/a/"),
        ("/..", "/"),
        ("/.", "/"),
        ("/../..//x", "//x"),
        ("/a//../b", "/a/b"),
        ("/a//b", "/a//b"),
        ("/.well-known/x", "/.well-known/x"),
        ("/...", "/..."),
        ("/a.b/..c", "/a.b/..c"),
        ("/%7euser", "/~user"),
        ("/%2f%3d", "/%2F%3D"),
        ("/100%", "/100%25"),
        ("/%zz", "/%25zz"),
        ("/%%32e/x", "/%252e/x"),
        ("/%2", "/%252"),
        ("/é", "/%C3%A9"),
        ("/a%20b", "/a%20b"),
        ("/%00", "/%00"),
    ];
    for (raw, expected) in cases {
        let normal = RequestPath::new(raw);
        assert_eq!(normal.as_str(), expected, "{raw}");
        assert_eq!(RequestPath::new(normal.as_str()), normal, "{raw}: normalising twice is normalising once");
    }
}

#[test]
fn a_prefix_is_stripped_to_at_least_a_slash() {
    assert_eq!(RequestPath::new("/shop").without("/shop"), "/");
    assert_eq!(RequestPath::new("/shop/").without("/shop"), "/");
    assert_eq!(RequestPath::new("/shop/x").without("/shop"), "/x");
    assert_eq!(RequestPath::new("/%73hop//x").without("/shop"), "//x");
    assert_eq!(RequestPath::new("/x").without(""), "/x");
    assert_eq!(RequestPath::new("*").without(""), "*");
}

#[test]
fn ordinary_hosts_and_paths_are_borrowed() {
    use std::borrow::Cow;
    for host in
        ["example.com", "example.com.:80", "127.0.0.1", "[2001:db8::1]:8000", "xn--bcher-kva.example", ""]
    {
        let (name, _) = host::split_port(host).unwrap();
        assert!(matches!(host::normal_name(name).unwrap(), Cow::Borrowed(_)), "{host}");
    }
    assert!(matches!(host::normal_name("[2001:DB8::1]").unwrap(), Cow::Owned(_)));
}

#[test]
fn hosts_that_are_none_are_refused() {
    let cases = [
        ("a..b", HostError::EmptyLabel),
        (".a", HostError::EmptyLabel),
        (".", HostError::EmptyLabel),
        ("a b", HostError::Character(' ')),
        ("a/b", HostError::Character('/')),
        ("user@a", HostError::Character('@')),
        ("*.a", HostError::Character('*')),
        ("a%2eb", HostError::Character('%')),
        ("a\0b", HostError::Character('\0')),
        ("a:b", HostError::Port),
        ("a:+1", HostError::Port),
        ("a:65536", HostError::Port),
        ("a:-1", HostError::Port),
        ("[::1", HostError::Ipv6),
        ("[x]", HostError::Ipv6),
        ("[::1%eth0]", HostError::Ipv6),
        ("[::1]x", HostError::Port),
        ("::1", HostError::Brackets),
        ("1.2.3", HostError::Ipv4),
        ("256.1.1.1", HostError::Ipv4),
        ("01.2.3.4", HostError::Ipv4),
        ("example.7", HostError::Ipv4),
        ("xn--\u{fc}.a", HostError::Idna),
    ];
    for (text, expected) in cases {
        assert_eq!(Host::parse(text).unwrap_err(), expected, "{text}");
    }
    assert_eq!(Host::parse(&"a".repeat(64)).unwrap_err(), HostError::Length);
    assert_eq!(Host::parse(&"a.".repeat(127)).map(|host| host.name().len()), Ok(253));
    assert_eq!(Host::parse(&"a.".repeat(128)).unwrap_err(), HostError::Length);
}

#[test]
fn hosts_tell_their_name_and_port() {
    let host = Host::parse("Example.COM.:08000").unwrap();
    assert_eq!(
        (host.name(), host.port(), host.to_string()),
        ("example.com", Some(8000), "example.com:8000".into())
    );
    let host = Host::parse("example.com:").unwrap();
    assert_eq!((host.name(), host.port()), ("example.com", None), "RFC 3986 allows an empty port");
}

#[test]
fn patterns_that_are_none_are_refused() {
    let cases = [
        ("", PatternError::Empty),
        ("http://a", PatternError::Scheme),
        ("a b", PatternError::Blank),
        ("a/b?c", PatternError::Query),
        ("a#b", PatternError::Query),
        ("/shop", PatternError::NoHost),
        (":80", PatternError::NoHost),
        ("*.", PatternError::NoHost),
        ("a*", PatternError::Wildcard),
        ("**", PatternError::Wildcard),
        ("a.*", PatternError::Wildcard),
        ("a.*.b", PatternError::Wildcard),
        ("*.*.b", PatternError::Wildcard),
        ("*.127.0.0.1", PatternError::Wildcard),
        ("*.[::1]", PatternError::Host(HostError::Brackets)),
        ("a:0", PatternError::PortZero),
        ("a/../b", PatternError::DotSegment),
        ("a/b/%2e", PatternError::DotSegment),
        ("a/.", PatternError::DotSegment),
        ("a:x", PatternError::Host(HostError::Port)),
        ("::1", PatternError::Host(HostError::Brackets)),
        ("a_b..c", PatternError::Host(HostError::EmptyLabel)),
        ("*.1.2", PatternError::Host(HostError::Ipv4)),
    ];
    for (text, expected) in cases {
        assert_eq!(Pattern::parse(text).unwrap_err(), expected, "{text}");
        assert!(!expected.help().is_empty());
    }
}

#[test]
fn patterns_have_one_spelling() {
    let cases = [
        ("*", "*"),
        ("*:8000/x/", "*:8000/x"),
        ("EXAMPLE.com./", "example.com"),
        ("[0::1]:80//", "[::1]:80"),
        ("*.Bücher.example/é", "*.xn--bcher-kva.example/%C3%A9"),
        ("a/%7e", "a/~"),
    ];
    for (text, expected) in cases {
        let pattern = Pattern::parse(text).unwrap();
        assert_eq!(pattern.to_string(), expected);
        assert_eq!(Pattern::parse(expected).unwrap(), pattern);
    }
}

#[test]
fn the_same_pattern_twice_is_a_conflict() {
    let routes = ["a", "b/x", "A./"].map(|text| (Pattern::parse(text).unwrap(), ()));
    assert_eq!(Table::new(routes.into()).unwrap_err(), Conflict { first: 0, second: 2 });
}

#[test]
fn explain_lists_what_was_weighed_the_most_specific_first() {
    let table = table(&[
        "*",
        "example.com/shop",
        "example.com:81",
        "*.com",
        "*.example.com",
        "example.com/blog",
        "other.com",
    ]);
    let considered = table.explain(&Host::parse("example.com").unwrap(), 80, &RequestPath::new("/shop/1"));
    let considered: Vec<_> =
        considered.iter().map(|considered| (*considered.target, considered.outcome)).collect();
    let expected = [
        ("example.com:81", Outcome::OtherPort),
        ("example.com/shop", Outcome::Answers),
        ("example.com/blog", Outcome::OtherPath),
        ("*.com", Outcome::LessSpecific),
        ("*", Outcome::LessSpecific),
    ];
    assert_eq!(considered, expected);
}
