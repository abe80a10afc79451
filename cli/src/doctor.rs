//! `sallyport doctor`: what is wrong with this installation, and what to do about it.
//!
//! It looks and changes nothing: each check is a line, good ones too, so that one sees what was looked at.

mod files;
mod people;

use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use sallyport_policy::record::layout;
use sallyport_sidecar::answer::pins::PinState;
use sallyport_sidecar::hold::client::{Client, ClientError};
use sallyport_sidecar::hold::protocol::SOCKET;
use sallyport_sidecar::tls::Trust;
use serde::Serialize;

use crate::output::{Failure, Format, put, put_value};
use crate::state::StateArgs;

/// Before this program was written, no clock can have been right.
const WRITTEN: Duration = Duration::from_secs(1_767_225_600);
/// Below, recordings soon stop calls under Strict.
const LITTLE: u64 = 1 << 30;
const TOO_LITTLE: u64 = 64 << 20;

/// Look for what is wrong with this installation.
#[derive(clap::Args, Debug)]
#[command(after_help = "Exit codes: 0 nothing is bad; 1 something is")]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    state: StateArgs,
    /// Policy files to look at as well; may be repeated
    #[arg(short = 'f', long = "file", value_name = "PATH")]
    files: Vec<PathBuf>,
    /// Where the guard listens, or shall
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8931")]
    listen: SocketAddr,
    /// How the findings are printed
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Level {
    Ok,
    Warn,
    Bad,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
pub(crate) struct Line {
    level: Level,
    what: &'static str,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

impl Line {
    pub(crate) fn ok(what: &'static str, found: impl Into<String>) -> Self {
        Self {
            level: Level::Ok,
            what,
            found: found.into(),
            remedy: None,
        }
    }

    pub(crate) fn warn(
        what: &'static str,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            level: Level::Warn,
            what,
            found: found.into(),
            remedy: Some(remedy.into()),
        }
    }

    pub(crate) fn bad(
        what: &'static str,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            level: Level::Bad,
            what,
            found: found.into(),
            remedy: Some(remedy.into()),
        }
    }
}

pub(crate) async fn run(args: DoctorArgs) -> Result<ExitCode, Failure> {
    let state = args.state.path()?;
    let guard = Guard::find(&state).await;
    let mut lines = files::state(&state);
    lines.push(guard.line());
    lines.extend(guard.socket_line());
    lines.push(port(args.listen, &guard));
    lines.push(clock(SystemTime::now(), files::newest(&state)));
    lines.extend(space(&state));
    lines.extend(pins(&state));
    lines.push(trust());
    lines.extend(people::approvals(&state));
    if !args.files.is_empty() {
        lines.extend(files::policies(&args.files));
        lines.extend(people::of_policies(&args.files));
    }
    match args.output {
        Format::Table => lines.iter().try_for_each(tell)?,
        Format::Json | Format::Yaml => put_value(&lines, args.output)?,
    }
    let bad = lines.iter().any(|line| line.level == Level::Bad);
    Ok(if bad {
        ExitCode::from(1)
    } else {
        ExitCode::SUCCESS
    })
}

fn tell(line: &Line) -> Result<(), Failure> {
    let word = match line.level {
        Level::Ok => "ok  ",
        Level::Warn => "warn",
        Level::Bad => "bad ",
    };
    put(&format!("{word}  {}: {}", line.what, line.found))?;
    match &line.remedy {
        Some(remedy) => put(&format!("        {remedy}")),
        None => Ok(()),
    }
}

/// What is known of a guard that may be running on this state folder.
struct Guard {
    writes: bool,
    socket: Socket,
}

enum Socket {
    Absent,
    Served,
    Left,
    /// It is there and not for this account.
    Closed(String),
}

impl Guard {
    async fn find(state: &Path) -> Self {
        let socket = if state.join(SOCKET).exists() {
            match Client::connect(state).await {
                Ok(_) => Socket::Served,
                Err(ClientError::NotServed { error, .. })
                    if error.kind() == std::io::ErrorKind::ConnectionRefused =>
                {
                    Socket::Left
                }
                Err(error) => Socket::Closed(error.to_string()),
            }
        } else {
            Socket::Absent
        };
        Self {
            writes: is_locked(&state.join("recordings").join(layout::LOCK)),
            socket,
        }
    }

    fn runs(&self) -> bool {
        self.writes || matches!(self.socket, Socket::Served | Socket::Closed(_))
    }

    fn line(&self) -> Line {
        let what = "guard";
        match (self.writes, &self.socket) {
            (true, Socket::Served | Socket::Closed(_)) => {
                Line::ok(what, "one is running on this state folder")
            }
            (true, Socket::Absent | Socket::Left) => Line::warn(
                what,
                "a process holds the recordings, but no approvals are served",
                "if it is no guard that is starting or ending just now, find it with `fuser` on the file `recordings/lock`",
            ),
            (false, Socket::Served | Socket::Closed(_)) => Line::ok(
                what,
                "one is running on this state folder, without recordings",
            ),
            (false, Socket::Absent | Socket::Left) => {
                Line::ok(what, "none is running on this state folder")
            }
        }
    }

    fn socket_line(&self) -> Option<Line> {
        let what = "approval socket";
        match &self.socket {
            Socket::Absent | Socket::Served => None,
            Socket::Left => Some(Line::warn(
                what,
                "a guard that ended without goodbye left it behind",
                "nothing needs to be done: the next `sallyport up` replaces it",
            )),
            Socket::Closed(why) => Some(Line::warn(
                what,
                format!("it is not open to this account: {why}"),
                "approve from an account of the approver group (`sallyport up --approver-group`)",
            )),
        }
    }
}

