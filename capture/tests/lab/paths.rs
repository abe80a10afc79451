//! Every way to the server that a network namespace can show.

use std::io::Write as _;
use std::sync::mpsc;
use std::time::Duration;

use crate::bed::{By, Lab, NEIGHBOUR, NOBODY, ROOT, SERVER, SIDECAR, heard};

/// Shows for both sets of rules that each way ends as it must.
fn shown(ways: impl Fn(&Lab) -> Vec<(String, String)>, ends: impl Fn(&str, &str) -> bool) {
    for by in [By::Nft, By::Iptables] {
        let Some(lab) = Lab::guarded(by) else {
            continue;
        };
        for (way, end) in ways(&lab) {
            println!("{by:?}: {way}: {end}");
            assert!(ends(&way, &end), "{by:?}: {way}: {end}");
        }
    }
}

/// Reached the sidecar, which saw where the peer dialled, and whose own connection the server took.
fn at_the_sidecar(way: &str, end: &str) -> bool {
    let dialled = way.rsplit(' ').next().unwrap_or_default();
    let mapped = dialled.replace("10.", "[::ffff:10.");
    end == format!("SIDECAR {dialled} SERVER") || end == format!("SIDECAR {mapped} SERVER")
}

fn ways(from: &str, targets: &[&str], dial: impl Fn(&str) -> String) -> Vec<(String, String)> {
    let way = |to: &&str| (format!("{from} to {to}"), dial(to));
    targets.iter().map(way).collect()
}

#[test]
fn another_pod_reaches_the_sidecar_whatever_port_it_dials() {
    let targets = [
        "10.77.0.2:8080",
        "10.77.0.2:9090",
        "10.77.0.2:31999",
        "[fd77::2]:8080",
        "[fd77::2]:9090",
    ];
    shown(
        |lab| ways("another pod", &targets, |to| lab.dialled_outside(to)),
        at_the_sidecar,
    );
}

#[test]
fn a_second_interface_is_captured_like_the_first() {
    shown(
        |lab| {
            ways(
                "another pod by net1",
                &["10.78.0.2:8080", "10.78.0.2:9090"],
                |to| lab.dialled_outside(to),
            )
        },
        at_the_sidecar,
    );
}

#[test]
fn port_forward_of_the_runtime_reaches_the_sidecar_on_loopback() {
    let targets = [
        "127.0.0.1:8080",
        "[::1]:8080",
        "127.0.0.1:9090",
        "[::1]:9090",
    ];
    shown(
        |lab| {
            let mut all = ways("root of the node", &targets, |to| {
                lab.dialled_in_pod(ROOT, to)
            });
            all.extend(ways("root, seen from a user namespace", &targets, |to| {
                lab.dialled_in_pod(NOBODY, to)
            }));
            all
        },
        at_the_sidecar,
    );
}

#[test]
fn a_second_container_reaches_the_sidecar_by_every_address_of_the_pod() {
    let targets = [
        "127.0.0.1:8080",
        "127.9.9.9:8080",
        "[::1]:8080",
        "10.77.0.2:8080",
        "10.78.0.2:8080",
        "[fd77::2]:8080",
        "127.0.0.1:9090",
        "[::1]:9090",
        "10.77.0.2:9090",
    ];
    shown(
        |lab| {
            ways("second container", &targets, |to| {
                lab.dialled_in_pod(NEIGHBOUR, to)
            })
        },
        at_the_sidecar,
    );
}

#[test]
fn the_server_itself_is_turned_from_its_own_port_and_may_dial_its_helpers() {
    for by in [By::Nft, By::Iptables] {
        let Some(lab) = Lab::guarded(by) else {
            continue;
        };
        lab.listen(NEIGHBOUR, 6379, |mut stream| {
            heard(&stream);
            writeln!(stream, "HELPER").ok();
        });
        let own = lab.dialled_in_pod(SERVER, "127.0.0.1:8080");
        let helper = lab.dialled_in_pod(SERVER, "127.0.0.1:6379");
        println!("{by:?}: server to its own port: {own}; to a helper container: {helper}");
        assert!(at_the_sidecar("to 127.0.0.1:8080", &own), "{own}");
        assert_eq!(helper, "HELPER");
    }
}

