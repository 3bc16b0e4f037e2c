//! Has the host hash passwords: see `test_guests::hashes`.

use test_guests::{guest, hashes, p2};

guest!(|_request, target, out| p2::answer(out, &hashes::hash(target)));
