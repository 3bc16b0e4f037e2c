//! What must hold of all that the host reads of others, whatever the bytes: each target panics where it does not.

use std::{
    cell::OnceCell,
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::PathBuf,
};

use guesthouse::{
    engine::{
        Engine,
        cache::{Cache, ComponentDigest, Lookup},
    },
    forwarded::{Origin, Peer},
    manifest,
    plan::Plan,
    reload::change::{CanaryShare, RollbackRequest, SwapRequest},
    report::Report,
    router::{Host, HostPattern, Outcome, Pattern, RequestPath, Table},
};
use http::{HeaderMap, HeaderName, HeaderValue};

/// The text of a manifest: every problem has a place in it.
pub fn manifest(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut report = Report::default();
    manifest::parse("x.toml", text, &mut report);
    let shown = report.to_string();
    for problem in report.problems() {
        assert!(shown.contains(problem.message()), "{shown}");
    }
    assert!(report.is_empty() || report.has_errors(), "{shown}");
}

thread_local! {
    static FOLDER: OnceCell<tempfile::TempDir> = const { OnceCell::new() };
}

/// A folder of this thread, which goes with it.
fn folder() -> PathBuf {
    FOLDER.with(|folder| folder.get_or_init(|| tempfile::tempdir().expect("a folder")).path().to_owned())
}

/// The text of a manifest, up to the plan: it is refused with errors, or there is a plan that can be described.
pub fn plan(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    // An operator may name what he likes. What can be read for ever is not for a fuzzer.
    if ["/dev", "/proc", "/sys"].iter().any(|path| text.contains(path)) {
        return;
    }
    let folder = folder().join("plan");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("app.wasm"), b"\0asm").expect("a file");
    fs::write(folder.join("settings.toml"), text).expect("a file");
    let file = folder.join("guesthouse.toml");
    fs::write(&file, text).expect("a file");
    let variable = |name: &str| (name == "HOME").then(|| "/home/operator".to_owned());
    match Plan::load(&file, &variable) {
        Ok((plan, report)) => {
            assert!(!report.has_errors(), "{report}");
            assert!(!plan.describe_in_full().is_empty());
            assert!(!plan.apps.is_empty() && !plan.listeners.is_empty(), "a plan that serves nobody");
        }
        Err(report) => assert!(report.has_errors(), "{report}"),
    }
}

/// Route patterns, one a line; after an empty line requests, each a host and a path: what the table finds is what the
/// plain rule finds.
pub fn router(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (patterns, requests) = text.split_once("\n\n").unwrap_or((text, ""));
    let patterns: Vec<Pattern> = patterns.lines().filter_map(|line| Pattern::parse(line).ok()).collect();
    for pattern in &patterns {
        let again = Pattern::parse(&pattern.to_string());
        assert_eq!(again.as_ref(), Ok(pattern), "a pattern is its own spelling");
    }
    let routes: Vec<_> = patterns.iter().cloned().zip(0..).collect();
    let same = |(at, pattern)| patterns.iter().take(at).any(|other| other == pattern);
    let Ok(table) = Table::new(routes) else {
        assert!(patterns.iter().enumerate().any(same), "routes that differ are in conflict");
        return;
    };
    assert!(!patterns.iter().enumerate().any(same), "one route twice");
    for line in requests.lines() {
        let (host, path) = line.split_once(' ').unwrap_or((line, "/"));
        let Ok(host) = Host::parse(host) else { continue };
        let path = RequestPath::new(path);
        assert_eq!(RequestPath::new(path.as_str()), path, "a normal path is its own spelling");
        for port in [80, 443] {
            let found = table.lookup(&host, port, &path).copied();
            assert_eq!(found, plain(&patterns, &host, port, &path), "{line}");
            let told = table.explain(&host, port, &path);
            let answers = told.iter().find(|route| route.outcome == Outcome::Answers);
            assert_eq!(answers.map(|route| *route.target), found, "{line}: it is explained as it is found");
        }
    }
}

/// The most specific pattern by a look at each: by host, by port, by path.
fn plain(patterns: &[Pattern], host: &Host<'_>, port: u16, path: &RequestPath<'_>) -> Option<i32> {
    let port = host.port().unwrap_or(port);
    let is_address = host.name().starts_with('[') || host.name().parse::<Ipv4Addr>().is_ok();
    let by_host = |pattern: &Pattern| match pattern.host() {
        HostPattern::Exact(name) => (**name == *host.name()).then_some(usize::MAX),
        HostPattern::Suffix(suffix) => {
            let above = host.name().strip_suffix(&**suffix).is_some_and(|rest| rest.ends_with('.'));
            (above && !is_address).then_some(suffix.len())
        }
        HostPattern::Any => Some(0),
    };
    let by_path = |prefix: &str| {
        let rest = path.as_str().strip_prefix(prefix)?;
        (prefix.is_empty() || rest.is_empty() || rest.starts_with('/')).then_some(prefix.len())
    };
    let matching = patterns.iter().zip(0..).filter_map(|(pattern, at)| {
        let named = pattern.port().is_none_or(|named| named == port).then_some(pattern.port().is_some())?;
        Some(((by_host(pattern)?, named, by_path(pattern.prefix())?), at))
    });
    matching.max().map(|(_, at)| at)
}

