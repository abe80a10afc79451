//! The rule set as text: one transaction for `nft`, and its twin for `iptables-restore` where the kernel has no nftables.
//!
//! Two locks, each of which holds alone: `nat` turns every connection to the sidecar, `filter` lets the server's port
//! accept only what the sidecar's uid opened. Nothing is exempt by where it comes from: what comes from the node, from
//! `kubectl port-forward` or from a neighbour container is turned like anything else.

use crate::facts::{Facts, Ports, Uids};

/// Our table's name.
pub const TABLE: &str = "sallyport";
/// The mark of connections that the sidecar opened to the server.
const MARK: &str = "0x53414c59";

/// Which family a text of `iptables-restore` is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    V4,
    V6,
}

/// For `nft -f`: both families, one transaction, the same however often it is loaded.
#[must_use]
#[expect(clippy::too_many_lines, reason = "a rule set is read as one text")]
pub fn nft(facts: &Facts) -> String {
    let Uids {
        sidecar, server, ..
    } = facts.uids();
    let Ports {
        server: port,
        listener,
        probes,
        metrics,
    } = facts.ports();
    format!(
        "\
# Loading this again changes nothing: one transaction makes the table if it is missing, removes it and makes it anew.
table inet {TABLE}
delete table inet {TABLE}
table inet {TABLE} {{
  define sidecar = {sidecar}
  define server = {server}
  define ours = {{ {listener}, {probes}, {metrics} }}

  # Whatever arrives on whatever interface reaches the sidecar.
  chain arriving {{
    type nat hook prerouting priority dstnat - 5; policy accept;
    fib daddr type != local return
    tcp dport $ours return
    meta l4proto tcp counter redirect to :{listener}
  }}

  # So does whatever is dialled inside the pod, but by the sidecar, and by the server where it is not its own port.
  chain dialling {{
    type nat hook output priority -105; policy accept;
    fib daddr type != local return
    meta skuid $sidecar return
    tcp dport $ours return
    tcp dport {port} counter redirect to :{listener}
    meta skuid $server return
    meta l4proto tcp counter redirect to :{listener}
  }}

  chain sending {{
    type filter hook output priority filter; policy accept;
    # Who takes the sidecar's ports while it is down gets no answer out. A handshake by SYN cookie has no socket to ask,
    # so a SYN-ACK must have one.
    tcp sport $ours meta skuid != $sidecar counter drop
    tcp sport $ours tcp flags & (syn | ack) == (syn | ack) meta skuid $sidecar accept
    tcp sport $ours tcp flags & (syn | ack) == (syn | ack) counter drop
    # The second lock: without nat nobody gets further than with it.
    fib daddr type local meta skuid $sidecar tcp dport {port} ct state new ct mark set {MARK}
    fib daddr type local meta skuid $sidecar ct state new accept
    fib daddr type local tcp dport $ours ct state new accept
    fib daddr type local tcp dport {port} ct state new counter reject with tcp reset
    fib daddr type local meta skuid $server ct state new accept
    fib daddr type local meta l4proto tcp ct state new counter reject with tcp reset
    fib daddr type local meta l4proto != {{ icmp, ipv6-icmp }} ct state new counter drop
  }}

  chain delivering {{
    type filter hook input priority filter; policy drop;
    tcp dport {port} ct mark {MARK} accept
    tcp dport {port} counter drop
    ct state invalid counter drop
    ct state established,related accept
    iifname \"lo\" ct state new accept
    tcp dport $ours ct state new accept
    icmp type {{ echo-request, destination-unreachable, time-exceeded, parameter-problem }} accept
    meta l4proto ipv6-icmp accept
    counter drop
  }}
}}
"
    )
}

