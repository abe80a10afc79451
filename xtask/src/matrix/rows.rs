//! The rows: which client, on which transport and revision, before which server.

use std::fmt;

use super::servers::Server;

/// An official SDK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Client {
    Ts1,
    Ts2,
    Py1,
    Py2,
    Rmcp,
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ts1 => "TypeScript SDK 1",
            Self::Ts2 => "TypeScript SDK 2",
            Self::Py1 => "Python SDK 1",
            Self::Py2 => "Python SDK 2",
            Self::Rmcp => "rmcp",
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

/// One run of the scenario.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) client: Client,
    pub(crate) wire: Wire,
    /// `legacy`, `auto`, or a revision that is pinned.
    pub(crate) mode: &'static str,
    /// The revision to offer where it is not the client's newest.
    pub(crate) version: Option<&'static str>,
    pub(crate) server: Server,
}

pub(crate) const MODERN: &str = "2026-07-28";

impl Row {
    pub(crate) fn name(&self) -> String {
        let wire = match self.wire {
            Wire::Http => "Streamable HTTP",
            Wire::Sse => "HTTP+SSE",
            Wire::Connect => "stdio by `sallyport connect`",
        };
        let era = match (self.version, self.mode) {
            (Some(version), _) => format!(", offers {version}"),
            (None, "legacy") => String::new(),
            (None, mode) => format!(", {mode}"),
        };
        format!("{} ({wire}{era}) before {}", self.client, self.server)
    }
}

/// The first revision in which a server may ask the user.
const ELICITATION_SINCE: &str = "2025-06-18";

impl Row {
    /// Revisions are dates, so their order is that of their names.
    pub(crate) fn knows_elicitation(&self) -> bool {
        self.version
            .is_none_or(|version| version >= ELICITATION_SINCE)
    }
}

/// Every row of the matrix.
pub(crate) fn all() -> Vec<Row> {
    let mut rows = Vec::new();
    for server in [
        Server::EverythingHttp,
        Server::EverythingSse,
        Server::EverythingStdio,
    ] {
        rows.extend(before_everything(server));
    }
    rows.extend(oldest_revisions());
    rows.extend(before_dual());
    rows.push(row(Client::Py2, Wire::Http, "auto", Server::Time));
    rows.push(row(Client::Ts1, Wire::Sse, "legacy", Server::Time));
    rows
}

fn row(client: Client, wire: Wire, mode: &'static str, server: Server) -> Row {
    Row {
        client,
        wire,
        mode,
        version: None,
        server,
    }
}

fn before_everything(server: Server) -> Vec<Row> {
    vec![
        row(Client::Ts1, Wire::Http, "legacy", server),
        row(Client::Ts1, Wire::Sse, "legacy", server),
        row(Client::Ts2, Wire::Http, "legacy", server),
        row(Client::Py1, Wire::Http, "legacy", server),
        row(Client::Py1, Wire::Sse, "legacy", server),
        row(Client::Py2, Wire::Http, "auto", server),
        row(Client::Rmcp, Wire::Http, "legacy", server),
    ]
}

/// The oldest revision that each SDK speaks on the transport.
fn oldest_revisions() -> Vec<Row> {
    let offering = |client, wire, version| Row {
        version: Some(version),
        ..row(client, wire, "legacy", Server::EverythingHttp)
    };
    vec![
        offering(Client::Ts1, Wire::Sse, "2024-11-05"),
        offering(Client::Ts1, Wire::Http, "2025-03-26"),
        offering(Client::Ts2, Wire::Http, "2025-03-26"),
        offering(Client::Py1, Wire::Sse, "2024-11-05"),
        offering(Client::Py1, Wire::Http, "2025-06-18"),
        offering(Client::Rmcp, Wire::Http, "2025-03-26"),
        row(Client::Py1, Wire::Connect, "legacy", Server::EverythingHttp),
        row(Client::Ts1, Wire::Connect, "legacy", Server::EverythingHttp),
    ]
}

fn before_dual() -> Vec<Row> {
    vec![
        row(Client::Ts1, Wire::Http, "legacy", Server::Dual),
        row(Client::Ts2, Wire::Http, "legacy", Server::Dual),
        row(Client::Ts2, Wire::Http, MODERN, Server::Dual),
        row(Client::Ts2, Wire::Http, "auto", Server::Dual),
        row(Client::Py1, Wire::Http, "legacy", Server::Dual),
        row(Client::Py2, Wire::Http, "auto", Server::Dual),
        row(Client::Py2, Wire::Http, "legacy", Server::Dual),
        row(Client::Rmcp, Wire::Http, "legacy", Server::Dual),
        row(Client::Rmcp, Wire::Http, MODERN, Server::Dual),
    ]
}
