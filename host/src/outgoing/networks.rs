//! Which addresses a granted name may lead to.
//!
//! Those of the public Internet, and what the operator names beside. Everything else is somebody's own network, the
//! machine itself or no host at all, and a name server that an app's author holds can lead a name to any of them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::plan::RemoteHost;

/// Of IPv4, all that is not globally reachable or no single host: the IANA IPv4 Special-Purpose Address Registry, multicast
/// (RFC 5771) and what is reserved (RFC 1112, section 4), with the broadcast address in it.
const NOT_PUBLIC_V4: [(Ipv4Addr, u32); 15] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// Of IPv6, what is public: RFC 4291, section 2.4. Outside of it lie `::1`, unique-local, link-local and multicast addresses,
/// and those with one of IPv4 in them: mapped, compatible, NAT64.
const GLOBAL_UNICAST: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// And within that, what is not: protocol assignments with Teredo, documentation, 6to4, documentation again. The IANA IPv6
/// Special-Purpose Address Registry.
const NOT_PUBLIC_V6: [(Ipv6Addr, u32); 4] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// Whether an app to which `host` is granted may connect to `address`, one of those that it resolved to.
pub(crate) fn allowed(host: &RemoteHost, address: IpAddr, networks: &[IpNet]) -> bool {
    let address = address.to_canonical();
    // Who names an address means it, and `localhost` is a name for nothing but this machine.
    *host == RemoteHost::Address(address)
        || (host.is_localhost() && address.is_loopback())
        || is_public(address)
        || networks.iter().any(|network| network.contains(&address))
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let within = |(network, length): &(Ipv4Addr, u32)| {
                (address.to_bits() ^ network.to_bits()).leading_zeros() >= *length
            };
            !NOT_PUBLIC_V4.iter().any(within)
        }
        IpAddr::V6(address) => {
            let within = |(network, length): &(Ipv6Addr, u32)| {
                (address.to_bits() ^ network.to_bits()).leading_zeros() >= *length
            };
            within(&GLOBAL_UNICAST) && !NOT_PUBLIC_V6.iter().any(within)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_public_internet_is_public() {
        let public = |text: &str| is_public(text.parse::<IpAddr>().unwrap().to_canonical());
        for address in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "::ffff:1.1.1.1",
            "2001:200::1",
            "2606:4700:4700::1111",
            "2a00:1450:4001::1",
        ] {
            assert!(public(address), "{address}");
        }
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:0:127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::101:101",
            "64:ff9b:1::a00:1",
            "100::1",
            "2001::1",
            "2001:2::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "fd00:ec2::254",
        ] {
            assert!(!public(address), "{address}");
        }
    }

    #[test]
    fn a_grant_names_an_address_by_itself_by_localhost_or_by_a_network() {
        let check = |host: &str, address: &str, networks: &[&str]| {
            let networks: Vec<IpNet> = networks.iter().map(|text| text.parse().unwrap()).collect();
            allowed(&RemoteHost::parse(host).unwrap(), address.parse().unwrap(), &networks)
        };
        assert!(check("127.0.0.1", "127.0.0.1", &[]));
        assert!(!check("127.0.0.1", "127.0.0.2", &[]));
        assert!(check("localhost", "::1", &[]) && check("a.localhost", "127.0.0.1", &[]));
        assert!(!check("localhost", "10.0.0.1", &[]));
        assert!(check("db.internal", "10.1.2.3", &["10.0.0.0/8"]));
        assert!(check("db.internal", "::ffff:10.1.2.3", &["10.0.0.0/8"]));
        assert!(!check("db.internal", "127.0.0.1", &["10.0.0.0/8"]));
        assert!(!check("notlocalhost", "127.0.0.1", &[]));
    }
}
