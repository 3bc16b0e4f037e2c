//! Sleeps `?ms=` milliseconds, or for ever without it, then answers. Prints `waiting` first, and with `?name=` that too.

use test_guests::{guest, p2};

guest!(|_request, target, out| {
    println!("{}", format!("waiting {}", target.get("name").unwrap_or_default()).trim_end());
    p2::sleep(target.number("ms"));
    p2::answer(out, "waited\n");
});
