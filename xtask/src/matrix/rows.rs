//! The rows: every client before every server, and why a pair cannot be.

use std::fmt;

use super::servers::Server;

/// An official SDK, or the Inspector, which is built on one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Client {
    Ts1,
    Ts2,
    Py1,
    Py2,
    Rmcp,
    Inspector,
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ts1 => "TypeScript SDK 1",
            Self::Ts2 => "TypeScript SDK 2",
            Self::Py1 => "Python SDK 1",
            Self::Py2 => "Python SDK 2",
            Self::Rmcp => "rmcp",
            Self::Inspector => "Inspector CLI",
        })
    }
}

/// How the client reaches the guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    Http,
    Sse,
    /// By `sallyport connect`, for a client that knows only stdio.
    Connect,
}

impl fmt::Display for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "Streamable HTTP",
            Self::Sse => "HTTP+SSE",
            Self::Connect => "stdio by `sallyport connect`",
        })
    }
}

/// A client as it is set up: one column of the matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seat {
    pub(crate) client: Client,
    pub(crate) wire: Wire,
    /// `legacy`, `auto`, or a revision that is pinned.
    pub(crate) mode: &'static str,
    /// The revision to offer where it is not the client's newest.
    pub(crate) version: Option<&'static str>,
}

impl fmt::Display for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client, wire, .. } = self;
        match (self.version, self.mode) {
            (Some(version), _) => write!(f, "{client} ({wire}, offers {version})"),
            (None, "legacy") => write!(f, "{client} ({wire}, initialize)"),
            (None, "auto") => write!(f, "{client} ({wire}, auto)"),
            (None, pinned) => write!(f, "{client} ({wire}, {pinned})"),
        }
    }
}

/// One run of the scenario.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) seat: Seat,
    pub(crate) server: Server,
}

pub(crate) const MODERN: &str = "2026-07-28";

/// The first revision in which a server may ask the user.
const ELICITATION_SINCE: &str = "2025-06-18";

impl Row {
    pub(crate) fn name(&self) -> String {
        format!("{} before {}", self.seat, self.server)
    }

    /// Revisions are dates, so their order is that of their names.
    pub(crate) fn knows_elicitation(&self) -> bool {
        self.seat
            .version
            .is_none_or(|version| version >= ELICITATION_SINCE)
    }

    /// Why the two have nothing to say to each other, with or without a guard.
    pub(crate) fn impossible(&self) -> Option<&'static str> {
        (self.seat.mode == MODERN && !self.server.is_modern()).then_some(
            "the client accepts only 2026-07-28, and the server speaks only older revisions",
        )
    }

    /// Whether messages of the two are of the newest revision.
    pub(crate) fn is_modern(&self) -> bool {
        self.seat.mode != "legacy" && self.server.is_modern()
    }
}

const fn seat(client: Client, wire: Wire, mode: &'static str) -> Seat {
    Seat {
        client,
        wire,
        mode,
        version: None,
    }
}

/// The columns.
pub(crate) const SEATS: &[Seat] = &[
    seat(Client::Ts1, Wire::Http, "legacy"),
    seat(Client::Ts1, Wire::Sse, "legacy"),
    seat(Client::Ts2, Wire::Http, "legacy"),
    seat(Client::Ts2, Wire::Http, MODERN),
    seat(Client::Py1, Wire::Http, "legacy"),
    seat(Client::Py1, Wire::Sse, "legacy"),
    seat(Client::Py2, Wire::Http, "auto"),
    seat(Client::Rmcp, Wire::Http, "legacy"),
    seat(Client::Rmcp, Wire::Http, MODERN),
    seat(Client::Inspector, Wire::Http, "legacy"),
    seat(Client::Inspector, Wire::Http, MODERN),
];

/// Rows that share one guard, and are run one after the other; groups are run side by side.
pub(crate) fn groups() -> Vec<Vec<Row>> {
    let mut groups: Vec<Vec<Row>> = Server::ALL
        .iter()
        .map(|server| {
            let row = |seat: &Seat| Row {
                seat: *seat,
                server: *server,
            };
            SEATS.iter().map(row).collect()
        })
        .collect();
    groups.push(other_revisions());
    groups.push(other_modes());
    groups
}

/// The oldest revision that each SDK speaks on the transport, and clients that know only stdio.
fn other_revisions() -> Vec<Row> {
    let row = |client, wire, version| Row {
        seat: Seat {
            version,
            ..seat(client, wire, "legacy")
        },
        server: Server::EverythingHttp,
    };
    vec![
        row(Client::Ts1, Wire::Sse, Some("2024-11-05")),
        row(Client::Ts1, Wire::Http, Some("2025-03-26")),
        row(Client::Ts2, Wire::Http, Some("2025-03-26")),
        row(Client::Py1, Wire::Sse, Some("2024-11-05")),
        row(Client::Py1, Wire::Http, Some("2025-06-18")),
        row(Client::Rmcp, Wire::Http, Some("2025-03-26")),
        row(Client::Py1, Wire::Connect, None),
        row(Client::Ts1, Wire::Connect, None),
    ]
}

/// Other ways to agree on a revision, before a server of both eras.
fn other_modes() -> Vec<Row> {
    let row = |client, mode| Row {
        seat: seat(client, Wire::Http, mode),
        server: Server::Python,
    };
    vec![row(Client::Ts2, "auto"), row(Client::Py2, "legacy")]
}

#[cfg(test)]
mod tests {
    use super::{Row, SEATS, groups};
    use crate::matrix::servers::Server;

    #[test]
    fn every_client_stands_before_every_server() {
        let rows: Vec<Row> = groups().into_iter().flatten().collect();
        for seat in SEATS {
            for server in Server::ALL {
                let pair = |row: &&Row| row.seat == *seat && row.server == server;
                assert_eq!(
                    rows.iter().filter(pair).count(),
                    1,
                    "{seat} before {server}"
                );
            }
        }
    }

    #[test]
    fn no_two_rows_have_one_name() {
        let mut names: Vec<String> = groups().iter().flatten().map(Row::name).collect();
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
