//! Where the policy comes from in a pod: a mounted folder with a signed envelope, put in force whole or not at all.
//!
//! The folder is the kubelet's: `manifest.json` and `bundle-0` to `bundle-3` (`policy::bundle::shards`), each a link
//! into `..data`, which is itself a link that is renamed when the content changes. The sidecar believes nothing of
//! it but what the root key vouches for: this gateway, its uid, a generation no lower than the highest ever seen,
//! not expired. Whatever else lies there is told once and changes nothing: the last good policy stays in force until
//! its own end, also across a restart, and where there never was one everything is denied.

mod folder;
mod ledger;
mod standing;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sallyport_policy::bundle::{Bundle, Envelope, EnvelopeError, Expected, Opened};
use sallyport_policy::name::{Digest, GatewayName, Revision};
use sallyport_policy::source::defaults::RETENTION;
use sallyport_policy::time::UnixMillis;

use tokio::sync::watch;

use crate::admin::BlockReady;
use crate::clock::Clock;
use crate::gateway::InForce;
use crate::ready::{Kit, NotReady};
use crate::run::Running;
use crate::watch::{Depth, Folders};

pub use folder::FolderError;
pub use ledger::{Ledger, LedgerError};
pub use standing::{Standing, Urge};

/// Behind the folder watch, for file systems that tell nothing and for what only time mends.
const POLL: Duration = Duration::from_secs(5);
/// A folder that is written file by file changes in several steps; this waits for the last.
const SETTLE: Duration = Duration::from_millis(50);

/// Whose policy is believed, fixed when the pod was made.
#[derive(Clone, Debug)]
pub struct Demand {
    /// The root's verifying key.
    pub root: [u8; 32],
    pub gateway: GatewayName,
    /// Of the gateway object; one made anew has another.
    pub uid: String,
}

/// The mounted folder, and what was seen of it.
#[derive(Debug)]
pub struct Supply {
    folder: PathBuf,
    demand: Demand,
    ledger: Ledger,
    clock: Arc<dyn Clock>,
    /// Digest of the envelope in force.
    in_force: Option<Digest>,
    expires: Option<UnixMillis>,
    /// The last refusal, so that a look every few seconds does not tell it again.
    told: Option<String>,
    /// The revision in force.
    revision: Option<Revision>,
    standing: watch::Sender<Standing>,
    urge: Urge,
}

/// Why what lies in the folder is not put in force; the last good policy stays.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    #[error("the manifest says generation {manifest}, the signed envelope {envelope}")]
    Generation { manifest: u64, envelope: u64 },
    #[error("the policy cannot be put in force: {0}")]
    NotReady(#[from] NotReady),
}

/// A verified envelope with its bytes.
struct Good {
    opened: Opened,
    envelope: Vec<u8>,
    digest: Digest,
}

impl Supply {
    #[must_use]
    pub fn new(folder: &Path, demand: Demand, ledger: Ledger, clock: Arc<dyn Clock>) -> Self {
        Self {
            folder: folder.to_owned(),
            demand,
            ledger,
            clock,
            in_force: None,
            expires: None,
            told: None,
            revision: None,
            standing: watch::Sender::new(Standing::default()),
            urge: Urge::default(),
        }
    }

    /// What is in force, now and after each change.
    #[must_use]
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// By which the folder is looked into at once.
    #[must_use]
    pub fn urge(&self) -> Urge {
        self.urge.clone()
    }

    /// The policy to start with: what lies in the folder, else the last good one of an earlier life, else none,
    /// which denies everything.
    pub fn first(&mut self, kit: &Kit) -> Result<InForce, NotReady> {
        // First what was kept: its generation counts as seen whatever the folder says.
        let kept = self.kept();
        if let Some(good) = &kept {
            self.ledger.saw(good.opened.header.generation);
        }
        let looked = self
            .look()
            .and_then(|good| good.map(|good| self.start_with(good, kit)).transpose());
        let remade = match looked {
            Ok(Some(ready)) => return Ok(ready),
            Ok(None) => false,
            Err(refused) => {
                self.tell(&refused);
                is_remade(&refused)
            }
        };
        match kept
            .filter(|_| !remade)
            .map(|good| self.start_with(good, kit))
        {
            Some(Ok(ready)) => {
                tracing::warn!("it is the last good policy of this pod's earlier life");
                return Ok(ready);
            }
            Some(Err(refused)) => {
                self.tell(&refused);
            }
            None => {}
        }
        kit.ready(Bundle::none(self.demand.gateway.clone()), None)
    }

