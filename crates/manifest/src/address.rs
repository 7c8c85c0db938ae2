//! Which addresses are not the public internet. In: an address. Out: the name of its range, or `None` when it is public.
//!
//! Everything reserved counts as special, so that a range nobody thought of is refused, not dialled (IANA special-purpose
//! registries, RFC 6890). An IPv6 address that carries an IPv4 address is judged by what it carries as well.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The special range that holds `ip`: loopback, private, link-local, metadata and so on. `None` is a public address.
///
/// Only `host.toml` can grant a special one. The outbound dialler asks this of every address after resolution.
pub fn special(ip: IpAddr) -> Option<&'static str> {
    match ip {
        IpAddr::V4(ip) => special_v4(ip),
        IpAddr::V6(ip) => special_v6(ip),
    }
}

fn special_v4(ip: Ipv4Addr) -> Option<&'static str> {
    let name = match ip.octets() {
        // Clouds answer for their instances' credentials here; named first because the range says less.
        [169, 254, 169, 254] | [169, 254, 170, 2] | [169, 254, 170, 23] => "cloud metadata",
        [100, 100, 100, 200] | [192, 0, 0, 192] | [168, 63, 129, 16] => "cloud metadata",
        [0, ..] => "this network",
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => "private",
        [100, 64..=127, ..] => "shared (carrier-grade NAT)",
        [127, ..] => "loopback",
        [169, 254, ..] => "link-local",
        [192, 0, 0, _] => "protocol assignments",
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => "documentation",
        [192, 31, 196, _] | [192, 52, 193, _] | [192, 175, 48, _] => "AS112 and AMT",
        [192, 88, 99, _] => "6to4 relay",
        [198, 18..=19, ..] => "benchmarking",
        [224..=239, ..] => "multicast",
        [255, 255, 255, 255] => "broadcast",
        [240..=255, ..] => "reserved",
        _ => return None,
    };
    Some(name)
}

fn special_v6(ip: Ipv6Addr) -> Option<&'static str> {
    let segments = ip.segments();
    let name = match segments {
        [0, 0, 0, 0, 0, 0, 0, 0] => "unspecified",
        [0, 0, 0, 0, 0, 0, 0, 1] => "loopback",
        // IPv4-mapped: the kernel dials the IPv4 address (RFC 4291 2.5.5.2), so a public one inside is public.
        [0, 0, 0, 0, 0, 0xffff, high, low] => return special_v4(embedded(high, low)),
        // Nothing below is dialled for its own sake: a translator's prefix reaches whatever the translator reaches.
        [0, 0, 0, 0, 0, 0, ..] => "IPv4-compatible",
        [0, 0, 0, 0, 0xffff, 0, ..] => "IPv4-translated",
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => "NAT64",
        [0x64, 0xff9b, 1, ..] => "local NAT64",
        [0x100, 0, 0, 0 | 1, ..] => "discard",
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => "documentation",
        [0x2001, 0, ..] => "Teredo",
        [0x2001, 0x2, 0, ..] => "benchmarking",
        [0x2001, 0..=0x1ff, ..] => "protocol assignments",
        [0x2002, ..] => "6to4",
        [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254] => "cloud metadata",
        [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23] => "cloud metadata",
        [0xfc00..=0xfdff, ..] => "unique local",
        [0xfe80..=0xfebf, ..] => "link-local",
        [0xfec0..=0xfeff, ..] => "site-local",
        [0xff00..=0xffff, ..] => "multicast",
        // Global unicast is 2000::/3; all else is unassigned.
        [0x2000..=0x3fff, ..] => return None,
        _ => "reserved",
    };
    Some(name)
}

fn embedded(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from((u32::from(high) << 16) | u32::from(low))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> Option<&'static str> {
        special(text.parse().unwrap())
    }

    #[test]
    fn knows_the_spellings_of_server_side_request_forgery() {
        let special = [
            ("169.254.169.254", "cloud metadata"),
            ("fd00:ec2::254", "cloud metadata"),
            ("100.100.100.200", "cloud metadata"),
            ("192.0.0.192", "cloud metadata"),
            ("168.63.129.16", "cloud metadata"),
            ("127.0.0.1", "loopback"),
            ("127.255.255.254", "loopback"),
            ("::1", "loopback"),
            ("::ffff:127.0.0.1", "loopback"),
            ("::ffff:169.254.169.254", "cloud metadata"),
            ("::127.0.0.1", "IPv4-compatible"),
            ("::ffff:0:127.0.0.1", "IPv4-translated"),
            ("64:ff9b::7f00:1", "NAT64"),
            ("64:ff9b:1::1", "local NAT64"),
            ("2002:7f00:1::", "6to4"),
            ("2001:0:7f00:1::", "Teredo"),
            ("0.0.0.0", "this network"),
            ("0.1.2.3", "this network"),
            ("::", "unspecified"),
            ("10.0.0.1", "private"),
            ("172.16.0.1", "private"),
            ("172.31.255.255", "private"),
            ("192.168.1.1", "private"),
            ("100.64.0.1", "shared (carrier-grade NAT)"),
            ("169.254.0.1", "link-local"),
            ("fe80::1", "link-local"),
            ("fec0::1", "site-local"),
            ("fd12::1", "unique local"),
            ("fc00::1", "unique local"),
            ("224.0.0.1", "multicast"),
            ("ff02::1", "multicast"),
            ("255.255.255.255", "broadcast"),
            ("240.0.0.1", "reserved"),
            ("192.0.2.1", "documentation"),
            ("2001:db8::1", "documentation"),
            ("198.18.0.1", "benchmarking"),
            ("4000::1", "reserved"),
        ];
        for (address, name) in special {
            assert_eq!(range(address), Some(name), "{address}");
        }
    }

    #[test]
    fn a_public_address_is_not_special() {
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "172.15.0.1",
            "172.32.0.1",
            "100.63.0.1",
            "100.128.0.1",
            "223.255.255.255",
        ] {
            assert_eq!(range(address), None, "{address}");
            assert_eq!(range(&format!("::ffff:{address}")), None, "{address}");
        }
        for address in [
            "2606:4700:4700::1111",
            "2a00:1450::1",
            "2001:4860:4860::8888",
        ] {
            assert_eq!(range(address), None, "{address}");
        }
    }
}
