//! Prints each `?stdout=` as a line on standard output, each `?stderr=` on standard error, and each `?partial=` on
//! standard output without an end of line.

use std::io::Write;

use test_guests::{guest, p2};

guest!(|_request, target, out| {
    for line in target.all("stdout") {
        println!("{line}");
    }
    for line in target.all("stderr") {
        eprintln!("{line}");
    }
    for part in target.all("partial") {
        print!("{part}");
        std::io::stdout().flush().expect("the host takes the output");
    }
    p2::answer(out, "said\n");
});
