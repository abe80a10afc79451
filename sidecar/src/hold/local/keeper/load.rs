//! What the keeper finds when it starts.
//!
//! A file that cannot be read gives nobody anything, so it is told and left out: the worst that follows is that
//! somebody is asked again.

use std::collections::BTreeMap;

use sallyport_policy::approval::object::{RequestObject, ReviewObject, restore};
use sallyport_policy::approval::{Outcome, Voice};
use sallyport_policy::name::{CallId, RequestId};
use tokio::sync::watch;

use super::{Entry, Keeper, status_of};
use crate::hold::desk::StoreError;

impl Keeper {
    pub(super) fn load(&mut self) -> Result<(), StoreError> {
        let contents = self.store.load()?;
        for problem in &contents.unreadable {
            tracing::warn!(%problem, "an approval file is left out; nothing in it gives anybody anything");
        }
        let mut reviews: BTreeMap<String, Vec<ReviewObject>> = BTreeMap::new();
        for review in contents.reviews {
            let of = review.spec.request_ref.name.clone();
            reviews.entry(of).or_default().push(review);
        }
        for object in contents.requests {
            let reviews = reviews.remove(&object.metadata.name).unwrap_or_default();
            self.load_request(&object, reviews);
        }
        Ok(())
    }

    fn load_request(&mut self, object: &RequestObject, reviews: Vec<ReviewObject>) {
        let id = RequestId::new(object.metadata.name.as_str());
        let now = self.now();
        let voices: Result<Vec<Voice>, _> = reviews
            .iter()
            .map(|review| review.to_voice(&self.issuers))
            .collect();
        let restored = voices.and_then(|voices| restore(object, voices, now));
        let (case, refusals) = match restored {
            Ok(restored) => restored,
            Err(problem) => {
                tracing::warn!(request = %id, %problem, "a request is left out; nothing in it gives anybody anything");
                return;
            }
        };
        for refusal in refusals {
            tracing::warn!(request = %id, %refusal, "a stored review does not count");
        }
        let version = object.metadata.resource_version.parse().unwrap_or(0);
        let entry = Entry {
            status: watch::Sender::new(status_of(&case)),
            case,
            version,
            reviews,
        };
        self.entries.insert(id.clone(), entry);
        self.live.insert(id);
    }

    /// Nobody waits for these any more: the process that ran them is gone.
    pub(super) fn end_orphans(&mut self) -> Result<(), StoreError> {
        let now = self.now();
        let ids: Vec<RequestId> = self.entries.keys().cloned().collect();
        for id in ids {
            let Some(entry) = self.entries.get(&id) else {
                continue;
            };
            let mut case = entry.case.clone();
            let orphans: Vec<CallId> = case
                .uses()
                .iter()
                .filter(|open| open.ended.is_none() && open.continuation.is_none())
                .map(|open| open.call.clone())
                .collect();
            for orphan in &orphans {
                case.finish(orphan, Outcome::Unknown, now);
            }
            if !orphans.is_empty() {
                self.commit(&id, case)?;
            }
        }
        self.sweep();
        Ok(())
    }
}
