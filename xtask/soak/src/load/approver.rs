//! The second person: decides each request as the held call itself says.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use sallyport_policy::approval::Verdict;
use sallyport_policy::approval::object::RequestObject;
use sallyport_policy::name::RequestId;
use sallyport_policy::source::access::Phase;
use sallyport_sidecar::hold::client::{Client, preview_digest};
use sallyport_sidecar::hold::protocol::Word;

use super::plan::Target;

/// How long this approver thinks.
const THINKS: Duration = Duration::from_millis(120);

/// Decides until the end of the run; a guard that is away is looked for again.
pub(crate) async fn run(target: Arc<Target>, until: Instant) {
    while Instant::now() < until + Duration::from_secs(10) {
        if watch(&target).await.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

async fn watch(target: &Arc<Target>) -> Result<()> {
    let mut watching = Client::connect(&target.state).await?.watch().await?;
    while let Some(request) = watching.next().await? {
        let pending = request
            .status
            .as_ref()
            .is_none_or(|status| status.phase == Some(Phase::Pending));
        let Some(verdict) = verdict(&request).filter(|_| pending) else {
            continue;
        };
        let word = Word {
            name: RequestId::new(request.metadata.name.as_str()),
            verdict,
            by: "bob@example.com".into(),
            groups: vec!["leads".into()],
            reason: Some("the soak says so".into()),
            preview_digest: preview_digest(&request),
        };
        tokio::spawn(speak(Arc::clone(target), word));
    }
    Ok(())
}

/// A guard that is killed meanwhile asks again, or the request expires.
async fn speak(target: Arc<Target>, word: Word) -> Option<()> {
    tokio::time::sleep(THINKS).await;
    let mut client = Client::connect(&target.state).await.ok()?;
    client.review(word).await.ok()?;
    Some(())
}

/// What the held call wants to come of it; none: nobody decides.
fn verdict(request: &RequestObject) -> Option<Verdict> {
    let preview = request.spec.call.preview.as_deref()?;
    if preview.contains("please-approve") {
        Some(Verdict::Approve)
    } else if preview.contains("please-deny") {
        Some(Verdict::Deny)
    } else {
        None
    }
}
