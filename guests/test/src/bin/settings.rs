//! Tells its settings as JSON: see `test_guests::json::settings` for the questions.

use test_guests::{guest, json, p2};

guest!(|_request, target, out| p2::answer_json(out, &json::settings(target)));
