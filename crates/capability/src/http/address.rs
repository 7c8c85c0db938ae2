//! Which addresses may be dialled. In: an address after resolution. Out: yes, or the range it lies in and the
//! operator's line.
//!
//! Public addresses may; all others only where the operator's networks contain them. Knows nothing of names or grants.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    str::FromStr,
};

use super::{grant::HostPattern, target::Host};

/// What the operator allows a component to connect to, beyond public addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Allowed {
    /// Special addresses inside one of these may be dialled.
    pub networks: Vec<Network>,
    /// Which hosts may be granted at all; `None` is every host. Does not widen `networks`.
    pub hosts: Option<Vec<HostPattern>>,
    /// Hosts that the operator names: what they resolve to may be dialled, special or not.
    pub named: Vec<HostPattern>,
    /// Ports of this node's own control listeners: refused on its own addresses, whatever `networks` says.
    pub control_ports: Vec<u16>,
}

impl Allowed {
    /// Whether this host may be granted.
    pub fn host(&self, host: &Host) -> bool {
        self.hosts
            .as_ref()
            .is_none_or(|hosts| hosts.iter().any(|pattern| pattern.covers(host)))
    }

    /// Whether this address of this host may be dialled now.
    pub fn address_of(&self, host: &Host, address: SocketAddr) -> Result<(), Prohibited> {
        if !self.named.iter().any(|pattern| pattern.covers(host)) {
            return self.address(address);
        }
        let ip = address.ip().to_canonical();
        if (ip.is_loopback() || is_own(ip)) && self.control_ports.contains(&address.port()) {
            return Err(Prohibited {
                address,
                why: CONTROL,
            });
        }
        Ok(())
    }

    /// Whether this address may be dialled now. Asked for every address, immediately before connecting to it.
    pub fn address(&self, address: SocketAddr) -> Result<(), Prohibited> {
        let ip = address.ip().to_canonical();
        let prohibited = |why| Err(Prohibited { address, why });
        if let Some(why) = special(ip)
            && !self.contains(ip)
        {
            return prohibited(why);
        }
        // A translator turns it into the IPv4 address it carries, so that one must be allowed too.
        if let Some(inner) = embedded(ip) {
            return self.address(SocketAddr::new(IpAddr::V4(inner), address.port()));
        }
        let own = ip.is_loopback() || is_own(ip);
        if own && self.control_ports.contains(&address.port()) {
            return prohibited(CONTROL);
        }
        if own && !self.contains(ip) {
            return prohibited("the node's own");
        }
        Ok(())
    }

    fn contains(&self, ip: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(ip))
    }
}

const CONTROL: &str = "a control port of the node";

/// An address that may not be dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prohibited {
    /// The address; for one that carries an IPv4 address, the IPv4 address when that is the reason.
    pub address: SocketAddr,
    /// The range it lies in.
    pub why: &'static str,
}

impl fmt::Display for Prohibited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, why } = self;
        let ip = address.ip().to_canonical();
        let width = if ip.is_ipv4() { 32 } else { 128 };
        write!(
            f,
            "address {ip}, port {}, may not be dialled ({why})",
            address.port()
        )?;
        if *why == CONTROL {
            return Ok(());
        }
        write!(
            f,
            "; the operator allows it in host.toml: [allow] networks = [\"{ip}/{width}\"]"
        )
    }
}

impl std::error::Error for Prohibited {}

/// The name of the range that makes an address not public (RFC 6890, the IANA special-purpose registries, the clouds'
/// metadata services); `None` for a public one. What is not allocated as global unicast counts as special.
pub fn special(ip: IpAddr) -> Option<&'static str> {
    match ip.to_canonical() {
        IpAddr::V4(ip) => special_v4(ip),
        IpAddr::V6(ip) => special_v6(ip),
    }
}

fn special_v4(ip: Ipv4Addr) -> Option<&'static str> {
    Some(match ip.octets() {
        [169, 254, 169, 254] | [100, 100, 100, 200] | [192, 0, 0, 192] => "cloud metadata",
        // A public address by its number, but inside Azure it is the platform's own (168.63.129.16, the wire server).
        [168, 63, 129, 16] => "cloud metadata",
        [0, ..] => "this network",
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => "private",
        [100, 64..=127, ..] => "carrier-grade NAT",
        [127, ..] => "loopback",
        [169, 254, ..] => "link-local",
        [192, 0, 0, _] => "protocol assignments",
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => "documentation",
        [192, 88, 99, _] => "6to4 relay",
        [198, 18..=19, ..] => "benchmarking",
        [224..=239, ..] => "multicast",
        [255, 255, 255, 255] => "broadcast",
        [240..=255, ..] => "reserved",
        _ => return None,
    })
}

