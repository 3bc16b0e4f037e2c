//! Has an `initialize`: see `test_guests::image` for what it does there and what it answers.

use test_guests::{guest, image, initialised, p2};

initialised!();

guest!(|_request, _target, out| p2::answer_json(out, &image::state()));
