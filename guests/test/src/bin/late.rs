//! Answers whole, then goes on as `?then=` says: `trap`, `spin`, or `wait` for `?ms=` milliseconds. Prints `finished
//! late` when it comes to an end.

use test_guests::{guest, p2};

guest!(|_request, target, out| {
    p2::answer(out, "answered\n");
    match target.get("then") {
        Some("trap") => core::arch::wasm32::unreachable(),
        Some("spin") => loop {
            std::hint::black_box(());
        },
        _ => p2::sleep(Some(target.number("ms").unwrap_or(0))),
    }
    println!("finished late");
});
