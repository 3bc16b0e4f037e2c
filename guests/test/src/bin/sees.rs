//! Tells the marks that it sees: see `test_guests::marks`. Has an `initialize`, which keeps the setting `MARK` in memory.

use test_guests::{guest, initialised, marks, p2};

initialised!();

guest!(|_request, target, out| p2::answer_json(out, &marks::seen(target)));
