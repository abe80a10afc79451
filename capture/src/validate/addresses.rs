//! Every address of this network namespace, from `/proc/net`: the pod's own word, and no privilege needed.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// All that can be dialled from here.
pub(super) fn all() -> io::Result<BTreeSet<IpAddr>> {
    let mut found = BTreeSet::from([IpAddr::V4(Ipv4Addr::LOCALHOST)]);
    found.extend(v4(&fs::read_to_string("/proc/net/fib_trie")?));
    match fs::read_to_string("/proc/net/if_inet6") {
        Ok(text) => found.extend(v6(&text)),
        // The kernel was started without IPv6.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok(found)
}

/// In the trie an address is followed by what it is: `|-- 10.1.2.3`, then `/32 host LOCAL`.
fn v4(trie: &str) -> BTreeSet<IpAddr> {
    let mut found = BTreeSet::new();
    let mut last = None;
    for line in trie.lines().map(str::trim_start) {
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.trim_end().parse::<Ipv4Addr>().ok();
        } else if line.starts_with("/32 host LOCAL") {
            found.extend(last.map(IpAddr::V4));
        }
    }
    found
}

/// The first column is the address in hex digits. A link-local one is passed over: turned to `::1`, a connection from
/// it gets no answer at all, which closes that way and proves nothing.
fn v6(table: &str) -> BTreeSet<IpAddr> {
    let line = |line: &str| {
        let digits = line.split_whitespace().next()?;
        let ip = Ipv6Addr::from(u128::from_str_radix(digits, 16).ok()?);
        (!ip.is_unicast_link_local()).then_some(ip.into())
    };
    table.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pods_own_addresses_are_read_and_no_others() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     +-- 10.77.0.0/24 2 0 2\n        |-- 10.77.0.0\n           /24 link UNICAST\n        |-- 10.77.0.2\n           /32 host LOCAL\n        |-- 10.77.0.255\n           /32 link BROADCAST\nLocal:\n        |-- 127.0.0.1\n           /32 host LOCAL\n";
        let ips: Vec<String> = v4(trie).iter().map(ToString::to_string).collect();
        assert_eq!(ips, ["10.77.0.2", "127.0.0.1"]);
        let table = "00000000000000000000000000000001 01 80 10 80       lo\nfe80000000000000f8d3b4fffe000001 02 40 20 80     eth0\nfd770000000000000000000000000002 02 40 00 80     eth0\n";
        let told: Vec<String> = v6(table).iter().map(ToString::to_string).collect();
        assert_eq!(told, ["::1", "fd77::2"]);
    }
}
