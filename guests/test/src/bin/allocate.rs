//! Grows its memory by a MiB at a time until it is refused, touching all of it, and answers how many MiB it has got.
//! At `/vec` it allocates in the ordinary way instead, which aborts when it is refused.

use test_guests::{guest, p2};

const MIB: usize = 1 << 20;
const PAGES_PER_MIB: usize = 16;

guest!(|_request, target, out| {
    if target.path == "/vec" {
        let mut hoard = Vec::new();
        loop {
            hoard.push(std::hint::black_box(vec![1_u8; MIB]));
        }
    }
    let start = core::arch::wasm32::memory_size(0) / PAGES_PER_MIB;
    while core::arch::wasm32::memory_grow(0, PAGES_PER_MIB) != usize::MAX {}
    let end = core::arch::wasm32::memory_size(0) / PAGES_PER_MIB;
    for mib in start + 1..end {
        // A write to each 4 KiB makes the host's kernel back it.
        for page in 0..MIB / 4096 {
            let address = (mib * MIB + page * 4096) as *mut u8;
            // SAFETY: this guest has one thread and grew the memory itself; the allocator knows nothing above `start`.
            unsafe { address.write_volatile(1) };
        }
    }
    p2::answer(out, &format!("{end} MiB\n"));
});