fn special_v6(ip: Ipv6Addr) -> Option<&'static str> {
    Some(match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => "unspecified",
        [0, 0, 0, 0, 0, 0, 0, 1] => "loopback",
        [0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254] | [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254] => {
            "cloud metadata"
        }
        [0x64, 0xff9b, ..] => "NAT64",
        [0x100, 0, 0, ..] => "discard",
        [0xfc00..=0xfdff, ..] => "unique local",
        [0xfe80..=0xfebf, ..] => "link-local",
        [0xff00..=0xffff, ..] => "multicast",
        [0x2001, 0, ..] => "Teredo",
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => "documentation",
        [0x2001, 1..=0x1ff, ..] => "protocol assignments",
        [0x2002, ..] => "6to4",
        [0x2000..=0x3fff, ..] => return None,
        _ => "not global unicast",
    })
}

/// The IPv4 address that an IPv6 address stands for: 6to4 (RFC 3056), Teredo's client (RFC 4380, inverted), NAT64
/// (RFC 6052) and the deprecated IPv4-compatible and -translated forms. Mapped addresses were made IPv4 before.
fn embedded(ip: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(ip) = ip else { return None };
    let [high, low] = match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => return None,
        [0x2002, high, low, ..] => [high, low],
        [0x2001, 0, .., high, low] => [!high, !low],
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => [high, low],
        // RFC 8215 leaves the prefix length inside 64:ff9b:1::/48 to the operator; /96 is the usual one.
        [0x64, 0xff9b, 1, .., high, low] => [high, low],
        [0, 0, 0, 0, 0, 0, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] => [high, low],
        _ => return None,
    };
    Some(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)))
}

/// Whether the address belongs to an interface of this node, public ones included.
///
/// The kernel lets a socket be bound to its own addresses only; asking it so needs no list that could be out of date,
/// no `unsafe` and sends no packet. Where foreign addresses may be bound (`net.ipv4.ip_nonlocal_bind`), an address is
/// own when the route to it would start from itself, which misses secondary addresses.
pub fn is_own(ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    let elsewhere = match ip {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
    };
    let bindable = |ip| UdpSocket::bind(SocketAddr::new(ip, 0)).is_ok();
    bindable(ip) && (!bindable(elsewhere) || starts_from_itself(ip))
}

fn starts_from_itself(ip: IpAddr) -> bool {
    let any = if ip.is_ipv4() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED)
    } else {
        IpAddr::V6(Ipv6Addr::UNSPECIFIED)
    };
    let source = UdpSocket::bind(SocketAddr::new(any, 0)).and_then(|socket| {
        socket.connect(SocketAddr::new(ip, 9))?;
        socket.local_addr()
    });
    source.is_ok_and(|source| source.ip() == ip)
}

/// A range of addresses: `10.0.0.0/8`, `fd00::/8`; without a length, one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    prefix_len: u8,
}

impl Network {
    /// The network of `prefix_len` bits that begins at `address`; `None` when bits are set after the prefix.
    pub fn new(address: IpAddr, prefix_len: u8) -> Option<Self> {
        let network = Self {
            address,
            prefix_len,
        };
        (prefix_len <= width(address) && network.masked(address) == bits(address))
            .then_some(network)
    }

    /// Whether `ip` is inside. An IPv4-mapped address counts as the IPv4 address it is dialled as.
    pub fn contains(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        ip.is_ipv4() == self.address.is_ipv4() && self.masked(ip) == bits(self.address)
    }

    fn masked(&self, ip: IpAddr) -> u128 {
        let free = u32::from(width(ip).saturating_sub(self.prefix_len));
        bits(ip) & u128::MAX.checked_shl(free).unwrap_or(0)
    }
}

impl FromStr for Network {
    type Err = MalformedNetwork;

    fn from_str(text: &str) -> Result<Self, MalformedNetwork> {
        let (address, length) = text
            .split_once('/')
            .map_or((text, None), |(address, length)| (address, Some(length)));
        let address = address.parse().map_err(|_| MalformedNetwork)?;
        let length = length
            .map_or(Ok(width(address)), str::parse)
            .map_err(|_| MalformedNetwork)?;
        Self::new(address, length).ok_or(MalformedNetwork)
    }
}

/// Not an address with a prefix length, or bits are set after the prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a network is an address, a slash and a prefix length, with no bit set after the prefix")]
pub struct MalformedNetwork;

fn width(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}

fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u32::from(ip).into(),
        IpAddr::V6(ip) => ip.into(),
    }
}
