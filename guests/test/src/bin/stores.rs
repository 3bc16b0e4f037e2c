//! Uses key-value stores as requests say: see `test_guests::stores` for the operations.

use test_guests::{guest, p2, stores};

guest!(|_request, target, out| p2::answer_json(out, &stores::act(target)));
