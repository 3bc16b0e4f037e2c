//! The fuzz targets as ordinary tests: over the corpus of each, and over mangled pieces of it. `fuzz/run` looks for more, for
//! as long as it is given.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a target that does not hold panics"
)]

#[path = "../../fuzz/src/component.rs"]
#[expect(unreachable_pub, reason = "the fuzzer's crate uses it too")]
mod component;
#[path = "../../fuzz/src/targets.rs"]
#[expect(unreachable_pub, reason = "the fuzzer's crate uses it too")]
mod targets;

use std::{fs, path::Path};

use proptest::{prelude::*, test_runner::TestRunner};

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    files.map(|file| fs::read(file.unwrap().path()).unwrap()).collect()
}

/// The seeds themselves, and then with pieces gone, doubled, replaced, or from one another.
fn holds(name: &str, target: fn(&[u8]), cases: u32) {
    let seeds = corpus(name);
    assert!(!seeds.is_empty(), "{name} has no corpus");
    seeds.iter().for_each(|seed| target(seed));
    let edit =
        (any::<prop::sample::Index>(), 0..16_usize, prop::collection::vec(any::<u8>(), 0..6), any::<bool>());
    let strategy =
        (prop::sample::select(seeds.clone()), prop::sample::select(seeds), prop::collection::vec(edit, 1..8))
            .prop_map(|(seed, other, edits)| {
                let mut bytes = seed;
                for (at, removed, inserted, borrows) in edits {
                    let at = at.index(bytes.len() + 1);
                    let end = (at + removed).min(bytes.len());
                    let piece =
                        other.get(at.min(other.len())..(at + removed).min(other.len())).unwrap_or_default();
                    bytes.splice(at..end, if borrows { piece.to_vec() } else { inserted });
                }
                bytes
            });
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    TestRunner::new(config)
        .run(&strategy, |bytes| {
            target(&bytes);
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{name}: {error}"));
}

#[test]
fn manifests() {
    holds("manifest", targets::manifest, 500);
}

#[test]
fn plans() {
    holds("plan", targets::plan, 200);
}

#[test]
fn routers() {
    holds("router", targets::router, 2000);
}

#[test]
fn header_fields() {
    holds("headers", targets::headers, 2000);
}

#[test]
fn admin_bodies() {
    holds("admin", targets::admin, 2000);
}

#[test]
fn cache_entries() {
    holds("cache", targets::cache, 200);
}

#[test]
fn component_files() {
    holds("component", component::component, 100);
}
