//! Steps that take more than a request and its answer: a call that is taken back, and a list that changes.

use std::time::Duration;

use rmcp::model::{CallToolRequest, CallToolRequestParams, ClientRequest, SubscriptionFilter};
use rmcp::service::{PeerRequestOptions, RunningService, ServiceError};
use rmcp::{RoleClient, model::ServerNotification};
use serde_json::{Value, json};

use crate::handler::{Handler, Seen};

const PATIENCE: Duration = Duration::from_secs(15);
const GLANCE: Duration = Duration::from_millis(50);

/// Calls, and takes it back at the first sign that the server is at work.
pub(crate) async fn cancel(
    client: &RunningService<RoleClient, Handler>,
    params: CallToolRequestParams,
    seen: &Seen,
) -> Result<Value, ServiceError> {
    let request = ClientRequest::CallToolRequest(CallToolRequest::new(params));
    let call = client
        .send_cancellable_request(request, PeerRequestOptions::no_options())
        .await?;
    let at_work = until(|| !seen.progress().is_empty()).await;
    call.cancel(Some("not wanted any more".into())).await?;
    Ok(json!({ "cancelled": at_work }))
}

/// Calls a tool that changes a list, and waits to hear so: in the newest revision on a subscription.
pub(crate) async fn change(
    client: &RunningService<RoleClient, Handler>,
    list: &str,
    params: CallToolRequestParams,
    seen: &Seen,
) -> Result<Value, ServiceError> {
    let modern = client
        .peer_info()
        .is_some_and(|info| info.protocol_version.as_str() >= "2026");
    if !modern {
        client.call_tool(params).await?;
        let heard = until(|| seen.changes().contains(&list)).await;
        return Ok(json!({ "heard": heard }));
    }
    let filter = SubscriptionFilter::builder().tools_list_changed().build();
    let mut subscription = client.listen(filter).await?;
    client.call_tool(params).await?;
    let heard = tokio::time::timeout(PATIENCE, subscription.next()).await;
    subscription.cancel().await?;
    let heard = matches!(
        heard,
        Ok(Ok(Some(ServerNotification::ToolListChangedNotification(_))))
    );
    Ok(json!({ "heard": heard && list == "tools" }))
}

async fn until(so: impl Fn() -> bool) -> bool {
    let waited = async {
        while !so() {
            tokio::time::sleep(GLANCE).await;
        }
    };
    tokio::time::timeout(PATIENCE, waited).await.is_ok()
}
