//! Reads the whole request, then traps.

use test_guests::{guest, p2};

guest!(|request, _, _out| {
    let _ = p2::read(&request, |_| {});
    core::arch::wasm32::unreachable()
});
