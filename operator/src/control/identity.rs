//! Whose stream it is: the API server says of which pod the token is, the index says what that pod was injected for.

use std::time::Duration;

use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, TokenReviewStatus};
use kube::api::PostParams;
use kube::{Api, Client};
use sallyport_policy::control::{AUDIENCE, Hello};

use super::Caller;
use crate::index::ObjectName;
use crate::watch::Shared;

/// What the API server adds to the identity of a pod-bound token.
const POD_NAME: &str = "authentication.kubernetes.io/pod-name";
const POD_UID: &str = "authentication.kubernetes.io/pod-uid";
const SERVICE_ACCOUNT: &str = "system:serviceaccount:";
/// How long a pod may be unknown here that the API server knows: our cache comes a little later.
const CACHE_LAG: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Why a stream is not taken in.
#[derive(Debug, thiserror::Error)]
pub enum NotKnown {
    #[error("the API server does not answer: {0}")]
    Api(#[from] kube::Error),
    #[error("the token is not good: {0}")]
    BadToken(String),
    #[error("the token is not bound to a pod")]
    NotBound,
    #[error("pod `{0}` is not there")]
    NoPod(ObjectName),
    #[error("pod `{0}` was not injected for this gateway")]
    OtherGateway(ObjectName),
}

/// The pod that a token is bound to.
#[derive(Debug, PartialEq, Eq)]
struct Bound {
    namespace: String,
    service_account: String,
    pod: String,
    uid: String,
}

/// Who says hello, verified.
pub async fn known(client: &Client, shared: &Shared, hello: &Hello) -> Result<Caller, NotKnown> {
    let bound = review(client, &hello.token).await?;
    let name = ObjectName::new(&bound.namespace, &bound.pod);
    let pod = until_there(shared, &name, &bound.uid)
        .await
        .ok_or_else(|| NotKnown::NoPod(name.clone()))?;
    let gateway = ObjectName::from(&hello.gateway);
    let injected = pod.binding.as_ref().is_some_and(|binding| {
        binding.gateway == hello.gateway
            && binding.uid == hello.uid
            && binding.gateway.namespace == bound.namespace
    });
    if !injected || pod.service_account != bound.service_account {
        return Err(NotKnown::OtherGateway(name));
    }
    Ok(Caller {
        pod: name,
        pod_uid: bound.uid,
        gateway,
        gateway_uid: hello.uid.clone(),
        version: hello.version.clone(),
    })
}

async fn review(client: &Client, token: &str) -> Result<Bound, NotKnown> {
    let api: Api<TokenReview> = Api::all(client.clone());
    let review = TokenReview {
        spec: TokenReviewSpec {
            token: Some(token.to_owned()),
            audiences: Some(vec![AUDIENCE.to_owned()]),
        },
        ..TokenReview::default()
    };
    let answer = api.create(&PostParams::default(), &review).await?;
    bound(answer.status.unwrap_or_default())
}

fn bound(status: TokenReviewStatus) -> Result<Bound, NotKnown> {
    let ours = status.audiences.iter().flatten().any(|one| one == AUDIENCE);
    if status.authenticated != Some(true) || !ours {
        let why = status.error.unwrap_or_else(|| "not for us".to_owned());
        return Err(NotKnown::BadToken(why));
    }
    let user = status.user.unwrap_or_default();
    let account = user.username.as_deref().and_then(|name| {
        let (namespace, account) = name.strip_prefix(SERVICE_ACCOUNT)?.split_once(':')?;
        Some((namespace.to_owned(), account.to_owned()))
    });
    let extra = user.extra.unwrap_or_default();
    let one = |key: &str| extra.get(key).and_then(|values| values.first()).cloned();
    match (account, one(POD_NAME), one(POD_UID)) {
        (Some((namespace, service_account)), Some(pod), Some(uid)) => Ok(Bound {
            namespace,
            service_account,
            pod,
            uid,
        }),
        _ => Err(NotKnown::NotBound),
    }
}

async fn until_there(
    shared: &Shared,
    name: &ObjectName,
    uid: &str,
) -> Option<std::sync::Arc<crate::index::Pod>> {
    let look = || {
        let found = shared.read().pods.find(name).cloned();
        found.filter(|pod| pod.uid() == uid)
    };
    let waiting = async {
        loop {
            if let Some(pod) = look() {
                return pod;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    tokio::time::timeout(CACHE_LAG, waiting).await.ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use k8s_openapi::api::authentication::v1::UserInfo;

    use super::*;

    fn status(username: &str, extra: &[(&str, &str)], audience: &str) -> TokenReviewStatus {
        let extra: BTreeMap<_, _> = extra
            .iter()
            .map(|(key, value)| ((*key).to_owned(), vec![(*value).to_owned()]))
            .collect();
        TokenReviewStatus {
            audiences: Some(vec![audience.to_owned()]),
            authenticated: Some(true),
            error: None,
            user: Some(UserInfo {
                username: Some(username.to_owned()),
                extra: Some(extra),
                ..UserInfo::default()
            }),
        }
    }

    #[test]
    fn only_a_token_of_our_audience_that_is_bound_to_a_pod_names_somebody() {
        let pod = [(POD_NAME, "inventory-0"), (POD_UID, "u1")];
        let user = "system:serviceaccount:shop:default";
        let rows = [
            ("a pod's own", status(user, &pod, AUDIENCE), true),
            ("of another audience", status(user, &pod, "vault"), false),
            ("not bound", status(user, &[], AUDIENCE), false),
            (
                "bound by name only",
                status(user, &pod[..1], AUDIENCE),
                false,
            ),
            ("a person's", status("ada", &pod, AUDIENCE), false),
            (
                "not authenticated",
                TokenReviewStatus {
                    authenticated: None,
                    ..status(user, &pod, AUDIENCE)
                },
                false,
            ),
        ];
        for (name, status, good) in rows {
            assert_eq!(bound(status).is_ok(), good, "{name}");
        }
    }
}
