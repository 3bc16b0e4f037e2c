//! What a guest can see of marks such as `~~of-shop.setting.3~`, which a test has put into settings, environments, files and
//! requests of several apps: all that it finds there and in the whole of its memory.

use std::{cell::RefCell, collections::BTreeSet, fs};

use serde_json::{Value as Json, json};

use crate::{bindings::guesthouse::settings::settings, target::Target};

const BEGIN: &[u8] = b"~~of-";
const LENGTH_MAX: usize = 80;

thread_local! {
    /// Marks of requests, to be found by those that come later to this instance.
    static KEPT: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Keeps the `?mark=`, prints it, and traps at `/trap`; tells what the interfaces show (`shown`) and what is anywhere in
/// memory then (`memory`).
pub fn seen(target: &Target) -> Json {
    let mark = target.get("mark").unwrap_or_default();
    KEPT.with_borrow_mut(|kept| kept.push(mark.to_owned()));
    println!("asked with {mark}");
    // Kept until memory is looked at.
    let mut given = vec![settings::get_json("").unwrap_or_default().into_bytes()];
    given.extend(std::env::vars().map(|(_, value)| value.into_bytes()));
    given.extend(
        fs::read_dir("/files").into_iter().flatten().flatten().filter_map(|file| fs::read(file.path()).ok()),
    );
    let mut shown = BTreeSet::new();
    for text in &given {
        find(text, &mut shown);
    }
    for mark in &shown {
        eprintln!("sees {mark}");
    }
    if target.path == "/trap" {
        core::arch::wasm32::unreachable();
    }
    let mut memory = BTreeSet::new();
    find(all_memory(), &mut memory);
    drop(std::hint::black_box(given));
    json!({ "shown": shown, "memory": memory })
}

fn find(bytes: &[u8], found: &mut BTreeSet<String>) {
    for (at, _) in bytes.windows(BEGIN.len()).enumerate().filter(|(_, window)| *window == BEGIN) {
        let rest = bytes.get(at + BEGIN.len()..).unwrap_or_default();
        let length = rest.iter().take(LENGTH_MAX).take_while(|byte| is_of_mark(**byte)).count();
        if rest.get(length) == Some(&b'~') {
            found.insert(String::from_utf8_lossy(&rest[..length]).into_owned());
        }
    }
}

fn is_of_mark(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-')
}

fn all_memory() -> &'static [u8] {
    // Not from 0, which is no address for a slice.
    let bytes = core::arch::wasm32::memory_size(0) * 65_536 - 1;
    // SAFETY: this guest has one thread; it writes to nothing while it reads here but to what it finds marks in.
    unsafe { std::slice::from_raw_parts(std::hint::black_box(1 as *const u8), bytes) }
}
