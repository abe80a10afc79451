//! The way in: every door that shows content writes down first who came through it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use sallyport_policy::name::SessionId;
use sallyport_policy::record::event::{Event, ViewKind, Viewed};
use sallyport_policy::record::replay::{Pace, Step, replay};
use sallyport_policy::record::verify::Tombstones;
use sallyport_policy::record::{EventRecord, PayloadRef};
use sallyport_policy::time::UnixMillis;

use crate::audit::AuditLog;
use crate::error::ReadError;
use crate::folder::{Entry, Folder, Payload, Position};
use crate::index::Index;
use crate::query::SessionFilter;
use crate::summary::{CallSummary, SessionSummary};
use crate::verify::{Report, VerifyOptions, verify};

/// Who reads or purges, as the operating system knows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    pub user: String,
    pub uid: u32,
}

/// A folder of recordings, read by people.
#[derive(Clone)]
pub struct Recordings {
    pub(crate) folder: Folder,
    pub(crate) audit: AuditLog,
    clock: Arc<dyn Fn() -> UnixMillis + Send + Sync>,
}

impl fmt::Debug for Recordings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recordings({})", self.folder.path().display())
    }
}

impl Recordings {
    /// # Errors
    /// There are no recordings in that folder.
    pub fn open(
        path: &Path,
        clock: Arc<dyn Fn() -> UnixMillis + Send + Sync>,
    ) -> Result<Self, ReadError> {
        Ok(Self {
            folder: Folder::open(path)?,
            audit: AuditLog::of(path),
            clock,
        })
    }

    /// Matching sessions, newest first; `typed` is the search as the person wrote it.
    ///
    /// # Errors
    /// The access cannot be written down, or the folder cannot be read.
    pub fn sessions(
        &self,
        actor: &Actor,
        filter: &SessionFilter,
        typed: &str,
    ) -> Result<Vec<SessionSummary>, ReadError> {
        self.write_down(actor, ViewKind::List, None, Some(typed))?;
        Index::open(&self.folder)?.sessions(filter)
    }

    /// Matching calls of matching sessions, in the order of time.
    ///
    /// # Errors
    /// The access cannot be written down, or the folder cannot be read.
    pub fn calls(
        &self,
        actor: &Actor,
        filter: &SessionFilter,
        typed: &str,
    ) -> Result<Vec<CallSummary>, ReadError> {
        self.write_down(actor, ViewKind::List, None, Some(typed))?;
        Index::open(&self.folder)?.calls(filter)
    }

    /// One session with everything in it. The beginning of an id is enough where only one session has it.
    ///
    /// # Errors
    /// There is no such session, the access cannot be written down, or the folder cannot be read.
    pub fn session(&self, actor: &Actor, kind: ViewKind, id: &str) -> Result<Session, ReadError> {
        let summary = self.find(id)?;
        self.write_down(actor, kind, Some(&summary.id), None)?;
        let (first, last) = (summary.first_segment, summary.last_segment);
        Ok(Session {
            entries: self.folder.session(&summary.id, first, last)?,
            tombstones: self.tombstones()?,
            folder: self.folder.clone(),
            summary,
        })
    }

    /// Everything that comes from now on, for one session or all; [`Watch::next_entries`] gives it.
    ///
    /// # Errors
    /// The access cannot be written down, or the folder cannot be read.
    pub fn watch(&self, actor: &Actor, session: Option<&SessionId>) -> Result<Watch, ReadError> {
        self.write_down(actor, ViewKind::Watch, session, None)?;
        let mut watch = Watch {
            folder: self.folder.clone(),
            session: session.cloned(),
            from: Position {
                segment: self.folder.segments()?.last().copied().unwrap_or_default(),
                offset: 0,
            },
        };
        watch.next_entries()?;
        Ok(watch)
    }

    /// Verifies everything. It shows no content, so nobody is written down.
    ///
    /// # Errors
    /// A file cannot be read at all.
    pub fn verify(&self, options: VerifyOptions) -> Result<Report, ReadError> {
        verify(&self.folder, options)
    }

    /// The full id of a session of which only the beginning is given.
    ///
    /// # Errors
    /// There is none, or more than one.
    pub fn resolve(&self, id: &str) -> Result<SessionId, ReadError> {
        self.find(id).map(|summary| summary.id)
    }

    /// Who read and what was purged or held, in order.
    ///
    /// # Errors
    /// The audit chain cannot be read.
    pub fn audit(&self) -> Result<Vec<EventRecord>, ReadError> {
        self.audit.events()
    }

    pub(crate) fn find(&self, id: &str) -> Result<SessionSummary, ReadError> {
        let mut found = Index::open(&self.folder)?.sessions(&SessionFilter::default())?;
        found.retain(|session| !id.is_empty() && session.id.as_str().starts_with(id));
        match (found.pop(), found.is_empty()) {
            (Some(one), true) => Ok(one),
            (Some(_), false) => Err(ReadError::Ambiguous(id.to_owned())),
            (None, _) => Err(ReadError::NoSession(SessionId::new(id))),
        }
    }

    pub(crate) fn tombstones(&self) -> Result<Tombstones, ReadError> {
        let mut tombstones = Tombstones::default();
        for record in self.audit.events()? {
            if let Event::Purged(purged) = &record.event {
                tombstones.add(purged);
            }
        }
        Ok(tombstones)
    }

    pub(crate) fn now(&self) -> UnixMillis {
        (self.clock)()
    }

    fn write_down(
        &self,
        actor: &Actor,
        kind: ViewKind,
        session: Option<&SessionId>,
        query: Option<&str>,
    ) -> Result<(), ReadError> {
        let viewed = Viewed {
            user: actor.user.clone(),
            uid: actor.uid,
            kind,
            session: session.cloned(),
            query: query.map(|text| text.chars().take(1000).collect()),
        };
        self.audit
            .append(Event::Viewed(viewed), self.now())
            .map(|_| ())
    }
}

/// One session, read.
#[derive(Debug)]
pub struct Session {
    pub summary: SessionSummary,
    entries: Vec<Entry>,
    tombstones: Tombstones,
    folder: Folder,
}

impl Session {
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The events at the pace at which they happened.
    pub fn replay(&self, pace: Pace) -> impl Iterator<Item = Step> {
        replay(self.entries.iter().map(|entry| entry.record.clone()), pace)
    }

    /// # Errors
    /// The payload's file cannot be read.
    pub fn payload(&self, payload: &PayloadRef) -> Result<Payload, ReadError> {
        self.folder.payload(payload)
    }

    /// Whether the payloads of that event were purged by order.
    #[must_use]
    pub fn is_purged(&self, record: &EventRecord) -> bool {
        self.tombstones.covers(&record.session, record.seq)
    }
}

/// Follows a recording while it grows.
#[derive(Debug)]
pub struct Watch {
    folder: Folder,
    session: Option<SessionId>,
    from: Position,
}

impl Watch {
    /// What has come since the last time; ask again after a while.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn next_entries(&mut self) -> Result<Vec<Entry>, ReadError> {
        let mut found = Vec::new();
        for entry in self.folder.entries(self.from)? {
            let (entry, after) = entry?;
            self.from = after;
            if self
                .session
                .as_ref()
                .is_none_or(|wanted| entry.record.session == *wanted)
            {
                found.push(entry);
            }
        }
        Ok(found)
    }
}
