//! Requests as the files of a state folder tell them, where no guard runs that could be asked.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use sallyport_policy::approval::object::RequestObject;
use sallyport_policy::source::access::Phase;
use sallyport_policy::time::UnixMillis;

use crate::output::{Failure, say};

/// No file of ours comes near this.
const FILE_LIMIT: u64 = 4 << 20;

/// All requests, oldest first. A file that cannot be read is told and left out.
pub(super) fn read(state: &Path, now: UnixMillis) -> Result<Vec<RequestObject>, Failure> {
    let folder = state.join("requests");
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            return Err(Failure::outside(format!("`{}`: {error}", folder.display())));
        }
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        match object(&path) {
            Ok(object) => found.push(as_of(object, now)),
            Err(error) => say(&format!("`{}` is left out: {error}", path.display())),
        }
    }
    found.sort_by_key(|object| {
        let made = object.metadata.creation_timestamp;
        (made, object.metadata.name.clone())
    });
    Ok(found)
}

/// The files are JSON that is also YAML.
fn object(path: &Path) -> io::Result<RequestObject> {
    let mut text = Vec::new();
    File::open(path)?.take(FILE_LIMIT).read_to_end(&mut text)?;
    serde_json::from_slice(&text).map_err(io::Error::other)
}

/// Nobody has written down what time alone has ended since.
fn as_of(mut object: RequestObject, now: UnixMillis) -> RequestObject {
    let expires = object.spec.expires_at.get();
    if let Some(status) = &mut object.status {
        let end = match status.phase {
            Some(Phase::Pending) => Some(expires),
            Some(Phase::Approved) => status.grant_ends_at.map(|end| end.get()),
            Some(
                Phase::Denied
                | Phase::Expired
                | Phase::Withdrawn
                | Phase::Consumed
                | Phase::Revoked,
            )
            | None => None,
        };
        if end.is_some_and(|end| end <= now) {
            status.phase = Some(Phase::Expired);
        }
    }
    object
}
