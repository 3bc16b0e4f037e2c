//! Opens TCP connections to `?address=` without end, and keeps them all. Where one is refused it goes on trying.

use std::net::TcpStream;

use test_guests::guest;

guest!(|_request, target, _out| {
    let address = target.get("address").expect("?address=");
    let mut kept = Vec::new();
    loop {
        kept.extend(TcpStream::connect(address));
    }
});
