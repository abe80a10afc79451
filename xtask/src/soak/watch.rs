//! What a guard holds: memory, descriptors, threads, children, and what it says of itself in `/metrics`.

use std::fmt;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::bed::{Bed, Guard};

/// Gauges that must be zero when nobody is connected.
const GAUGES: &[&str] = &[
    "sallyport_streams",
    "sallyport_sessions",
    "sallyport_calls_in_flight",
    "sallyport_calls_held",
    "sallyport_bodies_bytes",
];

/// Memory may grow by this share of what it was after the warm-up, and by this much: allocators keep pages, and ended
/// requests stay listed for an hour.
const MEMORY_SHARE: u64 = 4;
const MEMORY_KIB: u64 = 24 * 1024;
/// Threads of the blocking pool come and go; descriptors of segments and payloads may be open or not.
const THREADS: u64 = 4;
const DESCRIPTORS: u64 = 4;
const TASKS: u64 = 2;

/// One look.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub(super) struct Held {
    memory_kib: u64,
    descriptors: u64,
    threads: u64,
    children: u64,
    tasks: u64,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} MiB, {} descriptors, {} threads, {} children, {} tasks",
            self.memory_kib / 1024,
            self.descriptors,
            self.threads,
            self.children,
            self.tasks
        )
    }
}

impl Held {
    pub(super) fn by(guard: &mut Guard) -> Result<Self> {
        let process = guard.process()?;
        let status = fs::read_to_string(format!("/proc/{process}/status"))?;
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        };
        Ok(Self {
            memory_kib: number("VmRSS:").context("no memory in /proc")?,
            threads: number("Threads:").context("no threads in /proc")?,
            descriptors: u64::try_from(fs::read_dir(format!("/proc/{process}/fd"))?.count())?,
            children: children(process)?,
            tasks: gauge(&get(guard.admin, "/metrics")?, "sallyport_tasks").unwrap_or(0),
        })
    }

    /// What grew beyond its tolerance since `before`.
    fn growth(&self, before: &Self) -> Vec<String> {
        let most = before.memory_kib + before.memory_kib / MEMORY_SHARE + MEMORY_KIB;
        let limits = [
            ("KiB of memory", self.memory_kib, most),
            (
                "descriptors",
                self.descriptors,
                before.descriptors + DESCRIPTORS,
            ),
            ("threads", self.threads, before.threads + THREADS),
            ("children", self.children, 0),
            ("tasks", self.tasks, before.tasks + TASKS),
        ];
        let over = limits.iter().filter(|(_, now, most)| now > most);
        over.map(|(what, now, most)| format!("{now} {what}, more than {most}"))
            .collect()
    }
}

/// Waits until the guards hold nothing of what clients left, and tells what each then holds. `before`: what it may hold.
pub(super) fn settled(
    bed: &mut Bed,
    before: Option<&[Held]>,
    limit: Duration,
) -> Result<Vec<Held>> {
    let until = Instant::now() + limit;
    loop {
        bed.quiet()?;
        let (mut held, mut problems) = (Vec::new(), Vec::new());
        for (at, guard) in bed.guards.iter_mut().enumerate() {
            let now = Held::by(guard)?;
            let mut open = open(&get(guard.admin, "/metrics")?);
            match before.and_then(|before| before.get(at)) {
                Some(before) => open.extend(now.growth(before)),
                None if now.children > 0 => open.push(format!("{} children", now.children)),
                None => {}
            }
            problems.extend(
                open.into_iter()
                    .map(|problem| format!("{}: {problem}", guard.name)),
            );
            held.push(now);
        }
        if problems.is_empty() {
            return Ok(held);
        }
        if Instant::now() > until {
            bail!(
                "{} s after the last client left: {}",
                limit.as_secs(),
                problems.join("; ")
            );
        }
        std::thread::sleep(Duration::from_millis(250));
    }
}

/// Gauges that are not zero.
fn open(metrics: &str) -> Vec<String> {
    let told = GAUGES.iter().map(|name| (*name, gauge(metrics, name)));
    told.filter_map(|(name, value)| match value {
        Some(0) => None,
        Some(value) => Some(format!("{name} {value}")),
        None => Some(format!("{name} is not told")),
    })
    .collect()
}

pub(super) fn gauge(metrics: &str, name: &str) -> Option<u64> {
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    line.trim().parse().ok()
}

/// Direct children, zombies included: one that nobody waits for is a leak as well.
fn children(process: u32) -> Result<u64> {
    let mut count = 0;
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path();
        // A process that ends meanwhile has no file any more.
        let Ok(stat) = fs::read_to_string(path.join("stat")) else {
            continue;
        };
        let parent = stat
            .rsplit(')')
            .next()
            .and_then(|rest| rest.split_whitespace().nth(1)?.parse::<u32>().ok());
        count += u64::from(parent == Some(process));
    }
    Ok(count)
}

/// The body of a GET, of a server of this run.
pub(super) fn get(at: SocketAddr, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect_timeout(&at, Duration::from_secs(2))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: {at}\r\nconnection: close\r\n\r\n"
    )?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (_, body) = text.split_once("\r\n\r\n").context("no HTTP answer")?;
    Ok(body.to_owned())
}
