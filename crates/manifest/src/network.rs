//! A network as an operator writes it. In: `10.0.0.0/8`. Out: a `Network` that knows what it contains.

use std::{fmt, net::IpAddr, str::FromStr};

/// An address range in CIDR notation; the bits after the prefix are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix_len: u8,
}

/// Why a text is not a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// Not `ADDRESS/LENGTH`.
    #[error("a network is an address, a slash and a prefix length")]
    Syntax,
    /// Longer than the address.
    #[error("the prefix is longer than the address: at most {0} bits")]
    PrefixTooLong(u8),
    /// Bits are set that the prefix does not cover. Holds the network that was probably meant.
    #[error("bits are set after the prefix")]
    HostBits(Network),
}

impl Network {
    /// The network of `prefix_len` bits that begins at `address`.
    pub fn new(address: IpAddr, prefix_len: u8) -> Result<Self, NetworkError> {
        let width = width(address);
        if prefix_len > width {
            return Err(NetworkError::PrefixTooLong(width));
        }
        let network = Self {
            address: masked(address, prefix_len),
            prefix_len,
        };
        if network.address == address {
            Ok(network)
        } else {
            Err(NetworkError::HostBits(network))
        }
    }

    /// The network that holds this address only.
    pub fn single(address: IpAddr) -> Self {
        Self {
            address,
            prefix_len: width(address),
        }
    }

    /// Whether `ip` is inside. An IPv4-mapped IPv6 address counts as the IPv4 address it is dialled as.
    pub fn contains(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        width(ip) == width(self.address) && masked(ip, self.prefix_len) == self.address
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, length) = text.split_once('/').ok_or(NetworkError::Syntax)?;
        let address = address.parse().map_err(|_| NetworkError::Syntax)?;
        if length.is_empty() || !length.bytes().all(|b| b.is_ascii_digit()) {
            return Err(NetworkError::Syntax);
        }
        let length = length
            .parse()
            .map_err(|_| NetworkError::PrefixTooLong(width(address)))?;
        Self::new(address, length)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_len)
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn masked(address: IpAddr, prefix_len: u8) -> IpAddr {
    match address {
        IpAddr::V4(ip) => {
            let mask = u32::MAX
                .checked_shl(32 - u32::from(prefix_len.min(32)))
                .unwrap_or(0);
            IpAddr::V4((u32::from(ip) & mask).into())
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX
                .checked_shl(128 - u32::from(prefix_len.min(128)))
                .unwrap_or(0);
            IpAddr::V6((u128::from(ip) & mask).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_contains_what_shares_its_prefix() {
        let inside = |n: &str, ip: &str| network(n).contains(ip.parse().unwrap());
        assert!(inside("10.0.0.0/8", "10.255.0.1"));
        assert!(!inside("10.0.0.0/8", "11.0.0.1"));
        assert!(inside("10.0.0.0/8", "::ffff:10.0.0.1"));
        assert!(inside("0.0.0.0/0", "1.2.3.4"));
        assert!(!inside("0.0.0.0/0", "fd00::1"));
        assert!(inside("fd00::/8", "fd12::1"));
        assert!(inside("::/0", "::1"));
        assert!(!inside("::/0", "::ffff:10.0.0.1"));
        assert!(inside("127.0.0.1/32", "127.0.0.1"));
        assert!(!inside("127.0.0.1/32", "127.0.0.2"));
    }

    #[test]
    fn refuses_what_is_not_a_network() {
        for bad in [
            "",
            "10.0.0.0",
            "10.0.0.0/",
            "10.0.0/8",
            "a/8",
            "10.0.0.0/+8",
            "/8",
        ] {
            assert_eq!(bad.parse::<Network>(), Err(NetworkError::Syntax), "{bad}");
        }
        assert_eq!(
            "10.0.0.0/33".parse::<Network>(),
            Err(NetworkError::PrefixTooLong(32))
        );
        assert_eq!(
            "::/999".parse::<Network>(),
            Err(NetworkError::PrefixTooLong(128))
        );
        assert_eq!(
            "10.0.0.1/8".parse::<Network>(),
            Err(NetworkError::HostBits(network("10.0.0.0/8")))
        );
    }
}