/// Whether another process holds the lock. The kernel is asked, for trying to take it could keep a guard from starting
/// that does so at the same moment.
fn is_locked(path: &Path) -> bool {
    let Ok(facts) = std::fs::metadata(path) else {
        return false;
    };
    let locks = std::fs::read_to_string("/proc/locks").unwrap_or_default();
    locks.lines().any(|line| names_lock(line, facts.ino()))
}

/// `1: FLOCK  ADVISORY  WRITE 4242 08:01:1311 0 EOF`, the third number after the process being the file's.
fn names_lock(line: &str, inode: u64) -> bool {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let file = fields.get(5).and_then(|file| file.rsplit(':').next());
    fields.get(1) == Some(&"FLOCK") && file.and_then(|file| file.parse().ok()) == Some(inode)
}

fn port(address: SocketAddr, guard: &Guard) -> Line {
    let what = "listener";
    match TcpListener::bind(address) {
        Ok(_) if guard.runs() => Line::warn(
            what,
            format!("a guard is running, but nothing listens at {address}"),
            "name where it listens with --listen",
        ),
        Ok(_) => Line::ok(what, format!("{address} is free")),
        Err(_) if guard.runs() => Line::ok(
            what,
            format!("{address} is in use, as it should be with a guard running"),
        ),
        Err(error) => Line::bad(
            what,
            format!("{address} cannot be used: {error}"),
            "end what uses it, or choose another with `sallyport up --listen`; port 0 picks a free one",
        ),
    }
}

/// Files that are newer than now, or a time before this program was written, tell of a clock that is wrong.
fn clock(now: SystemTime, newest: Option<SystemTime>) -> Line {
    let what = "clock";
    let remedy = "set the clock (NTP): tokens, windows and grants are judged by it";
    if now
        .duration_since(SystemTime::UNIX_EPOCH)
        .is_ok_and(|since| since < WRITTEN)
    {
        return Line::bad(
            what,
            "it shows a time before this program was written",
            remedy,
        );
    }
    let ahead = newest
        .and_then(|newest| newest.duration_since(now).ok())
        .unwrap_or_default();
    if ahead > Duration::from_secs(60) {
        let found = format!(
            "files of the state folder are {} s newer than now",
            ahead.as_secs()
        );
        return Line::bad(what, found, remedy);
    }
    Line::ok(what, "plausible")
}

fn space(state: &Path) -> Option<Line> {
    let what = "disk space";
    let facts = rustix::fs::statvfs(state).ok()?;
    let free = facts.f_bavail.saturating_mul(facts.f_frsize);
    let found = format!("{} MiB free for the state folder", free >> 20);
    let remedy = "free space, or purge recordings that are past their time: a full disk stops calls under `recording.mode: Strict`";
    Some(match free {
        0..TOO_LITTLE => Line::bad(what, found, remedy),
        TOO_LITTLE..LITTLE => Line::warn(what, found, remedy),
        LITTLE.. => Line::ok(what, found),
    })
}

fn pins(state: &Path) -> Option<Line> {
    let what = "tool pins";
    let path = state.join("pins.json");
    if !path.exists() {
        return None;
    }
    Some(match PinState::read(&path) {
        Err(error) => Line::bad(
            what,
            format!("`{}` cannot be read: {error}", path.display()),
            "restore it from a backup; removing it trusts whatever the server shows next",
        ),
        Ok(pins) if pins.set_aside.is_empty() => Line::ok(
            what,
            format!("{} trusted, none changed", pins.book.all_trusted().count()),
        ),
        Ok(pins) => Line::warn(
            what,
            format!(
                "the definitions of {} tools changed and wait for a word",
                pins.set_aside.len()
            ),
            "look with `sallyport pins diff`, then `sallyport pins accept TOOL`",
        ),
    })
}

fn trust() -> Line {
    let what = "trust store";
    match Trust::system() {
        Ok(_) => Line::ok(what, "CA certificates are installed"),
        Err(error) => Line::warn(
            what,
            error.to_string(),
            "needed only for servers and identity providers behind TLS; install `ca-certificates`, or use --ca",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_went_back_is_told() {
        let now = SystemTime::UNIX_EPOCH + WRITTEN + Duration::from_secs(1000);
        let rows = [
            ("no file yet", now, None, Level::Ok),
            ("just written", now, Some(now), Level::Ok),
            (
                "a day ahead",
                now,
                Some(now + Duration::from_secs(86_400)),
                Level::Bad,
            ),
            ("never set", SystemTime::UNIX_EPOCH, None, Level::Bad),
        ];
        for (name, now, newest, expected) in rows {
            assert_eq!(clock(now, newest).level, expected, "{name}");
        }
    }

    #[test]
    fn a_held_lock_is_found_among_the_kernels() {
        let line = "12: FLOCK  ADVISORY  WRITE 4242 08:01:1311 0 EOF";
        assert!(names_lock(line, 1311));
        assert!(!names_lock(line, 131));
        assert!(!names_lock(
            "12: POSIX  ADVISORY  WRITE 4242 08:01:1311 0 EOF",
            1311
        ));
        assert!(!names_lock("", 1311));
    }
}