/// Lines: a host, a peer's address, then header fields. What is said of the client is believed of the trusted alone, and
/// what the guest is told says the same when it is read again.
pub fn headers(bytes: &[u8]) {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let mut text = || std::str::from_utf8(lines.next().unwrap_or_default()).unwrap_or_default();
    let (host, peer) = (text(), text());
    if let Ok(parsed) = Host::parse(host) {
        let again = parsed.to_string();
        assert_eq!(Host::parse(&again).as_ref(), Ok(&parsed), "{again}");
    }
    let peer: IpAddr = peer.parse().unwrap_or(IpAddr::V6(Ipv6Addr::LOCALHOST));
    let mut fields = HeaderMap::new();
    for line in lines {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let name = HeaderName::from_bytes(line.get(..colon).unwrap_or_default());
        let value = HeaderValue::from_bytes(line.get(colon + 1..).unwrap_or_default());
        if let (Ok(name), Ok(value)) = (name, value) {
            fields.append(name, value);
        }
    }
    let proxies = ["10.0.0.0/8", "fd00::/8"].map(|net| net.parse().expect("a network"));
    let mut stranger = fields.clone();
    let origin = Origin::take(&mut stranger, Peer::Ip(peer), &[], false);
    assert_eq!(origin.client, Some(peer.to_canonical()), "a stranger is who he is");
    assert!(origin.host.is_none() && origin.scheme == http::uri::Scheme::HTTP);
    assert!(stranger.keys().all(|name| !forwards(name)), "{stranger:?}");

    let proxy: IpAddr = [10, 0, 0, 1].into();
    let origin = Origin::take(&mut fields, Peer::Ip(proxy), &proxies, false);
    assert!(origin.client.is_some());
    assert!(fields.keys().all(|name| !forwards(name)), "{fields:?}");
    let authority = if Host::parse(host).is_ok() { host } else { "a.test" };
    origin.write(&mut fields, authority, "");
    let read_again = Origin::take(&mut fields, Peer::Ip(proxy), &proxies, false);
    assert_eq!(read_again.client, origin.client, "{origin:?}");
    assert_eq!(read_again.scheme, origin.scheme, "{origin:?}");
}

/// The fields that say something of the client here.
fn forwards(name: &HeaderName) -> bool {
    let names = ["forwarded", "x-real-ip"];
    let prefixed = ["for", "proto", "host", "port", "prefix"];
    let rest = name.as_str().strip_prefix("x-forwarded-");
    names.contains(&name.as_str()) || rest.is_some_and(|rest| prefixed.contains(&rest))
}

/// A body of the admin interface, as each of the types that it takes: it is refused, or what was read is what is written.
pub fn admin(bytes: &[u8]) {
    if let Ok(request) = serde_json::from_slice::<SwapRequest>(bytes) {
        let written = serde_json::to_vec(&request).expect("JSON");
        assert_eq!(serde_json::from_slice::<SwapRequest>(&written).expect("the same"), request);
    }
    if let Ok(request) = serde_json::from_slice::<RollbackRequest>(bytes) {
        let written = serde_json::to_vec(&request).expect("JSON");
        assert_eq!(serde_json::from_slice::<RollbackRequest>(&written).expect("the same"), request);
    }
    let _ = serde_json::from_slice::<CanaryShare>(bytes);
    if let Ok(digest) = std::str::from_utf8(bytes).unwrap_or_default().parse::<ComponentDigest>() {
        assert_eq!(digest.to_string().parse::<ComponentDigest>().expect("the same"), digest);
        assert!(digest.as_str().len() == 64 && !digest.as_str().contains(['/', '.']), "a name of a file");
    }
}

/// A cache of compiled code with one entry, as it was made.
struct Genuine {
    cache: Cache,
    component: ComponentDigest,
    code: Vec<u8>,
    mac: Vec<u8>,
    _folder: tempfile::TempDir,
}

thread_local! {
    static GENUINE: OnceCell<Genuine> = const { OnceCell::new() };
}

fn genuine() -> Genuine {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = Cache::open(folder.path(), &Engine::new().expect("an engine")).expect("a cache");
    let component = ComponentDigest::of_bytes(b"component");
    let code = b"compiled code".to_vec();
    let mut file = cache.scratch().expect("a file");
    std::io::Write::write_all(&mut file, &code).expect("a file");
    cache.put(&component, file).expect("an entry");
    let mac = fs::read(cache.path(&component).with_extension("mac")).expect("a digest");
    Genuine { cache, component, code, mac, _folder: folder }
}

/// An entry of the compile cache as another left it: the length of the keyed digest, the digest, the code. Only what the
/// cache itself wrote is ever found.
pub fn cache(bytes: &[u8]) {
    GENUINE.with(|kept| {
        let kept = kept.get_or_init(genuine);
        let Some((length, rest)) = bytes.split_first() else { return };
        // Digests and code that begin as the genuine ones do cannot be guessed, and are put in.
        let (mac, code) = rest.split_at(rest.len().min(usize::from(*length & 63)));
        let mac = if length & 64 == 0 { mac.to_vec() } else { [&kept.mac, mac].concat() };
        let code = if length & 128 == 0 { code.to_vec() } else { [&kept.code, code].concat() };
        let path = kept.cache.path(&kept.component);
        fs::write(&path, &code).expect("a file");
        fs::write(path.with_extension("mac"), &mac).expect("a file");
        let is_genuine = code == kept.code && mac == kept.mac;
        match kept.cache.get(&kept.component) {
            Lookup::Found(_) => assert!(is_genuine, "a stranger's code is taken"),
            Lookup::Rejected(_) => assert!(!is_genuine, "its own code is refused"),
            Lookup::Absent => panic!("the entry is there"),
        }
    });
}
