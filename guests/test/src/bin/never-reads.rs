//! Answers without a look at the body.

use test_guests::{guest, p2};

guest!(|_request, _, out| p2::answer(out, "not read\n"));