#[test]
fn datagrams_reach_nothing_from_outside_and_from_a_second_container() {
    for by in [By::Nft, By::Iptables] {
        let Some(lab) = Lab::guarded(by) else {
            continue;
        };
        for (way, end, expected) in [
            (
                "another pod",
                lab.datagram_outside("10.77.0.2:8081"),
                "silence",
            ),
            (
                "another pod, IPv6",
                lab.datagram_outside("[fd77::2]:8081"),
                "silence",
            ),
            (
                "second container",
                lab.datagram_in_pod(NEIGHBOUR, "127.0.0.1:8081"),
                "quiet",
            ),
            (
                "port-forward",
                lab.datagram_in_pod(ROOT, "[::1]:8081"),
                "quiet",
            ),
            (
                "the server itself",
                lab.datagram_in_pod(SERVER, "127.0.0.1:8081"),
                "SERVER",
            ),
        ] {
            println!("{by:?}: UDP of {way}: {end}");
            // A datagram dropped on its way out is an error to the sender, or none.
            let quiet = expected == "quiet" && ["silence", "refused"].contains(&end.as_str());
            assert!(quiet || end == expected, "{way}: {end}");
        }
    }
}

#[test]
fn a_dead_sidecar_is_a_closed_door() {
    for by in [By::Nft, By::Iptables] {
        let Some(lab) = Lab::new() else { return };
        lab.serve();
        if let Err(why) = lab.load(by) {
            println!("not shown here: {why}");
            continue;
        }
        for (way, end) in [
            ("another pod", lab.dialled_outside("10.77.0.2:8080")),
            ("another pod, IPv6", lab.dialled_outside("[fd77::2]:8080")),
            ("port-forward", lab.dialled_in_pod(ROOT, "127.0.0.1:8080")),
            (
                "second container",
                lab.dialled_in_pod(NEIGHBOUR, "10.77.0.2:9090"),
            ),
        ] {
            println!("{by:?}: no sidecar, {way}: {end}");
            assert_eq!(end, "refused", "{by:?}: {way}");
        }
    }
}

#[test]
fn who_takes_the_sidecars_port_while_it_is_down_gets_no_answer_out_and_no_request_in() {
    // 0 and 1: handshakes with a socket behind them. 2: always by SYN cookie, as under a flood that the attacker makes.
    for cookies in ["0", "1", "2"] {
        for by in [By::Nft, By::Iptables] {
            let Some(lab) = Lab::new() else { return };
            lab.serve();
            lab.sysctl("net/ipv4/tcp_syncookies", cookies);
            if let Err(why) = lab.load(by) {
                println!("not shown here: {why}");
                continue;
            }
            let (tell, told) = mpsc::channel();
            lab.listen(SERVER, 15101, move |mut stream| {
                tell.send(()).ok();
                writeln!(stream, "SQUATTER").ok();
            });
            for (way, end) in [
                ("another pod", lab.dialled_outside("10.77.0.2:8080")),
                ("another pod, IPv6", lab.dialled_outside("[fd77::2]:15101")),
                ("port-forward", lab.dialled_in_pod(ROOT, "127.0.0.1:8080")),
            ] {
                println!("{by:?}: squatted, syncookies={cookies}, {way}: {end}");
                assert_eq!(end, "silence", "{by:?}: {way}");
            }
            let heard = told.recv_timeout(Duration::from_millis(200));
            assert!(heard.is_err(), "{by:?}: the squatter took a connection");
        }
    }
}

#[test]
fn what_the_pod_dials_outside_is_left_alone() {
    for by in [By::Nft, By::Iptables] {
        let Some(lab) = Lab::guarded(by) else {
            continue;
        };
        lab.outside(8080);
        for uid in [SERVER, NEIGHBOUR, SIDECAR] {
            let end = lab.dialled_in_pod(uid, "10.77.0.3:8080");
            println!("{by:?}: user {uid} to the outside: {end}");
            assert_eq!(end, "OUTSIDE");
        }
    }
}

