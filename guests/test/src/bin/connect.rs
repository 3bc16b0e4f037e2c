//! Uses sockets, and answers what came of it: `/?address=` connects over TCP and tells the line that it is greeted by,
//! `/many?address=&count=` keeps so many connections open at once, `/udp?address=` sends a datagram and tells the answer,
//! `/name?name=` looks a name up, and `/listen` listens.

use std::{
    io::{self, BufRead, BufReader},
    net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket},
};

use test_guests::{guest, p2, target::Target};

guest!(|_request, target, out| {
    let outcome = act(target).unwrap_or_else(|error| format!("refused: {:?} {error}\n", error.kind()));
    p2::answer(out, &outcome);
});

fn act(target: &Target) -> io::Result<String> {
    let address = target.get("address").unwrap_or_default();
    match target.path.as_str() {
        "/many" => {
            let mut open = Vec::new();
            for number in 0..target.number("count").unwrap_or(0) {
                match TcpStream::connect(address) {
                    Ok(connection) => open.push(connection),
                    Err(error) => return Ok(format!("{number} and then {error}\n")),
                }
            }
            Ok(format!("{}\n", open.len()))
        }
        "/udp" => {
            let socket = UdpSocket::bind("0.0.0.0:0")?;
            socket.send_to(b"hello", address)?;
            let mut answer = [0; 100];
            let (length, _) = socket.recv_from(&mut answer)?;
            Ok(String::from_utf8_lossy(&answer[..length]).into_owned())
        }
        "/name" => {
            let found = (target.get("name").unwrap_or_default(), 0).to_socket_addrs()?;
            Ok(found.map(|address| address.ip().to_string()).collect::<Vec<_>>().join(" "))
        }
        "/listen" => TcpListener::bind("0.0.0.0:0").map(|_| "listening\n".to_owned()),
        _ => {
            let mut line = String::new();
            BufReader::new(TcpStream::connect(address)?).read_line(&mut line)?;
            Ok(line)
        }
    }
}
