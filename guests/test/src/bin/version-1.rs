//! Version 1 of an app that says which version it is: see `test_guests::version`.

use test_guests::{guest, version};

guest!(|_request, target, out| version::answer(1, target, out));
