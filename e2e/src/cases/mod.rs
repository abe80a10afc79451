//! The cases, each a story with outcomes, named by what it shows.

mod guarded;
mod push;

use anyhow::Result;

use crate::bed::Bed;
use crate::stage::Stage;

/// One story.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) shows: &'static str,
    pub(crate) run: fn(&mut Stage, &Bed) -> Result<()>,
}

pub(crate) const ALL: &[Case] = &[
    Case {
        name: "an-unchanged-server-is-guarded",
        shows: "a server's image as its authors ship it, one gateway, one policy, an official client",
        run: guarded::run,
    },
    Case {
        name: "a-changed-policy-is-in-force",
        shows: "kubectl apply of a policy, while calls flow, until every pod enforces it",
        run: push::run,
    },
];
