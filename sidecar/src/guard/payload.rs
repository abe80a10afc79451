//! What of a body goes into the recording: masked, or nothing at all; never a credential.

use bytes::Bytes;
use sallyport_policy::json::Document;
use sallyport_policy::mcp::call::Call;
use sallyport_policy::record::event::{Capture, PayloadKind};

use crate::inbound::context::Context;

/// The client's message as it may be kept.
pub(super) fn request(
    context: &Context,
    document: &Document,
    _call: &Call<'_>,
) -> Vec<(PayloadKind, Bytes)> {
    match context.policy.recording.capture {
        Capture::Metadata => Vec::new(),
        Capture::Masked => vec![(
            PayloadKind::Request,
            context.policy.masker.mask_request(document),
        )],
    }
}
