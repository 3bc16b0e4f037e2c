//! Answers whole, then once more.

use test_guests::{guest, p2};

guest!(|_request, _, out| {
    let handle = out.take_handle();
    // SAFETY: that the handle is used twice is what this guest is for: the second use is the host's to refuse.
    let (first, second) =
        unsafe { (p2::ResponseOutparam::from_handle(handle), p2::ResponseOutparam::from_handle(handle)) };
    p2::answer(first, "the first answer\n");
    p2::answer(second, "the second answer\n");
});
