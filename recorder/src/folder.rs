//! A recording folder as files: segments in order, entries in them, payloads beside them.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use sallyport_policy::name::{Digest, SessionId};
use sallyport_policy::record::line::{self, LineKind};
use sallyport_policy::record::verify::Place;
use sallyport_policy::record::{EventRecord, PayloadRef, layout};

use crate::error::{ReadError, failed};

/// Largest payload that is read back; limits of gateways are far below.
const MAX_PAYLOAD: u64 = 1 << 30;

/// A folder with segments. Reading takes no lock: a writer only appends.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
}

/// One event with where it stands and the exact bytes that its hash is of.
#[derive(Clone, Debug)]
pub struct Entry {
    pub place: Place,
    pub hash: Digest,
    pub record: EventRecord,
    pub json: String,
}

/// A payload as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    Intact(Vec<u8>),
    Changed,
    Missing,
}

/// How far a reader has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub segment: u64,
    pub offset: u64,
}

impl Folder {
    /// # Errors
    /// There is no such folder of recordings.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        if !path.join(layout::SEGMENTS).is_dir() {
            return Err(ReadError::NoRecordings(path.to_owned()));
        }
        Ok(Self {
            path: path.to_owned(),
        })
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Numbers of the segments that are there, in order.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn segments(&self) -> Result<Vec<u64>, ReadError> {
        let path = self.path.join(layout::SEGMENTS);
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&path).map_err(failed("read", &path))? {
            let entry = entry.map_err(failed("read", &path))?;
            numbers.extend(entry.file_name().to_str().and_then(layout::segment_number));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    #[must_use]
    pub fn segment_path(&self, number: u64) -> PathBuf {
        self.path
            .join(layout::SEGMENTS)
            .join(layout::segment_file(number))
    }

    #[must_use]
    pub fn payload_path(&self, number: u64) -> PathBuf {
        self.path
            .join(layout::PAYLOADS)
            .join(layout::payload_file(number))
    }

    /// The whole text of a segment; empty where it has just been purged.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn segment(&self, number: u64) -> Result<Vec<u8>, ReadError> {
        let path = self.segment_path(number);
        match fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            read => read.map_err(failed("read", &path)),
        }
    }

    /// All readable events from `from` on, one segment after another, each with the position after it. What cannot be
    /// read is `verify`'s to tell.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn entries(&self, from: Position) -> Result<Entries<'_>, ReadError> {
        let mut segments = self.segments()?;
        segments.retain(|number| *number >= from.segment);
        Ok(Entries {
            folder: self,
            segments: segments.into_iter(),
            from,
            ready: Vec::new().into_iter(),
        })
    }

    /// The events of one session in segments `first` to `last`.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn session(
        &self,
        session: &SessionId,
        first: u64,
        last: u64,
    ) -> Result<Vec<Entry>, ReadError> {
        let mut found = Vec::new();
        for entry in self.entries(Position {
            segment: first,
            offset: 0,
        })? {
            let (entry, _) = entry?;
            if entry.place.segment > last {
                break;
            }
            if entry.record.session == *session {
                found.push(entry);
            }
        }
        Ok(found)
    }

    /// Reads a payload and compares it with its digest.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    pub fn payload(&self, payload: &PayloadRef) -> Result<Payload, ReadError> {
        if payload.length > MAX_PAYLOAD {
            return Ok(Payload::Changed);
        }
        let path = self.payload_path(payload.file);
        let file = match File::open(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Payload::Missing);
            }
            opened => opened.map_err(failed("open", &path))?,
        };
        let mut bytes = vec![0; usize::try_from(payload.length).unwrap_or(usize::MAX)];
        match file.read_exact_at(&mut bytes, payload.offset) {
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(Payload::Missing),
            Err(error) => Err(failed("read", &path)(error)),
            Ok(()) if Digest::of(&bytes) == payload.digest => Ok(Payload::Intact(bytes)),
            Ok(()) => Ok(Payload::Changed),
        }
    }
}

/// Iterates events over segments; holds one segment in memory at a time.
#[derive(Debug)]
pub struct Entries<'f> {
    folder: &'f Folder,
    segments: std::vec::IntoIter<u64>,
    from: Position,
    ready: std::vec::IntoIter<(Entry, Position)>,
}

impl Iterator for Entries<'_> {
    type Item = Result<(Entry, Position), ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(entry) = self.ready.next() {
                return Some(Ok(entry));
            }
            let number = self.segments.next()?;
            let start = if number == self.from.segment {
                self.from.offset
            } else {
                0
            };
            match self.folder.segment(number) {
                Ok(bytes) => self.ready = entries_of(number, &bytes, start).into_iter(),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

fn entries_of(number: u64, bytes: &[u8], start: u64) -> Vec<(Entry, Position)> {
    let skip = usize::try_from(start).unwrap_or(usize::MAX);
    let rest = bytes.get(skip..).unwrap_or_default();
    let mut found = Vec::new();
    for raw in line::lines(rest).filter(|raw| raw.whole) {
        let offset = start + raw.at as u64;
        let after = Position {
            segment: number,
            offset: offset + raw.text.len() as u64 + 1,
        };
        let place = Place {
            segment: number,
            offset,
        };
        found.extend(entry(raw.text, place).map(|entry| (entry, after)));
    }
    found
}

fn entry(text: &[u8], place: Place) -> Option<Entry> {
    let line = line::decode(text)
        .ok()
        .filter(|line| line.kind == LineKind::Event)?;
    Some(Entry {
        place,
        hash: line.hash,
        record: serde_json::from_slice(line.json).ok()?,
        json: String::from_utf8(line.json.to_vec()).ok()?,
    })
}
