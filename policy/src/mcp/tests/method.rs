//! The method table against the protocol's own lists.

use super::*;
use crate::mcp::method::{Judged, Kind, Method};

#[test]
fn the_table_is_sorted_so_that_every_line_is_found() {
    assert!(Method::all().is_sorted_by(|a, b| a.name < b.name));
    for line in Method::all() {
        assert_eq!(Method::named(line.name), Some(line));
    }
}

#[test]
fn trap_12_names_are_exact() {
    for unknown in [
        "",
        "Tools/call",
        "tools/call ",
        "tools/call\0",
        "tools",
        "*",
        "vendor/x",
    ] {
        assert_eq!(Method::named(unknown), None, "{unknown:?}");
    }
}

#[test]
fn a_method_is_named_a_notification_exactly_when_it_is_one() {
    for line in Method::all() {
        let named = line.name.starts_with("notifications/");
        assert_eq!(named, line.kind == Kind::Notification, "{}", line.name);
    }
}

#[test]
fn every_line_may_cross_in_some_direction_and_revision() {
    for line in Method::all() {
        let crosses = Revision::ALL.into_iter().any(|revision| {
            [Direction::ToServer, Direction::ToClient]
                .into_iter()
                .any(|direction| line.allowed_on_wire(direction, revision))
        });
        assert!(crosses, "{}", line.name);
    }
}

#[test]
fn the_newest_revision_has_no_requests_of_the_server_on_the_wire_and_no_removed_methods() {
    for line in Method::all()
        .iter()
        .filter(|line| line.kind == Kind::Request)
    {
        assert!(
            !line.allowed_on_wire(Direction::ToClient, Revision::NEWEST),
            "{}",
            line.name
        );
    }
    for removed in [
        "initialize",
        "notifications/initialized",
        "ping",
        "logging/setLevel",
        "resources/subscribe",
        "resources/unsubscribe",
        "notifications/roots/list_changed",
        "notifications/elicitation/complete",
        "tasks/result",
        "tasks/list",
    ] {
        let line = Method::named(removed).unwrap();
        for direction in [Direction::ToServer, Direction::ToClient] {
            assert!(
                !line.allowed_on_wire(direction, Revision::NEWEST),
                "{removed}"
            );
        }
    }
}

#[test]
fn law_01_only_what_the_law_names_is_open_without_a_rule() {
    let open: Vec<_> = Method::all()
        .iter()
        .filter(|line| line.judged == Judged::Open)
        .map(|line| line.name)
        .collect();
    // `notifications/initialized` is the end of `initialize`.
    assert_eq!(
        open,
        [
            "initialize",
            "notifications/cancelled",
            "notifications/initialized",
            "notifications/progress",
            "ping",
            "server/discover",
        ]
    );
}

#[test]
fn law_01_what_a_server_may_ask_of_the_client_needs_a_rule() {
    for line in Method::all().iter().filter(|line| line.embeddable()) {
        assert_eq!(line.judged, Judged::Rule, "{}", line.name);
    }
    assert_eq!(
        Method::all()
            .iter()
            .filter(|line| line.embeddable())
            .count(),
        3
    );
}

#[test]
fn a_method_that_goes_with_another_names_one_of_the_table() {
    for line in Method::all() {
        if let Judged::As(other) = line.judged {
            assert_eq!(
                Method::named(other).unwrap().judged,
                Judged::Rule,
                "{}",
                line.name
            );
        }
    }
}