    /// Whether a verified policy is in force.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        self.in_force.is_some()
    }

    /// Follows the folder for as long as the guard runs; never returns. `waiting` ends with the first good policy.
    pub async fn follow(mut self, running: &Running, mut waiting: Option<BlockReady>) {
        let folders = Folders::watch([(self.folder.as_path(), Depth::Itself)]);
        // What changed between the first look and the watch would otherwise wait for the poll.
        let mut wait = Duration::ZERO;
        loop {
            tokio::select! {
                () = folders.changed() => tokio::time::sleep(SETTLE).await,
                () = self.urge.urged() => {}
                () = tokio::time::sleep(wait) => {}
            }
            // Reading, verifying and an fsync take milliseconds: not on a thread that serves calls.
            tokio::task::block_in_place(|| self.step(running));
            self.report();
            if self.is_verified() {
                drop(waiting.take());
            }
            wait = self.until_next_look();
        }
    }

    fn step(&mut self, running: &Running) {
        self.ledger.settle();
        self.ledger.saw(self.urge.minimum());
        self.end_expired(running);
        match self.look() {
            Ok(Some(good)) => match self.put_in_force(good, running) {
                Ok(()) => self.told = None,
                Err(refused) => {
                    self.tell(&refused);
                }
            },
            Ok(None) => self.told = None,
            Err(refused) => {
                if self.tell(&refused) {
                    running.gateway.metrics.policy_rejections.inc();
                }
                if is_remade(&refused) {
                    self.deny_everything(running);
                }
            }
        }
    }

    /// What lies in the folder, verified; none where it is what is in force already.
    fn look(&self) -> Result<Option<Good>, Refused> {
        let found = folder::read(&self.folder)?;
        let digest = Digest::of(&found.envelope);
        if self.in_force == Some(digest) {
            return Ok(None);
        }
        let opened = self.open(&found.envelope)?;
        if opened.header.generation != found.generation {
            return Err(Refused::Generation {
                manifest: found.generation,
                envelope: opened.header.generation,
            });
        }
        Ok(Some(Good {
            opened,
            envelope: found.envelope,
            digest,
        }))
    }

    /// The last good envelope of an earlier life, verified like any other.
    fn kept(&self) -> Option<Good> {
        let envelope = self.ledger.kept()?;
        let opened = self
            .open(&envelope)
            .inspect_err(|error| tracing::warn!(%error, "the kept policy is of no use any more"))
            .ok()?;
        Some(Good {
            digest: Digest::of(&envelope),
            opened,
            envelope,
        })
    }

    fn open(&self, envelope: &[u8]) -> Result<Opened, EnvelopeError> {
        Envelope::open(
            envelope,
            &Expected {
                root: &self.demand.root,
                gateway: &self.demand.gateway,
                uid: &self.demand.uid,
                generation: self.ledger.seen(),
                now: self.clock.now(),
            },
        )
    }

    fn start_with(&mut self, good: Good, kit: &Kit) -> Result<InForce, Refused> {
        let ready = kit.ready(good.opened.bundle, None)?;
        self.ledger
            .keep(good.opened.header.generation, good.envelope);
        self.now_in_force(good.digest, &ready);
        Ok(ready)
    }

    /// Kept first, then in force: a crash in between may not let an older one in afterwards.
    fn put_in_force(&mut self, good: Good, running: &Running) -> Result<(), Refused> {
        let ready = running.ready(good.opened.bundle)?;
        self.ledger
            .keep(good.opened.header.generation, good.envelope);
        self.now_in_force(good.digest, &ready);
        running.adopt(ready);
        Ok(())
    }

    fn now_in_force(&mut self, digest: Digest, ready: &InForce) {
        self.in_force = Some(digest);
        self.expires = ready.bundle.expires();
        let revision = ready.bundle.revision();
        self.revision = Some(revision);
        tracing::info!(%revision, generation = self.ledger.seen(), "policy in force");
        // Whoever writes the default down has asked for nothing.
        let retention = ready.bundle.settings().recording.retention;
        if retention != RETENTION.get() {
            tracing::warn!(
                "`recording.retention` is not carried out in a pod: recordings stay in its state folder as long as that does"
            );
        }
    }

    /// The gateway was made anew: this pod was injected for the old one, whose policy no longer counts.
    fn deny_everything(&mut self, running: &Running) {
        if self.in_force.take().is_none() {
            return;
        }
        self.expires = None;
        self.revision = None;
        match running.replace(Bundle::none(self.demand.gateway.clone())) {
            Ok(()) => tracing::error!("restart required: everything is denied until then"),
            Err(error) => tracing::error!(%error, "the policy of the gateway's former self stays"),
        }
    }

    /// Decisions look at the time themselves; streams that only wait are told to look again.
    fn end_expired(&mut self, running: &Running) {
        if self.expires.is_some_and(|end| end <= self.clock.now()) {
            self.expires = None;
            self.revision = None;
            tracing::error!(
                "the policy in force has expired: everything is denied until a newer one comes"
            );
            running
                .gateway
                .changes
                .send_modify(|count| *count = count.wrapping_add(1));
        }
    }

    /// Tells the operator where it is news.
    fn report(&self) {
        let now = Standing {
            revision: self.revision,
            generation: self.ledger.seen(),
            not_after: self.expires,
            refused: self.told.clone(),
        };
        self.standing.send_if_modified(|before| {
            let news = *before != now;
            *before = now;
            news
        });
    }

    fn until_next_look(&self) -> Duration {
        let left = self.expires.map(|end| self.clock.now().until(end));
        left.map_or(POLL, |left| left.min(POLL))
    }

    /// Tells a refusal unless it was the last one told; true if it was told.
    fn tell(&mut self, refused: &Refused) -> bool {
        let text = refused.to_string();
        if self.told.as_ref() == Some(&text) {
            return false;
        }
        match refused {
            Refused::Folder(FolderError::Empty(_)) => tracing::warn!("{text}"),
            Refused::Folder(_)
            | Refused::Envelope(_)
            | Refused::Generation { .. }
            | Refused::NotReady(_) => {
                tracing::error!("the policy in the folder is not put in force: {text}");
            }
        }
        self.told = Some(text);
        true
    }
}

fn is_remade(refused: &Refused) -> bool {
    matches!(refused, Refused::Envelope(EnvelopeError::OtherUid))
}
