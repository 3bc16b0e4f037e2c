//! Computes for ever without calling the host.

use test_guests::guest;

guest!(|_request, _, _out| {
    println!("spinning");
    let mut turns = 0_u64;
    loop {
        turns = std::hint::black_box(turns.wrapping_add(1));
    }
});
