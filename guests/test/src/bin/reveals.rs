//! Reveals its secrets: see `test_guests::secrets` for the questions.

use test_guests::{guest, p2, secrets};

guest!(|_request, target, out| p2::answer_json(out, &secrets::secrets(target)));
