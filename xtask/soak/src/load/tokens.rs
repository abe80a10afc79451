//! A client's tokens: every fourth has one that ends during the run, and must then be refused.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use sallyport_sidecar::clock::{Clock, SystemClock};
use sallyport_sidecar::identity::local::{LocalIssuer, Mint};

use super::tally::Tally;

const SHORT: Duration = Duration::from_secs(4);
/// How long after the first refusal one for a call that was under way with it is no surprise.
const LATE: Duration = Duration::from_secs(3);
const LONG: Duration = Duration::from_secs(3600);

#[derive(Debug)]
pub(crate) struct Tokens {
    long: String,
    short: Option<Short>,
    /// When the short one was laid down; calls sent with it may still hear of its end.
    retired: Option<Instant>,
}

#[derive(Debug)]
struct Short {
    token: String,
    ends: i64,
}

impl Tokens {
    pub(crate) fn mint(state: &Path, run: &str, number: u32) -> Result<Self> {
        let issuer = LocalIssuer::open(state, None).map_err(|error| anyhow!("{error}"))?;
        let mut mint = Mint {
            user: format!("user-{run}-{number}@example.com"),
            groups: vec!["soakers".into()],
            ttl: LONG,
            ..Mint::default()
        };
        let now = SystemClock::new().now();
        let long = issuer
            .mint(&mint, now)
            .map_err(|error| anyhow!("{error}"))?;
        mint.ttl = SHORT;
        let short = issuer
            .mint(&mint, now)
            .map_err(|error| anyhow!("{error}"))?;
        Ok(Self {
            long: long.token.as_str().to_owned(),
            short: (number % 4 == 3).then(|| Short {
                token: short.token.as_str().to_owned(),
                ends: short.expires_at.0,
            }),
            retired: None,
        })
    }

    pub(crate) fn now(&self) -> &str {
        self.short.as_ref().map_or(&self.long, |short| &short.token)
    }

    /// Whether what was heard is the end of the short token, in time; the long one is used from now on.
    pub(crate) fn renewed(&mut self, heard: &str, tally: &Tally) -> bool {
        if !heard.contains("401") {
            return false;
        }
        if !self.is_over() {
            return self.retired.is_some_and(|at| at.elapsed() < LATE);
        }
        self.short = None;
        self.retired = Some(Instant::now());
        tally.with(super::tally::Report::expired);
        true
    }

    /// Whether the short token has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.outlived(SystemClock::new().now().0 + 1)
    }

    /// Whether a call that was answered just now should have been refused: its token had ended before it was sent.
    pub(crate) fn outlived(&self, sent: i64) -> bool {
        self.short.as_ref().is_some_and(|short| sent > short.ends)
    }
}
