//! `docs/compatibility.md`: the matrix as it was run. What the page says of clients, servers and steps comes from the
//! tables that are run, and a test holds the page to them.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::Ran;
use super::rows::{self, Client, Row, SEATS, Seat, Wire};
use super::scenario::{self, LABELS};
use super::servers::Server;
use super::versions::{npm, pypi, rust};
use crate::workspace;

const TITLE: &str = "# Compatibility

Official clients before real servers, as they were run. Each scenario is run twice with the same client: straight at the
server, and through the guard. What the client saw is compared member by member, and what the server was told is heard on
its way to it and compared too. A cell is good if every step that no policy touches is equal to the straight run, and every
other one is what the policy says. No server may be told a caller's token or cookie, and each recording must verify.

`cargo xtask matrix` runs it, `cargo xtask matrix --write-docs` writes this page, and `cargo xtask test` runs it with the rest.
The policy is `xtask/clients/policy.yaml`.
";

const QUIRKS: &str = "## What the SDKs do themselves

Seen straight at the servers as well as through the guard:

- The TypeScript SDKs hand progress reports on a tick later than results, and lose the last report where it arrives in one
  piece with the result. The comparison lets them lose one.
- The Python SDK 1 has no call to cancel: its users send `notifications/cancelled` themselves, as the driver does.
- In 2026-07-28 a call over Streamable HTTP is taken back by leaving the stream of its answer. The guard then leaves the
  server's stream, which is what is checked there; in older revisions it is the notification.
- `createMcpHandler` keeps no sessions for older revisions: no GET stream, no questions to the client.
- The Inspector's CLI lists tools before each call, and says `not found on server` itself of what is hidden.
- The Inspector calls `logging/setLevel` as soon as it is connected to a server that advertises `logging`, and gives up where
  that is refused. Clients of the older revisions hear of `logging` only where a rule could let them call the method, so it
  works either way; the matrix' policy has such a rule.
- `server-everything` asks for roots of its own accord. No rule of the matrix allows that, so no client hears it, and the
  tool that depends on it is not offered.
";

/// Writes the page.
pub(crate) fn write(ran: &[Ran]) -> Result<()> {
    let mut page = format!("{TITLE}\n{}\n{}\n", clients()?, servers()?);
    page += &cells(ran)?;
    page += &others(ran)?;
    page += &format!("{}\n{}\n{QUIRKS}", impossible()?, steps()?);
    let path = page_path();
    std::fs::write(&path, page).with_context(|| format!("cannot write {}", path.display()))
}

fn page_path() -> PathBuf {
    workspace::root().join("docs/compatibility.md")
}

fn clients() -> Result<String> {
    let mut text = String::from("## Clients\n\n| client | package |\n| --- | --- |\n");
    for (client, package) in [
        (Client::Ts1, npm("@modelcontextprotocol/sdk")?),
        (Client::Ts2, npm("@modelcontextprotocol/client")?),
        (Client::Py1, pypi("v1", "mcp")?),
        (Client::Py2, pypi("v2", "mcp")?),
        (Client::Rmcp, rust("rmcp")?),
        (Client::Inspector, npm("@modelcontextprotocol/inspector")?),
    ] {
        writeln!(text, "| {client} | {package} |")?;
    }
    writeln!(text, "\nNode is {}.", npm("node")?)?;
    Ok(text)
}

fn servers() -> Result<String> {
    let heading = "## Servers\n\n| server | package | revisions |\n| --- | --- | --- |\n";
    let mut text = String::from(heading);
    for server in Server::ALL {
        let package = match server {
            Server::EverythingHttp | Server::EverythingSse | Server::EverythingStdio => {
                npm("@modelcontextprotocol/server-everything")?
            }
            Server::Rmcp => rust("rmcp")?,
            Server::Handler => npm("@modelcontextprotocol/server")?,
            Server::Python => pypi("v2", "mcp")?,
            Server::Git => pypi("v2", "mcp-server-git")?,
            Server::Time => pypi("v1", "mcp-server-time")?,
        };
        let revisions = if server.is_modern() {
            "2026-07-28 and older"
        } else {
            "up to 2025-11-25"
        };
        writeln!(text, "| {server} | {package} | {revisions} |")?;
    }
    Ok(text)
}

fn cells(ran: &[Ran]) -> Result<String> {
    let names: Vec<String> = Server::ALL.iter().map(Server::to_string).collect();
    let mut text = format!(
        "## Cells\n\nHow many steps were good, and the revision that was spoken.\n\n| client | {} |\n",
        names.join(" | ")
    );
    writeln!(text, "| --- |{}", " --- |".repeat(names.len()))?;
    for seat in SEATS {
        let cells: Vec<String> = Server::ALL
            .iter()
            .map(|server| {
                cell(
                    Row {
                        seat: *seat,
                        server: *server,
                    },
                    ran,
                )
            })
            .collect();
        writeln!(text, "| {seat} | {} |", cells.join(" | "))?;
    }
    text.push('\n');
    Ok(text)
}

