//! Returns without an answer.

use test_guests::guest;

guest!(|_request, _, _out| {});
