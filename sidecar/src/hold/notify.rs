//! Tells a command or a webhook that a request was opened.
//!
//! The message names who and what, never the arguments: it goes to chats and logs whose readers may not see
//! them. It carries no link that approves anything. A hook that fails or hangs is logged and changes nothing.

use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Uri, header};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use sallyport_policy::approval::{Scope, Terms};
use sallyport_policy::name::RequestId;
use sallyport_policy::source::Timestamp;
use serde::Serialize;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// How many announcements may wait.
const QUEUE: usize = 64;
/// A hook that takes longer is stopped.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Announcement {
    pub request: RequestId,
    pub gateway: String,
    pub requester: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    pub method: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// `Call` or `Tool`.
    pub scope: &'static str,
    pub rules: Vec<String>,
    pub opened_at: Timestamp,
    pub expires_at: Timestamp,
}

impl Announcement {
    #[must_use]
    pub fn of(request: &RequestId, terms: &Terms) -> Self {
        let key = &terms.requester.key;
        // Only names of tools and prompts: the URI of a resource may carry arguments.
        let named = matches!(terms.method.as_str(), "tools/call" | "prompts/get");
        Self {
            request: request.clone(),
            gateway: terms.gateway.to_string(),
            requester: key.subject.to_string(),
            client: key.client.as_ref().map(ToString::to_string),
            method: terms.method.clone(),
            tool: terms.target.clone().filter(|_| named),
            scope: match terms.scope {
                Scope::Call { .. } => "Call",
                Scope::Tool(_) => "Tool",
            },
            rules: terms.rules.iter().map(|rule| rule.id.to_string()).collect(),
            opened_at: Timestamp::new(terms.opened),
            expires_at: Timestamp::new(terms.expires),
        }
    }
}

/// Where announcements go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hook {
    /// A program and its arguments, without a shell; the message comes on its standard input.
    Command(Vec<String>),
    /// The message is posted there as JSON.
    Webhook(Uri),
}

/// What is wrong with the text of a hook.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HookError {
    #[error(
        "a hook is a command such as `notify-send sallyport` or a URL such as `https://example.com/hook`"
    )]
    Empty,
    #[error("`{0}` is not a URL")]
    NotAUrl(String),
}

impl std::str::FromStr for Hook {
    type Err = HookError;

    fn from_str(text: &str) -> Result<Self, HookError> {
        let text = text.trim();
        if text.starts_with("https://") || text.starts_with("http://") {
            let uri: Result<Uri, _> = text.parse();
            return uri
                .map(Self::Webhook)
                .map_err(|_| HookError::NotAUrl(text.to_owned()));
        }
        let words: Vec<String> = text.split_whitespace().map(ToOwned::to_owned).collect();
        if words.is_empty() {
            return Err(HookError::Empty);
        }
        Ok(Self::Command(words))
    }
}

/// Why a hook did not take a message.
#[derive(Debug, thiserror::Error)]
enum HookFailure {
    #[error("it took longer than {} s", PATIENCE.as_secs())]
    Slow,
    #[error("it cannot be run: {0}")]
    Run(#[from] std::io::Error),
    #[error("it ended with {0}")]
    Ended(std::process::ExitStatus),
    #[error("it cannot be reached: {0}")]
    Reach(String),
    #[error("it answered {0}")]
    Answered(http::StatusCode),
}

type Poster = Client<
    hyper_rustls::HttpsConnector<hyper_util::client::legacy::connect::HttpConnector>,
    Full<Bytes>,
>;

/// Starts the announcer: one message after the other, each within 10 s. It ends with the last sender.
#[must_use]
pub fn start(hook: Hook) -> mpsc::Sender<Announcement> {
    let (sender, mut inbox) = mpsc::channel::<Announcement>(QUEUE);
    tokio::spawn(async move {
        let poster = poster();
        while let Some(announcement) = inbox.recv().await {
            let told = timeout(PATIENCE, tell(&hook, &poster, &announcement)).await;
            if let Err(problem) = told.unwrap_or(Err(HookFailure::Slow)) {
                tracing::warn!(request = %announcement.request, %problem, "the notification hook failed");
            }
        }
    });
    sender
}

fn poster() -> Result<Poster, String> {
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(rustls::crypto::aws_lc_rs::default_provider())
        .map_err(|error| error.to_string())?
        .https_or_http()
        .enable_http1()
        .build();
    Ok(Client::builder(TokioExecutor::new()).build(connector))
}

async fn tell(
    hook: &Hook,
    poster: &Result<Poster, String>,
    announcement: &Announcement,
) -> Result<(), HookFailure> {
    let message =
        serde_json::to_vec(announcement).map_err(|error| HookFailure::Reach(error.to_string()))?;
    match hook {
        Hook::Command(words) => run(words, &message).await,
        Hook::Webhook(uri) => {
            let poster = poster
                .as_ref()
                .map_err(|error| HookFailure::Reach(error.clone()))?;
            post(poster, uri, message).await
        }
    }
}

async fn run(words: &[String], message: &[u8]) -> Result<(), HookFailure> {
    let Some((program, arguments)) = words.split_first() else {
        return Ok(());
    };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A command that does not read its input has still been told that something is there.
        stdin.write_all(message).await.ok();
    }
    let status = child.wait().await?;
    if status.success() {
        Ok(())
    } else {
        Err(HookFailure::Ended(status))
    }
}

async fn post(poster: &Poster, uri: &Uri, message: Vec<u8>) -> Result<(), HookFailure> {
    let request = Request::builder()
        .method(Method::POST)
        .uri(uri)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(message)))
        .map_err(|error| HookFailure::Reach(error.to_string()))?;
    let answer = poster.request(request).await;
    let answer = answer.map_err(|error| HookFailure::Reach(error.to_string()))?;
    if answer.status().is_success() {
        Ok(())
    } else {
        Err(HookFailure::Answered(answer.status()))
    }
}
