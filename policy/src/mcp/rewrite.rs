//! Renumbering and unwrapping of a message on its way through a bridge, by splice.
//!
//! A child process serves one caller's messages at a time from several connections, whose ids and tokens coincide
//! (law 17, traps 40 and 42); and what is ours in a repeated call must not reach the server.

use bytes::Bytes;

use super::era::META_SUBSCRIPTION;
use super::message::Id;
use crate::json::{Node, Splice};

/// What to put in place of what is there; what is not there is not added.
#[derive(Clone, Copy, Debug, Default)]
pub struct Renumber<'a> {
    /// The message's own id.
    pub id: Option<&'a Id>,
    /// Of a request's `_meta`, or of `notifications/progress`.
    pub progress_token: Option<&'a Id>,
    /// The request that `notifications/cancelled` names.
    pub cancelled: Option<&'a Id>,
    /// `subscriptionId` of a notification or of a listen result.
    pub subscription: Option<&'a Id>,
}

/// The message with other numbers.
#[must_use]
pub fn renumber(message: Node<'_>, with: Renumber<'_>) -> Bytes {
    let params = message.get("params");
    let meta = params.and_then(|params| params.get("_meta"));
    let result_meta = message.get("result").and_then(|result| result.get("_meta"));
    let mut splice = Splice::new();
    let mut set = |holder: Option<Node<'_>>, member: &str, id: Option<&Id>| {
        if let (Some(found), Some(id)) = (holder.and_then(|holder| holder.get(member)), id) {
            splice.replace(found, id.to_json());
        }
    };
    set(Some(message), "id", with.id);
    set(params, "progressToken", with.progress_token);
    set(meta, "progressToken", with.progress_token);
    set(params, "requestId", with.cancelled);
    set(meta, META_SUBSCRIPTION, with.subscription);
    set(result_meta, META_SUBSCRIPTION, with.subscription);
    splice.apply(message.document())
}

/// A repeated call without our own `requestState`, and without the answers that came with it. None: nothing of
/// the kind is there.
#[must_use]
pub fn without_state(message: Node<'_>) -> Option<Bytes> {
    let params = message.get("params")?;
    let mut splice = Splice::new();
    splice.remove_member(params, "requestState");
    splice.remove_member(params, "inputResponses");
    super::list::applied(splice, message)
}

/// Begins the names of our own marks (law 18).
const OURS: &str = "dev.sallyport/";

/// A message of either side without members under our own names: only we say what was approved, denied or masked, and
/// neither a server nor a client may be made to believe that we said it. None: nothing of the kind is there.
#[must_use]
pub fn without_our_marks(message: Node<'_>) -> Option<Bytes> {
    let mut splice = Splice::new();
    for (body, holder) in [("params", "_meta"), ("result", "_meta"), ("error", "data")] {
        let Some(holder) = message.get(body).and_then(|body| body.get(holder)) else {
            continue;
        };
        for (key, _) in holder.members() {
            let key = key.as_str().unwrap_or_default();
            if key.starts_with(OURS) {
                splice.remove_member(holder, &key);
            }
        }
    }
    super::list::applied(splice, message)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{document, request};
    use super::*;

    #[test]
    fn law_17_ids_tokens_and_subscriptions_are_rewritten_and_nothing_else() {
        let id = Id::text("c-9");
        let every = Renumber {
            id: Some(&id),
            progress_token: Some(&id),
            cancelled: Some(&id),
            subscription: Some(&id),
        };
        for (before, after) in [
            (
                r#"{"id": 1,"params":{"_meta":{"progressToken":1},"arguments":{"id":1,"progressToken":1}}}"#,
                r#"{"id": "c-9","params":{"_meta":{"progressToken":"c-9"},"arguments":{"id":1,"progressToken":1}}}"#,
            ),
            (
                r#"{"params":{"progressToken":1,"progress":1e0}}"#,
                r#"{"params":{"progressToken":"c-9","progress":1e0}}"#,
            ),
            (
                r#"{"params":{"requestId":"1"}}"#,
                r#"{"params":{"requestId":"c-9"}}"#,
            ),
            (
                r#"{"result":{"_meta":{"io.modelcontextprotocol/subscriptionId":1}}}"#,
                r#"{"result":{"_meta":{"io.modelcontextprotocol/subscriptionId":"c-9"}}}"#,
            ),
            (r#"{"method":"ping"}"#, r#"{"method":"ping"}"#),
        ] {
            let message = document(before);
            assert_eq!(renumber(message.root(), every), after);
            assert_eq!(renumber(message.root(), Renumber::default()), before);
        }
    }

    #[test]
    fn law_20_our_own_request_state_never_reaches_the_server() {
        let repeated = request(
            "tools/call",
            r#"{"name":"t","requestState":"ours","arguments":{"requestState":1}}"#,
        );
        let sent = without_state(repeated.root()).unwrap();
        let expected = request(
            "tools/call",
            r#"{"name":"t","arguments":{"requestState":1}}"#,
        );
        assert_eq!(&sent, expected.bytes());
        assert_eq!(without_state(expected.root()), None);
    }

    #[test]
    fn law_18_nobody_else_speaks_under_our_names() {
        for (before, after) in [
            (
                r#"{"params":{"_meta":{"dev.sallyport/approval":{"status":"approved"},"vendor/x": 1},"arguments":{"dev.sallyport/approval":1}}}"#,
                Some(
                    r#"{"params":{"_meta":{"vendor/x": 1},"arguments":{"dev.sallyport/approval":1}}}"#,
                ),
            ),
            (
                r#"{"result":{"_meta":{"dev.sallyport/redacted":[],"\u0064ev.sallyport/denied":{}},"content":[]}}"#,
                Some(r#"{"result":{"_meta":{},"content":[]}}"#),
            ),
            (
                r#"{"error":{"code":1,"message":"m","data":{"dev.sallyport/retryAfter":9}}}"#,
                Some(r#"{"error":{"code":1,"message":"m","data":{}}}"#),
            ),
            (
                r#"{"error":{"code":1,"message":"m","data":"dev.sallyport/denied"}}"#,
                None,
            ),
            (r#"{"result":{"_meta":{"dev.sallyportx":1}}}"#, None),
        ] {
            let message = document(before);
            let found = without_our_marks(message.root());
            assert_eq!(found.as_deref(), after.map(str::as_bytes), "{before}");
        }
    }
}
