//! The cases, each a story with outcomes, named by what it shows.

mod alone;
mod around;
mod guarded;
mod killed;
mod kinds;
mod programmed;
mod push;
mod tampered;
mod uninstalled;

use anyhow::Result;

use crate::bed::Bed;
use crate::stage::Stage;

/// One story.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) shows: &'static str,
    /// Whether Sallyport must be installed for it.
    pub(crate) installed: bool,
    pub(crate) run: fn(&mut Stage, &Bed) -> Result<()>,
}

pub(crate) const ALL: &[Case] = &[
    Case {
        name: "the-kinds-are-accepted",
        shows: "our definitions, and every example of them, on the API server itself",
        installed: false,
        run: kinds::run,
    },
    Case {
        name: "an-unchanged-server-is-guarded",
        shows: "a server's image as its authors ship it, one gateway, one policy, an official client",
        installed: true,
        run: guarded::run,
    },
    Case {
        name: "a-changed-policy-is-in-force",
        shows: "kubectl apply of a policy, while calls flow, until every pod enforces it",
        installed: true,
        run: push::run,
    },
    Case {
        name: "every-pod-says-what-it-enforces",
        shows: "a gateway with several pods, and its status after each change",
        installed: true,
        run: programmed::run,
    },
    Case {
        name: "a-tampered-policy-opens-nothing",
        shows: "the policy's ConfigMaps changed behind an absent operator's back",
        installed: true,
        run: tampered::run,
    },
    Case {
        name: "a-killed-sidecar-opens-nothing",
        shows: "kill -9 while strangers knock at the pod's addresses",
        installed: true,
        run: killed::run,
    },
    Case {
        name: "calls-go-on-without-the-operator",
        shows: "every replica killed while an official client calls",
        installed: true,
        run: alone::run,
    },
    Case {
        name: "nobody-gets-around-the-sidecar",
        shows: "an enforced namespace, tried from another pod and with the role edit",
        installed: true,
        run: around::run,
    },
    Case {
        name: "an-uninstall-leaves-nothing-unguarded",
        shows: "helm uninstall below a guarded pod, and the release put back",
        installed: true,
        run: uninstalled::run,
    },
];