/// For `iptables-restore` and `ip6tables-restore`. It replaces the three tables whole: in a pod's namespace they are ours.
#[must_use]
pub fn iptables(facts: &Facts, family: Family) -> String {
    let Uids {
        sidecar, server, ..
    } = facts.uids();
    let Ports {
        server: port,
        listener,
        probes,
        metrics,
    } = facts.ports();
    let ours = format!("{listener},{probes},{metrics}");
    let icmp = match family {
        Family::V4 => "icmp",
        Family::V6 => "ipv6-icmp",
    };
    // An inverted `--uid-owner` also takes packets without a socket, so rules return whom they spare and drop the rest.
    // Resets of a closed port come from a socket of the kernel's: without them a dead sidecar would be a timeout.
    format!(
        "\
*mangle
-A OUTPUT -p tcp -m addrtype --dst-type LOCAL -m tcp --dport {port} -m conntrack --ctstate NEW -m owner --uid-owner {sidecar} -j CONNMARK --set-mark {MARK}
COMMIT
*nat
:SALLYPORT_ARRIVING - [0:0]
:SALLYPORT_DIALLING - [0:0]
-A PREROUTING -p tcp -m addrtype --dst-type LOCAL -j SALLYPORT_ARRIVING
-A OUTPUT -p tcp -m addrtype --dst-type LOCAL -j SALLYPORT_DIALLING
-A SALLYPORT_ARRIVING -p tcp -m multiport --dports {ours} -j RETURN
-A SALLYPORT_ARRIVING -p tcp -j REDIRECT --to-ports {listener}
-A SALLYPORT_DIALLING -m owner --uid-owner {sidecar} -j RETURN
-A SALLYPORT_DIALLING -p tcp -m multiport --dports {ours} -j RETURN
-A SALLYPORT_DIALLING -p tcp -m tcp --dport {port} -j REDIRECT --to-ports {listener}
-A SALLYPORT_DIALLING -m owner --uid-owner {server} -j RETURN
-A SALLYPORT_DIALLING -p tcp -j REDIRECT --to-ports {listener}
COMMIT
*filter
:INPUT DROP [0:0]
:SALLYPORT_FROM - [0:0]
:SALLYPORT_OPENING - [0:0]
-A OUTPUT -p tcp -m multiport --sports {ours} -j SALLYPORT_FROM
-A OUTPUT -m addrtype --dst-type LOCAL -m conntrack --ctstate NEW -j SALLYPORT_OPENING
-A SALLYPORT_FROM -m owner --uid-owner {sidecar} -j RETURN
-A SALLYPORT_FROM -p tcp -m tcp --tcp-flags RST RST -j RETURN
-A SALLYPORT_FROM -m owner --socket-exists -j DROP
-A SALLYPORT_FROM -p tcp -m tcp --tcp-flags SYN,ACK SYN,ACK -j DROP
-A SALLYPORT_OPENING -m owner --uid-owner {sidecar} -j RETURN
-A SALLYPORT_OPENING -p tcp -m multiport --dports {ours} -j RETURN
-A SALLYPORT_OPENING -p tcp -m tcp --dport {port} -j REJECT --reject-with tcp-reset
-A SALLYPORT_OPENING -m owner --uid-owner {server} -j RETURN
-A SALLYPORT_OPENING -p tcp -j REJECT --reject-with tcp-reset
-A SALLYPORT_OPENING -p {icmp} -j RETURN
-A SALLYPORT_OPENING -j DROP
-A INPUT -p tcp -m tcp --dport {port} -m connmark --mark {MARK} -j ACCEPT
-A INPUT -p tcp -m tcp --dport {port} -j DROP
-A INPUT -m conntrack --ctstate INVALID -j DROP
-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
-A INPUT -i lo -m conntrack --ctstate NEW -j ACCEPT
-A INPUT -p tcp -m multiport --dports {ours} -m conntrack --ctstate NEW -j ACCEPT
-A INPUT -p {icmp} -j ACCEPT
-A INPUT -j DROP
COMMIT
"
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Compared byte by byte: a change of a rule is seen in review. `UPDATE_GOLDENS=1` writes them anew.
    #[test]
    fn the_rules_are_their_goldens() {
        let facts = Facts::new(
            Uids {
                sidecar: 60101,
                server: 10001,
                validator: 60102,
            },
            Ports {
                server: 8080,
                listener: 15101,
                probes: 15102,
                metrics: 15103,
            },
        )
        .unwrap();
        for (name, text) in [
            ("rules.nft", nft(&facts)),
            ("rules.v4", iptables(&facts, Family::V4)),
            ("rules.v6", iptables(&facts, Family::V6)),
        ] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("tests/rules")
                .join(name);
            if std::env::var_os("UPDATE_GOLDENS").is_some() {
                std::fs::write(&path, &text).unwrap();
            }
            let golden = std::fs::read_to_string(&path).unwrap_or_default();
            assert_eq!(text, golden, "{name}");
        }
    }
}
