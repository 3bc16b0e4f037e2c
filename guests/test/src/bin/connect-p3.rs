//! Uses `wasi:sockets` 0.3 itself, and answers what came of it: `/?name=&port=` looks a name up and connects to the first
//! address over TCP, `/many?name=&port=&count=` keeps so many connections open at once, and `/streams?name=&port=&count=` of
//! each no more than the stream that it receives.

use test_guests::{
    guest_p3,
    p3::{self, ErrorCode, Request, Response},
    target::Target,
    wasip3::sockets::{
        ip_name_lookup::resolve_addresses,
        types::{
            IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress, TcpSocket,
        },
    },
};

guest_p3!(behave);

async fn behave(_request: Request, target: Target) -> Result<Response, ErrorCode> {
    let count = target.number("count").unwrap_or(1);
    let (mut open, mut streams) = (Vec::new(), Vec::new());
    for number in 0..count {
        match connect(&target).await {
            Ok(socket) if target.path == "/streams" => streams.push(socket.receive()),
            Ok(socket) => open.push(socket),
            Err(error) => return Ok(p3::text(&format!("refused: {number} and then {error}\n"))),
        }
    }
    Ok(p3::text(&format!("{} connected\n", open.len() + streams.len())))
}

async fn connect(target: &Target) -> Result<TcpSocket, String> {
    let port = u16::try_from(target.number("port").unwrap_or(0)).expect("a port");
    let found = resolve_addresses(target.get("name").unwrap_or_default().to_owned()).await;
    let found = found.map_err(|error| format!("name {error:?}"))?;
    let (family, address) = match found.first().expect("an address") {
        IpAddress::Ipv4(address) => {
            (IpAddressFamily::Ipv4, IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address: *address }))
        }
        IpAddress::Ipv6(address) => {
            let address = Ipv6SocketAddress { port, flow_info: 0, address: *address, scope_id: 0 };
            (IpAddressFamily::Ipv6, IpSocketAddress::Ipv6(address))
        }
    };
    let socket = TcpSocket::create(family).map_err(|error| format!("socket {error:?}"))?;
    socket.connect(address).await.map_err(|error| format!("connection {error:?}"))?;
    Ok(socket)
}
