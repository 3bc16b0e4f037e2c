//! A name server for one house, which answers as the test says, and another thing each time if the test wants that.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, UdpSocket},
    process::Command,
    sync::{Arc, Mutex},
    thread,
};

use tempfile::TempDir;

const A: u16 = 1;
const AAAA: u16 = 28;

/// A name server on a loopback address of its own, port 53: a system's resolver asks no other port.
pub struct Names {
    files: TempDir,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Names {
    /// Answers each query with the addresses that `answer` gives for the name, in lower case, and the number of times that
    /// addresses of IPv4 were asked for under it before. No address: there is no such name.
    ///
    /// # Panics
    ///
    /// Where this user may not listen on port 53.
    pub fn serve(answer: impl Fn(&str, usize) -> Vec<IpAddr> + Send + 'static) -> Names {
        let (address, socket) = (1..=250)
            .map(|host| Ipv4Addr::new(127, 53, 53, host))
            .find_map(|address| Some((address, UdpSocket::bind((address, 53)).ok()?)))
            .expect("this test serves names on port 53, and so runs as root");
        let files = tempfile::tempdir().expect("a folder");
        let resolver = format!("nameserver {address}\noptions timeout:2 attempts:2\n");
        fs::write(files.path().join("resolv.conf"), resolver).expect("a file");
        fs::write(files.path().join("hosts"), "").expect("a file");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let names = Names { files, asked: asked.clone() };
        thread::spawn(move || {
            let mut packet = [0; 512];
            while let Ok((length, client)) = socket.recv_from(&mut packet) {
                let Some((name, kind, question)) = read(&packet[..length]) else { continue };
                let before = {
                    let mut asked = asked.lock().expect("the queries");
                    let before = asked.iter().filter(|other| **other == name).count();
                    if kind == A {
                        asked.push(name.clone());
                    }
                    before
                };
                let reply = reply(&packet[..length], question, kind, &answer(&name, before));
                let _ = socket.send_to(&reply, client);
            }
        });
        names
    }

    /// Has a command resolve names here and nowhere else: it gets a view of the file system of its own, in which the
    /// resolver's files are others.
    pub fn resolve_for(&self, command: &mut Command) {
        const SCRIPT: &str = "mount --bind \"$0/resolv.conf\" /etc/resolv.conf && mount --bind \"$0/hosts\" /etc/hosts && exec \"$@\"";
        let mut inside = Command::new("unshare");
        inside.args(["--mount", "sh", "-c", SCRIPT]).arg(self.files.path());
        inside.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            };
        }
        *command = inside;
    }

    /// How often addresses of IPv4 were asked for under this name.
    ///
    /// # Panics
    ///
    /// Where the server has.
    pub fn asked(&self, name: &str) -> usize {
        self.asked.lock().expect("the queries").iter().filter(|other| *other == name).count()
    }
}

/// The name and the type of a query (RFC 1035, section 4.1), and where its question ends.
fn read(packet: &[u8]) -> Option<(String, u16, usize)> {
    let mut labels = Vec::new();
    let mut at = 12;
    loop {
        let length = usize::from(*packet.get(at)?);
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(packet.get(at + 1..at + 1 + length)?).to_ascii_lowercase());
        at += 1 + length;
    }
    let kind = u16::from_be_bytes([*packet.get(at + 1)?, *packet.get(at + 2)?]);
    Some((labels.join("."), kind, at + 5))
}

fn reply(query: &[u8], question: usize, kind: u16, addresses: &[IpAddr]) -> Vec<u8> {
    let fitting: Vec<Vec<u8>> = addresses
        .iter()
        .filter_map(|address| match address {
            IpAddr::V4(address) if kind == A => Some(address.octets().to_vec()),
            IpAddr::V6(address) if kind == AAAA => Some(address.octets().to_vec()),
            _ => None,
        })
        .collect();
    // A response, recursion desired and available; NXDOMAIN where there is nothing at all.
    let code = if addresses.is_empty() { 3 } else { 0 };
    let mut reply = query[..2].to_vec();
    reply.extend([0x81, 0x80 | code, 0, 1, 0, u8::try_from(fitting.len()).expect("few"), 0, 0, 0, 0]);
    reply.extend(&query[12..question]);
    for address in fitting {
        reply.extend([0xc0, 12]);
        reply.extend(kind.to_be_bytes());
        reply.extend([0, 1, 0, 0, 0, 0, 0, u8::try_from(address.len()).expect("short")]);
        reply.extend(address);
    }
    reply
}
