//! A version of the app of `test_guests::version` that fails often, but not always: it traps unless `?number=` is a multiple
//! of four. With the path `/healthz` it is always well, and no probe finds out.

use test_guests::{guest, version};

guest!(|_request, target, out| {
    if target.path != "/healthz" && !target.number("number").unwrap_or(1).is_multiple_of(4) {
        core::arch::wasm32::unreachable()
    }
    version::answer(3, target, out);
});
