//! Approvals as people meet them: list and watch requests, approve, deny, revoke, ask ahead, withdraw.
//!
//! Everything that changes something is said over the approval socket of the running guard, which alone decides
//! whether it counts. Files of the state folder are only read, and only where no guard runs.

mod files;
mod request;
mod requests;
mod review;
mod show;
mod withdraw;

use std::io;
use std::path::Path;

use sallyport_policy::approval::object::RequestObject;
use sallyport_sidecar::hold::client::{Client, ClientError};
use sallyport_sidecar::hold::protocol::{FaultCode, Seen};

use crate::output::{Failure, Format, put, put_value};

pub(crate) use request::{RequestArgs, request};
pub(crate) use requests::{RequestsArgs, requests};
pub(crate) use review::{ApproveArgs, VoiceArgs, approve, deny, revoke};
pub(crate) use withdraw::{WithdrawArgs, withdraw};

async fn connect(state: &Path) -> Result<Client, Failure> {
    Client::connect(state).await.map_err(failed)
}

/// Whose fault it is, as an exit code.
fn failed(error: ClientError) -> Failure {
    match error {
        ClientError::NotServed { path, error }
            if error.kind() == io::ErrorKind::PermissionDenied =>
        {
            Failure::outside(format!(
                "this account may not use `{path}`; approvers are the account that runs the guard, or those of its --approver-group"
            ))
        }
        ClientError::Fault(fault) => match fault.code {
            FaultCode::UnknownRequest | FaultCode::Refused => Failure::no(fault.message),
            FaultCode::NotAQuestion => Failure::usage(fault.message),
            FaultCode::Unavailable => Failure::outside(fault.message),
        },
        other @ (ClientError::NotServed { .. }
        | ClientError::HungUp(_)
        | ClientError::Strange(_)) => Failure::outside(other.to_string()),
    }
}

/// What became of a request after somebody's word.
fn put_outcome(seen: &Seen, output: Format) -> Result<(), Failure> {
    match output {
        Format::Table => put(&show::outcome(seen)),
        Format::Json | Format::Yaml => put_value(&seen.request, output),
    }
}

/// Whether there is no guard to ask, as opposed to one that cannot be asked.
fn is_absent(error: &ClientError) -> bool {
    match error {
        ClientError::NotServed { error, .. } => matches!(
            error.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
        ),
        ClientError::HungUp(_) | ClientError::Strange(_) | ClientError::Fault(_) => false,
    }
}

/// The phase, in its kind's own word, and how the last use ended.
fn phase_text(request: &RequestObject) -> String {
    let status = request.status.as_ref();
    let Some(phase) = status.and_then(|status| status.phase) else {
        return "-".to_owned();
    };
    match status.and_then(|status| status.outcome) {
        Some(outcome) => format!("{phase:?} ({outcome:?})"),
        None => format!("{phase:?}"),
    }
}
