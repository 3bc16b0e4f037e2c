//! The memory of a house does not grow by swapping. `cargo run --release -p guesthouse-tests --bin swap -- --leak` does
//! it 500 times.

use guesthouse_tests::growth;

/// Above what the allocator and the kernel make of the same work at different times; far below what one generation of
/// each swap would take.
const BOUND_KIB: u64 = 16 * 1024;

#[test]
fn as_much_after_many_swaps_as_after_ten() {
    let (after_ten, after_all) = growth(100, BOUND_KIB);
    println!("{} KiB after 10 swaps, {} KiB after 100", after_ten.now_kib, after_all.now_kib);
    assert!(
        after_all.now_kib <= after_ten.now_kib + BOUND_KIB,
        "{} KiB after 10 swaps, {} KiB after 100",
        after_ten.now_kib,
        after_all.now_kib
    );
}
