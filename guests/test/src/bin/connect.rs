//! Connects to `?address=` over TCP, and answers with the line that it is greeted by, or with the error.

use std::{
    io::{BufRead, BufReader},
    net::TcpStream,
};

use test_guests::{guest, p2};

guest!(|_request, target, out| {
    let address = target.get("address").expect("?address=");
    let greeting = TcpStream::connect(address).and_then(|connection| {
        let mut line = String::new();
        BufReader::new(connection).read_line(&mut line)?;
        Ok(line)
    });
    match greeting {
        Ok(line) => p2::answer(out, &line),
        Err(error) => p2::answer(out, &format!("refused: {:?}\n", error.kind())),
    }
});
