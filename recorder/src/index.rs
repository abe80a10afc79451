//! The embedded index: summaries of sessions and calls, brought up to date at each search.
//!
//! It holds nothing that the segments do not; deleting it costs one pass over them. It is trusted for finding, never
//! for proving.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, Table, TableDefinition};
use sallyport_policy::name::{Digest, SessionId};
use sallyport_policy::record::event::Event;
use sallyport_policy::record::{layout, line};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{ReadError, failed, index};
use crate::folder::{Entry, Folder, Position};
use crate::query::{CallFilter, SessionFilter};
use crate::summary::{CallSummary, SessionSummary};

const SESSIONS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("sessions");
const CALLS: TableDefinition<'_, (&str, &str), &[u8]> = TableDefinition::new("calls");
const PROGRESS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("progress");

/// How long one command waits for another's search to be over.
const PATIENCE: Duration = Duration::from_secs(5);

/// How far the index has read, and of which recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Progress {
    segment: u64,
    offset: u64,
    /// Hash of the head of that segment, so that another recording in the same place is noticed.
    header: Option<Digest>,
}

pub(crate) struct Index {
    database: Database,
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Index")
    }
}

impl Index {
    /// Opens the index of a folder and brings it up to date.
    pub(crate) fn open(folder: &Folder) -> Result<Self, ReadError> {
        let path = folder.path().join(layout::INDEX);
        let mut index = Self {
            database: open_or_remake(&path)?,
        };
        let progress = index.progress()?;
        if !progress.is_none_or(|progress| still_fits(folder, progress)) {
            drop(index);
            remove(&path)?;
            index = Self {
                database: open_or_remake(&path)?,
            };
        }
        index.refresh(folder)?;
        Ok(index)
    }

    /// Throws the index of a folder away; the next search makes it anew.
    pub(crate) fn discard(folder: &Folder) -> Result<(), ReadError> {
        remove(&folder.path().join(layout::INDEX))
    }

    /// Matching sessions, newest first.
    pub(crate) fn sessions(
        &self,
        filter: &SessionFilter,
    ) -> Result<Vec<SessionSummary>, ReadError> {
        let read = self.database.begin_read().map_err(index)?;
        let sessions = read.open_table(SESSIONS).map_err(index)?;
        let calls = read.open_table(CALLS).map_err(index)?;
        let most = if filter.limit == 0 {
            usize::MAX
        } else {
            filter.limit
        };
        let mut found = Vec::new();
        for row in sessions.iter().map_err(index)?.rev() {
            let (_, value) = row.map_err(index)?;
            let session: SessionSummary = from_json(value.value())?;
            if filter.takes(&session)
                && (filter.call.is_empty() || any_call(&calls, &session.id, &filter.call)?)
            {
                found.push(session);
            }
            if found.len() == most {
                break;
            }
        }
        Ok(found)
    }

    /// Matching calls of matching sessions, in the order of time.
    pub(crate) fn calls(&self, filter: &SessionFilter) -> Result<Vec<CallSummary>, ReadError> {
        let sessions = self.sessions(filter)?;
        let read = self.database.begin_read().map_err(index)?;
        let calls = read.open_table(CALLS).map_err(index)?;
        let mut found = Vec::new();
        for session in sessions {
            for call in calls_of(&calls, &session.id)? {
                let call = call?;
                if filter.call.takes(&call) {
                    found.push(call);
                }
            }
        }
        found.sort_by(|a, b| (a.at, &a.session, &a.call).cmp(&(b.at, &b.session, &b.call)));
        Ok(found)
    }

    fn progress(&self) -> Result<Option<Progress>, ReadError> {
        let read = self.database.begin_read().map_err(index)?;
        let table = match read.open_table(PROGRESS) {
            Ok(table) => table,
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
            Err(error) => return Err(index(error)),
        };
        let value = table.get("read").map_err(index)?;
        value.map(|value| from_json(value.value())).transpose()
    }

    /// Reads what is new, one segment a transaction.
    fn refresh(&self, folder: &Folder) -> Result<(), ReadError> {
        let mut from = self
            .progress()?
            .map_or(Position::default(), |progress| Position {
                segment: progress.segment,
                offset: progress.offset,
            });
        loop {
            let mut batch = Vec::new();
            let mut next = None;
            for entry in folder.entries(from)? {
                let (entry, after) = entry?;
                if next.is_some_and(|next: Position| next.segment != after.segment) {
                    break;
                }
                next = Some(after);
                batch.push(entry);
            }
            self.store(folder, batch, next.unwrap_or(from))?;
            match next {
                Some(next) => from = next,
                None => return Ok(()),
            }
        }
    }

    fn store(&self, folder: &Folder, batch: Vec<Entry>, next: Position) -> Result<(), ReadError> {
        let write = self.database.begin_write().map_err(index)?;
        {
            let mut sessions = write.open_table(SESSIONS).map_err(index)?;
            let mut calls = write.open_table(CALLS).map_err(index)?;
            let mut progress = write.open_table(PROGRESS).map_err(index)?;
            let mut changes = Changes::default();
            for entry in batch {
                changes.take(&entry, &sessions, &calls)?;
            }
            changes.write(&mut sessions, &mut calls)?;
            let read = Progress {
                segment: next.segment,
                offset: next.offset,
                header: header_hash(folder, next.segment)?,
            };
            progress
                .insert("read", to_json(&read)?.as_slice())
                .map_err(index)?;
        }
        write.commit().map_err(index)
    }
}

