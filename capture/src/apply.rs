//! Loads the rules into the network namespace that the process is in: by `nft`, else by `iptables-restore`.
//!
//! nftables first: one transaction for both families, and NET_ADMIN is all it needs. Whatever fails is an error; the
//! caller must not go on, because a pod without rules is an open one.

use std::fmt;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::facts::Facts;
use crate::rules::{Family, iptables, nft};

/// Where the programs are; nothing of the environment is passed on.
const PATH: &str = "/usr/sbin:/sbin:/usr/bin:/bin";
/// Absent where the kernel was started without IPv6: then there is nothing to guard and no table to load.
const IPV6: &str = "/proc/net/if_inet6";

/// What the rules were loaded by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loaded {
    Nftables,
    /// The program that did.
    Iptables(&'static str),
}

impl fmt::Display for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nftables => f.write_str("nft"),
            Self::Iptables(program) => f.write_str(program),
        }
    }
}

/// Which programs may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// nftables, and iptables where that fails.
    Either,
    Nftables,
    Iptables,
}

/// Why there are no rules, program by program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no rules are in force: {}", .0.join("; "))]
pub struct NotLoaded(Vec<String>);

/// Loads the rules.
///
/// # Errors
/// What each program said. What `iptables-restore` loaded for IPv4 stays where IPv6 then fails: it only closes.
pub fn apply(facts: &Facts, by: By) -> Result<Loaded, NotLoaded> {
    let mut told = Vec::new();
    if by != By::Iptables {
        match load("nft", &["-f", "-"], &nft(facts)) {
            Ok(()) => return Ok(Loaded::Nftables),
            Err(why) => told.push(why),
        }
    }
    if by != By::Nftables {
        for (v4, v6) in [
            ("iptables-restore", "ip6tables-restore"),
            ("iptables-legacy-restore", "ip6tables-legacy-restore"),
        ] {
            match both(facts, v4, v6) {
                Ok(()) => return Ok(Loaded::Iptables(v4)),
                Err(why) => told.push(why),
            }
        }
    }
    Err(NotLoaded(told))
}

fn both(facts: &Facts, v4: &'static str, v6: &'static str) -> Result<(), String> {
    load(v4, &[], &iptables(facts, Family::V4))?;
    if Path::new(IPV6).exists() {
        load(v6, &[], &iptables(facts, Family::V6))?;
    }
    Ok(())
}

fn load(program: &str, arguments: &[&str], text: &str) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{program}: {error}");
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", PATH)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ended before it read says why by itself.
        stdin.write_all(text.as_bytes()).ok();
    }
    let output = child.wait_with_output().map_err(failed)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{program}: {}", said.trim()))
}
