//! Answers to the API server about one object at a time: bytes in, bytes out, and facts from whoever watches.
//!
//! Nothing here waits or writes, so that a dry run is answered like any other, and every answer can be made by every
//! replica. What is not known yet is refused with a word to try again, never let through.

pub mod kinds;
pub mod parameters;
pub mod pods;
mod review;
pub mod watched;
pub mod world;

#[cfg(test)]
mod tests;

pub use review::{Answer, Verdict};
pub use watched::Watched;
pub use world::{Guard, Keeper, World};

use review::Review;

/// The largest review that is read: an object and its old self, as the API server takes them.
pub const LARGEST: usize = 10 * 1024 * 1024;

/// The answer at a path; nothing where there is no such webhook.
#[must_use]
pub fn answer(path: &str, body: &[u8], world: &dyn World) -> Option<Answer> {
    match path {
        "/mutate-pods" => Some(mutate_pods(body, world)),
        "/validate-pods" => Some(validate_pods(body, world)),
        "/validate" => Some(validate(body)),
        _ => None,
    }
}

/// `/mutate-pods`: the pod with its guard, as a patch.
#[must_use]
pub fn mutate_pods(body: &[u8], world: &dyn World) -> Answer {
    answered(body, |review| pods::mutate(review, world))
}

/// `/validate-pods`: whether the pod that all webhooks left is the guarded one.
#[must_use]
pub fn validate_pods(body: &[u8], world: &dyn World) -> Answer {
    answered(body, |review| pods::validate(review, world))
}

/// `/validate`: whether an object of our kinds is right, by the parser and compiler that `sallyport policy check` has.
#[must_use]
pub fn validate(body: &[u8]) -> Answer {
    answered(body, kinds::validate)
}

fn answered(body: &[u8], judge: impl FnOnce(&Review) -> Verdict) -> Answer {
    match Review::read(body) {
        Ok(review) => review.answer(judge(&review)),
        Err(unreadable) => unreadable,
    }
}
