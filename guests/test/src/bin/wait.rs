//! Sleeps `?ms=` milliseconds, or for ever without it, then answers. Prints `waiting` first, and with `?name=` that too.
//! With `?mib=` it has written to so much memory by then, and with `?deep=` it is that many calls deep.

use test_guests::{guest, p2};

guest!(|_request, target, out| {
    let mib = target.number("mib").unwrap_or_default();
    let written = vec![1_u8; usize::try_from(mib).expect("an address") << 20];
    std::hint::black_box(&written);
    deep(target.number("deep").unwrap_or_default(), &|| {
        println!("{}", format!("waiting {}", target.get("name").unwrap_or_default()).trim_end());
        p2::sleep(target.number("ms"));
    });
    p2::answer(out, "waited\n");
});

fn deep(calls: u64, then: &dyn Fn()) -> u64 {
    if calls == 0 {
        then();
        return 0;
    }
    // Not a loop, since something is left to do.
    std::hint::black_box([calls; 8])[0] + deep(calls - 1, then)
}