/// Summaries touched by one batch, read once and written once.
#[derive(Default)]
struct Changes {
    sessions: BTreeMap<SessionId, SessionSummary>,
    calls: BTreeMap<(SessionId, String), CallSummary>,
}

impl Changes {
    fn take(
        &mut self,
        entry: &Entry,
        sessions: &Table<'_, &'static str, &'static [u8]>,
        calls: &Table<'_, (&'static str, &'static str), &'static [u8]>,
    ) -> Result<(), ReadError> {
        let record = &entry.record;
        let segment = entry.place.segment;
        if let Event::SessionBegan(began) = &record.event {
            let summary = SessionSummary::begin(record, began, segment);
            self.sessions.insert(record.session.clone(), summary);
        } else if !self.sessions.contains_key(&record.session)
            && let Some(value) = sessions.get(record.session.as_str()).map_err(index)?
        {
            self.sessions
                .insert(record.session.clone(), from_json(value.value())?);
        }
        // Chains of writers, and sessions whose beginning was purged, are not listed.
        let Some(session) = self.sessions.get_mut(&record.session) else {
            return Ok(());
        };
        session.take(record, segment);
        let Some(call) = record.event.call() else {
            return Ok(());
        };
        let key = (record.session.clone(), call.to_string());
        if let Event::CallRequested(requested) = &record.event {
            let summary = CallSummary::begin(record, requested, session);
            self.calls.insert(key, summary);
            return Ok(());
        }
        if !self.calls.contains_key(&key)
            && let Some(value) = calls.get((key.0.as_str(), key.1.as_str())).map_err(index)?
        {
            self.calls.insert(key.clone(), from_json(value.value())?);
        }
        if let Some(call) = self.calls.get_mut(&key) {
            call.take(&record.event);
        }
        Ok(())
    }

    fn write(
        self,
        sessions: &mut Table<'_, &'static str, &'static [u8]>,
        calls: &mut Table<'_, (&'static str, &'static str), &'static [u8]>,
    ) -> Result<(), ReadError> {
        for (id, summary) in self.sessions {
            sessions
                .insert(id.as_str(), to_json(&summary)?.as_slice())
                .map_err(index)?;
        }
        for ((session, call), summary) in self.calls {
            calls
                .insert(
                    (session.as_str(), call.as_str()),
                    to_json(&summary)?.as_slice(),
                )
                .map_err(index)?;
        }
        Ok(())
    }
}

type CallRows = redb::ReadOnlyTable<(&'static str, &'static str), &'static [u8]>;

fn calls_of<'t>(
    calls: &'t CallRows,
    session: &SessionId,
) -> Result<impl Iterator<Item = Result<CallSummary, ReadError>> + use<'t>, ReadError> {
    // `~` sorts behind every call id.
    let range = (session.as_str(), "")..(session.as_str(), "~");
    let rows = calls.range(range).map_err(index)?;
    Ok(rows.map(|row| from_json(row.map_err(index)?.1.value())))
}

fn any_call(calls: &CallRows, session: &SessionId, filter: &CallFilter) -> Result<bool, ReadError> {
    for call in calls_of(calls, session)? {
        if filter.takes(&call?) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Waits for another command; what is no index any more is made anew.
fn open_or_remake(path: &Path) -> Result<Database, ReadError> {
    let step = Duration::from_millis(50);
    let mut waited = Duration::ZERO;
    let mut remade = false;
    loop {
        match Database::create(path) {
            Ok(database) => return Ok(database),
            Err(DatabaseError::DatabaseAlreadyOpen) if waited < PATIENCE => {
                std::thread::sleep(step);
                waited += step;
            }
            Err(DatabaseError::DatabaseAlreadyOpen) => {
                return Err(ReadError::Index(
                    "another command is searching; try again".to_owned(),
                ));
            }
            Err(_) if !remade => {
                remade = true;
                remove(path)?;
            }
            Err(error) => return Err(index(error)),
        }
    }
}

fn remove(path: &Path) -> Result<(), ReadError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(failed("delete", path)(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Whether what was read still stands where it was read; a segment that was purged since does not matter.
fn still_fits(folder: &Folder, progress: Progress) -> bool {
    let Ok(bytes) = folder.segment(progress.segment) else {
        return false;
    };
    bytes.is_empty()
        || (bytes.len() as u64 >= progress.offset && hash_of_header(&bytes) == progress.header)
}

fn header_hash(folder: &Folder, segment: u64) -> Result<Option<Digest>, ReadError> {
    Ok(hash_of_header(&folder.segment(segment)?))
}

fn hash_of_header(bytes: &[u8]) -> Option<Digest> {
    let first = line::lines(bytes).next()?;
    line::decode(first.text).ok().map(|line| line.hash)
}

fn to_json<T: Serialize>(value: &T) -> Result<Vec<u8>, ReadError> {
    serde_json::to_vec(value).map_err(|error| ReadError::Index(error.to_string()))
}

fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ReadError> {
    serde_json::from_slice(bytes).map_err(|error| ReadError::Index(error.to_string()))
}
