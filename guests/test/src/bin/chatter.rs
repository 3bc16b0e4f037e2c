//! Prints lines for ever, on standard output and standard error by turns.

use test_guests::guest;

guest!(|_request, _, _out| {
    for number in 0_u64.. {
        println!("{number} of very many lines");
        eprintln!("{number} of very many lines of the other kind");
    }
});
