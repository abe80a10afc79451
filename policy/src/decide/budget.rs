//! Budgets and concurrency of one sidecar (law 8): token buckets with a passed-in clock, slots that free themselves.
//!
//! The state outlives bundles: a bucket is found by what its budget says, so that a policy change that leaves a
//! budget as it was does not refill it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::bundle::Budget;
use crate::condition::glob::{Glob, GlobKind};
use crate::principal::{CallerKey, Principal};
use crate::source::settings::BudgetKey;
use crate::time::UnixMillis;

/// A budget made ready.
#[derive(Clone, Debug)]
pub(crate) struct ActiveBudget {
    /// What the budget says, so that its state survives a policy change that leaves it as it is.
    key: Arc<str>,
    tools: Vec<Glob>,
    calls: u32,
    per: Duration,
    by: BudgetKey,
}

impl ActiveBudget {
    pub(crate) fn new(budget: &Budget) -> Self {
        let mut tools = budget.tools.clone();
        tools.sort_unstable();
        Self {
            key: format!(
                "{tools:?} {} {:?} {:?}",
                budget.calls, budget.per, budget.by
            )
            .into(),
            tools: tools
                .iter()
                .map(|glob| Glob::new(glob, GlobKind::Name))
                .collect(),
            calls: budget.calls,
            per: budget.per,
            by: budget.by,
        }
    }

    pub(crate) fn counts(&self, tool: &str) -> bool {
        self.tools.iter().any(|glob| glob.matches(tool))
    }
}

/// Above this many buckets those that are full again are dropped: they say nothing.
const SWEEP_AT: usize = 16_384;

/// What callers have used up so far. One a sidecar, not shared.
#[derive(Debug, Default)]
pub struct Budgets {
    buckets: HashMap<BucketKey, Bucket>,
    running: Arc<AtomicUsize>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct BucketKey {
    budget: Arc<str>,
    who: Who,
}

/// Whose calls a bucket counts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Who {
    Everyone,
    Principal {
        issuer: String,
        subject: String,
    },
    Client(Option<String>),
    /// A session is (principal, client, gateway) by law 30.
    Session(Box<CallerKey>),
}

/// Counts in calls times the budget's microseconds: a microsecond gains `calls`, a call costs `per`, and nothing
/// is lost in rounding.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    level: u128,
    calls: u128,
    per: u128,
    at: UnixMillis,
}

impl Bucket {
    fn new(budget: &ActiveBudget, now: UnixMillis) -> Self {
        let calls = u128::from(budget.calls.max(1));
        let per = budget.per.as_micros().max(1);
        Self {
            level: calls.saturating_mul(per),
            calls,
            per,
            at: now,
        }
    }

    fn full(&self) -> u128 {
        self.calls.saturating_mul(self.per)
    }

    fn refill(&mut self, now: UnixMillis) {
        let gained = self.calls.saturating_mul(self.at.until(now).as_micros());
        self.level = self.level.saturating_add(gained).min(self.full());
        // A clock that jumps back neither refills nor blocks.
        self.at = now;
    }

    /// How long until one call fits; none if it fits now.
    fn wait(&self) -> Option<Duration> {
        let lacking = self
            .per
            .checked_sub(self.level)
            .filter(|lacking| *lacking > 0)?;
        let micros = lacking.div_ceil(self.calls);
        Some(Duration::from_micros(
            u64::try_from(micros).unwrap_or(u64::MAX),
        ))
    }
}

impl Budgets {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Charges one call to each of `budgets`, or to none: then says how long to wait.
    pub(crate) fn charge<'b>(
        &mut self,
        budgets: impl Iterator<Item = &'b ActiveBudget> + Clone,
        principal: &Principal,
        now: UnixMillis,
    ) -> Result<(), Duration> {
        self.sweep(now);
        let mut longest = None;
        for budget in budgets.clone() {
            longest = longest.max(self.bucket(budget, principal, now).wait());
        }
        if let Some(wait) = longest {
            return Err(wait);
        }
        for budget in budgets {
            let bucket = self.bucket(budget, principal, now);
            bucket.level = bucket.level.saturating_sub(bucket.per);
        }
        Ok(())
    }

    fn bucket(
        &mut self,
        budget: &ActiveBudget,
        principal: &Principal,
        now: UnixMillis,
    ) -> &mut Bucket {
        let key = BucketKey {
            budget: Arc::clone(&budget.key),
            who: Who::of(budget.by, principal),
        };
        let bucket = self
            .buckets
            .entry(key)
            .or_insert_with(|| Bucket::new(budget, now));
        bucket.refill(now);
        bucket
    }

    fn sweep(&mut self, now: UnixMillis) {
        if self.buckets.len() < SWEEP_AT {
            return;
        }
        self.buckets.retain(|_, bucket| {
            bucket.refill(now);
            bucket.level < bucket.full()
        });
    }

    /// Takes one of `limit` places for a running call; none if all are taken. The place is free again on drop.
    #[must_use]
    pub fn enter(&self, limit: usize) -> Option<Slot> {
        self.running
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |running| {
                (running < limit).then(|| running.saturating_add(1))
            })
            .ok()
            .map(|_| Slot {
                running: Arc::clone(&self.running),
            })
    }

    /// How many calls hold a place now.
    #[must_use]
    pub fn running(&self) -> usize {
        self.running.load(Ordering::Acquire)
    }
}

impl Who {
    fn of(by: BudgetKey, principal: &Principal) -> Self {
        match by {
            BudgetKey::Gateway => Self::Everyone,
            BudgetKey::Principal => Self::Principal {
                issuer: principal.issuer.as_str().to_owned(),
                subject: principal.subject.as_str().to_owned(),
            },
            BudgetKey::Session => Self::Session(Box::new(principal.key())),
            BudgetKey::Client => {
                Self::Client(principal.client.as_ref().map(|c| c.as_str().to_owned()))
            }
        }
    }
}

/// A place among the running calls; dropping it frees the place on every path.
#[derive(Debug)]
#[must_use]
pub struct Slot {
    running: Arc<AtomicUsize>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.running.fetch_sub(1, Ordering::AcqRel);
    }
}