fn cell(row: Row, ran: &[Ran]) -> String {
    if row.impossible().is_some() {
        return "impossible".into();
    }
    let found = ran
        .iter()
        .find(|ran| ran.row.seat == row.seat && ran.row.server == row.server);
    match found {
        Some(ran) if ran.good => {
            let steps = scenario::steps(&row, &PathBuf::new()).len();
            format!("{steps} good, {}", ran.revision)
        }
        Some(_) => "**differs**".into(),
        None => "not run".into(),
    }
}

fn others(ran: &[Ran]) -> Result<String> {
    let mut text = String::from(
        "Older revisions, clients that know only stdio, and other ways to agree on a revision:\n\n| client | server | cell |\n| --- | --- | --- |\n",
    );
    for row in rows::groups().into_iter().skip(Server::ALL.len()).flatten() {
        writeln!(
            text,
            "| {} | {} | {} |",
            row.seat,
            row.server,
            cell(row, ran)
        )?;
    }
    text.push('\n');
    Ok(text)
}

fn impossible() -> Result<String> {
    let mut text = String::from("## Impossible pairs\n\n");
    for row in rows::groups().iter().flatten() {
        if let Some(reason) = row.impossible() {
            writeln!(text, "- {}: {reason}.", row.name())?;
        }
    }
    Ok(text)
}

fn steps() -> Result<String> {
    let heading = "## Steps\n\n| step | what is done | through the guard | before |\n| --- | --- | --- | --- |\n";
    let mut text = String::from(heading);
    for label in LABELS {
        let (shows, must) = (label.shows, label.must);
        writeln!(
            text,
            "| {} | {shows} | {must} | {} |",
            label.name,
            takers(label.name)
        )?;
    }
    text += "\nNot taken:\n\n";
    for (who, row) in those_who_cannot() {
        for reason in reasons(&row) {
            let left = |label: &&scenario::Label| scenario::unfit(&row, label.name) == Some(reason);
            let names: Vec<&str> = LABELS.iter().filter(left).map(|label| label.name).collect();
            writeln!(text, "- {who}: {}; {reason}.", names.join(", "))?;
        }
    }
    text += "- Before 2025-06-18 no server may ask the user. `server-everything` asks all the same; the guard tells it that there is no such method, and its call fails.\n";
    Ok(text)
}

/// Servers whose clients take the step, as far as a client can.
fn takers(label: &str) -> String {
    let everything = [Server::EverythingHttp, Server::Git, Server::Time];
    let takes = |server: &&Server| {
        let row = Row {
            seat: plain_seat(),
            server: **server,
        };
        let steps = scenario::steps(&row, &PathBuf::new());
        steps.iter().any(|step| step.label == label)
    };
    let name = |server: &Server| match server {
        Server::Git => "git",
        Server::Time => "time",
        Server::EverythingHttp
        | Server::EverythingSse
        | Server::EverythingStdio
        | Server::Rmcp
        | Server::Handler
        | Server::Python => "the others",
    };
    let names: Vec<&str> = everything.iter().filter(takes).map(name).collect();
    if names.len() == everything.len() {
        return "all".into();
    }
    names.join(", ")
}

fn plain_seat() -> Seat {
    Seat {
        client: Client::Ts1,
        wire: Wire::Http,
        mode: "legacy",
        version: None,
    }
}

fn those_who_cannot() -> [(&'static str, Row); 2] {
    let inspector = Seat {
        client: Client::Inspector,
        ..plain_seat()
    };
    let row = |seat, server| Row { seat, server };
    [
        ("Inspector CLI", row(inspector, Server::EverythingHttp)),
        (
            "`createMcpHandler` with an older client",
            row(plain_seat(), Server::Handler),
        ),
    ]
}

fn reasons(row: &Row) -> Vec<&'static str> {
    let mut reasons: Vec<&str> = LABELS
        .iter()
        .filter_map(|label| scenario::unfit(row, label.name))
        .collect();
    reasons.sort_unstable();
    reasons.dedup();
    reasons
}

#[cfg(test)]
mod tests {
    use super::{QUIRKS, SEATS, TITLE, clients, impossible, page_path, servers, steps};

    #[test]
    fn the_page_tells_of_the_clients_servers_and_steps_that_are_run() {
        let page = std::fs::read_to_string(page_path()).unwrap();
        let parts = [clients(), servers(), impossible(), steps()].map(Result::unwrap);
        for part in parts.iter().map(String::as_str).chain([TITLE, QUIRKS]) {
            assert!(
                page.contains(part),
                "`cargo xtask matrix --write-docs` was not run since this changed:\n{part}"
            );
        }
        for seat in SEATS {
            assert!(page.contains(&format!("\n| {seat} | ")), "no row of {seat}");
        }
    }
}
