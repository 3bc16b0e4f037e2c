//! Panics with a message.

use test_guests::guest;

guest!(|_request, _, _out| panic!("this guest panics on purpose"));