#[test]
fn without_nat_the_filter_alone_lets_nobody_through() {
    let Some(lab) = Lab::guarded(By::Nft) else {
        return;
    };
    lab.nft("flush chain inet sallyport arriving");
    lab.nft("flush chain inet sallyport dialling");
    for (way, end) in [
        ("another pod", lab.dialled_outside("10.77.0.2:8080")),
        ("another pod, IPv6", lab.dialled_outside("[fd77::2]:8080")),
        (
            "another pod, undeclared port",
            lab.dialled_outside("10.77.0.2:9090"),
        ),
        ("port-forward", lab.dialled_in_pod(ROOT, "127.0.0.1:8080")),
        (
            "port-forward, undeclared port",
            lab.dialled_in_pod(ROOT, "[::1]:9090"),
        ),
        (
            "second container",
            lab.dialled_in_pod(NEIGHBOUR, "10.77.0.2:8080"),
        ),
        (
            "the server's own user",
            lab.dialled_in_pod(SERVER, "127.0.0.1:8080"),
        ),
    ] {
        println!("nat off, {way}: {end}");
        assert!(
            ["silence", "refused", "reset"].contains(&end.as_str()),
            "{way}: {end}"
        );
    }
    let own = lab.dialled_in_pod(SIDECAR, "127.0.0.1:8080");
    assert_eq!(
        own, "SERVER",
        "the sidecar's own connections do not need nat"
    );
}

#[test]
fn without_the_filter_nat_alone_lets_nobody_through() {
    let Some(lab) = Lab::guarded(By::Nft) else {
        return;
    };
    lab.nft("delete chain inet sallyport sending");
    lab.nft("delete chain inet sallyport delivering");
    for (way, end) in [
        ("to 10.77.0.2:8080", lab.dialled_outside("10.77.0.2:8080")),
        ("to [fd77::2]:9090", lab.dialled_outside("[fd77::2]:9090")),
        (
            "to 127.0.0.1:8080",
            lab.dialled_in_pod(ROOT, "127.0.0.1:8080"),
        ),
        (
            "to 127.0.0.1:9090",
            lab.dialled_in_pod(NEIGHBOUR, "127.0.0.1:9090"),
        ),
        (
            "to 127.0.0.1:8080",
            lab.dialled_in_pod(SERVER, "127.0.0.1:8080"),
        ),
    ] {
        println!("filter off, {way}: {end}");
        assert!(at_the_sidecar(way, &end), "{way}: {end}");
    }
}

#[test]
fn loading_the_rules_again_changes_nothing() {
    let Some(lab) = Lab::guarded(By::Nft) else {
        return;
    };
    let once = lab.rules();
    lab.load(By::Nft).unwrap();
    let twice = lab.rules();
    println!(
        "{} lines of rules, the same loaded twice",
        once.lines().count()
    );
    assert_eq!(once, twice);
    assert!(at_the_sidecar(
        "to 10.77.0.2:8080",
        &lab.dialled_outside("10.77.0.2:8080")
    ));
}

#[test]
fn the_sidecars_ports_are_reached_as_they_are() {
    for by in [By::Nft, By::Iptables] {
        let Some(lab) = Lab::guarded(by) else {
            continue;
        };
        for (way, end) in [
            ("the kubelet", lab.dialled_outside("10.77.0.2:15102")),
            ("the kubelet, IPv6", lab.dialled_outside("[fd77::2]:15102")),
        ] {
            println!("{by:?}: probe port, {way}: {end}");
            assert_eq!(end, "PROBES");
        }
    }
}

#[test]
fn a_connection_that_is_older_than_the_rules_is_cut() {
    let Some(lab) = Lab::new() else { return };
    lab.listen(SERVER, 8080, |stream| {
        let mut line = String::new();
        let mut reader = std::io::BufReader::new(&stream);
        while std::io::BufRead::read_line(&mut reader, &mut line).is_ok_and(|read| read > 0) {
            (&stream).write_all(b"SERVER\n").ok();
        }
    });
    let early = lab.in_pod(NEIGHBOUR, || {
        let stream = std::net::TcpStream::connect("127.0.0.1:8080").unwrap();
        stream
            .set_read_timeout(Some(Duration::from_millis(700)))
            .unwrap();
        stream
    });
    if let Err(why) = lab.load(By::Nft) {
        println!("not shown here: {why}");
        return;
    }
    (&early).write_all(b"HELLO\n").ok();
    let mut answer = [0; 7];
    let end = std::io::Read::read(&mut &early, &mut answer);
    println!("a connection from before the rules: {end:?}");
    assert!(!matches!(end, Ok(read) if read > 0), "{end:?}");
}
