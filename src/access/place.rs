//! Places of callers: many addresses of one machine count as one place.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// Where connections come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// An IPv4 address, or the network of 64 bits that an IPv6 address is of.
    Net(IpAddr),
    /// A user of this machine, over the socket.
    User(u32),
}

impl Place {
    /// The place of an address. A machine with one IPv6 address has a /64 of them, which counts as
    /// one.
    #[must_use]
    pub fn of(ip: IpAddr) -> Self {
        Self::Net(match ip.to_canonical() {
            IpAddr::V6(v6) => {
                let mask = u128::MAX << 64;
                IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask | u128::from(v6.is_loopback())))
            }
            v4 @ IpAddr::V4(_) => v4,
        })
    }
}

impl fmt::Display for Place {
    /// As records and messages name it. All of this machine's own addresses are one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Net(ip) if ip.is_loopback() => f.write_str("loopback"),
            Self::Net(IpAddr::V6(net)) => write!(f, "{net}/64"),
            Self::Net(v4) => v4.fmt(f),
            Self::User(uid) => write!(f, "unix uid:{uid}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_network_is_one_place_and_so_is_this_machine() {
        let [a, b, c] = ["2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1"]
            .map(|ip| Place::of(ip.parse().unwrap()));
        assert_eq!(a, b);
        assert_ne!(a, c);
        assert_eq!(Place::of("::1".parse().unwrap()), Place::Net("::1".parse().unwrap()));
        for (address, shown) in [
            ("2001:db8::1", "2001:db8::/64"),
            ("::ffff:10.0.0.1", "10.0.0.1"),
            ("::1", "loopback"),
            ("127.1.2.3", "loopback"),
        ] {
            assert_eq!(Place::of(address.parse().unwrap()).to_string(), shown);
        }
        assert_eq!(Place::User(7).to_string(), "unix uid:7");
    }
}
