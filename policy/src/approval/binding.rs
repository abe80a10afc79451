//! The digest that binds an approval to one exact call (law 19).
//!
//! An HMAC rather than a plain hash: the digest lies in files and objects that many may read, and a plain hash
//! of small arguments (a price, a name) could be guessed. Every field is written with its length, so no two
//! different calls can give the same input.

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use crate::json::{self, JsonError, Node};
use crate::name::{Digest, GatewayName};
use crate::principal::CallerKey;

/// Keeps this digest apart from every other use of the same key; changes when the encoding does.
const DOMAIN: &[u8] = b"sallyport/approval-binding/v1";

/// What the specification itself puts into `_meta`: it differs between two sendings of one call, and servers
/// do not act on it. A key that is not listed is bound, whoever invented it.
const UNBOUND_META: [&str; 9] = [
    "baggage",
    "io.modelcontextprotocol/clientCapabilities",
    "io.modelcontextprotocol/clientInfo",
    "io.modelcontextprotocol/logLevel",
    "io.modelcontextprotocol/protocolVersion",
    "io.modelcontextprotocol/subscriptionId",
    "progressToken",
    "traceparent",
    "tracestate",
];

/// The per-gateway secret under which calls are bound.
pub struct BindingKey(hmac::Key);

impl BindingKey {
    #[must_use]
    pub fn new(secret: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// A key for another purpose (masks of kind `Hash`, previews), so that no two uses share one.
    #[must_use]
    pub fn derive(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        let tag = hmac::sign(&self.0, format!("sallyport/derive/{purpose}").as_bytes());
        Zeroizing::new(*Digest::from_slice(tag.as_ref()).as_bytes())
    }
}

impl std::fmt::Debug for BindingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BindingKey")
    }
}

/// Why a call cannot be bound, hence not be held.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BindingError {
    /// The client's fault.
    #[error("the call's body cannot be brought into one spelling: {0}")]
    Body(#[from] JsonError),
    /// The client's fault: `_meta` that is not an object.
    #[error("`_meta` is not an object")]
    Meta,
}

/// Everything that an approval of one call is bound to.
#[derive(Clone, Copy, Debug)]
pub struct Binding<'a> {
    pub gateway: &'a GatewayName,
    pub caller: &'a CallerKey,
    pub method: &'a str,
    /// The tool or prompt name, or the resource's URI.
    pub target: Option<&'a str>,
    /// `params.arguments`; for methods that have none, all of `params` that the server acts on.
    pub arguments: Option<Node<'a>>,
    /// Headers of the caller that go on to the server, in any order.
    pub headers: &'a [(String, String)],
    /// `params._meta`, whole: the specification's own keys are left out here.
    pub meta: Option<Node<'a>>,
    pub pin: Option<Digest>,
    /// Digests of all hold rules that match, in any order.
    pub rules: &'a [Digest],
}

impl Binding<'_> {
    /// The digest of law 19: equal for two spellings of one call, different for any two calls.
    pub fn digest(&self, key: &BindingKey) -> Result<Digest, BindingError> {
        let mut input = Input(hmac::Context::with_key(&key.0));
        input.bytes(DOMAIN);
        input.bytes(self.gateway.namespace.as_bytes());
        input.bytes(self.gateway.name.as_bytes());
        input.caller(self.caller);
        input.bytes(self.method.as_bytes());
        input.optional(self.target.map(str::as_bytes));
        let arguments = self.arguments.map(json::canonical).transpose()?;
        input.optional(arguments.as_deref());
        input.headers(self.headers);
        input.meta(self.meta)?;
        input.optional(self.pin.as_ref().map(|pin| pin.as_bytes().as_slice()));
        input.rules(self.rules);
        Ok(Digest::from_slice(input.0.sign().as_ref()))
    }
}

/// Writes fields so that where one ends is never in doubt.
struct Input(hmac::Context);

impl Input {
    fn count(&mut self, count: usize) {
        self.0
            .update(&u64::try_from(count).unwrap_or(u64::MAX).to_be_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.0.update(bytes);
    }

    /// Absent and empty differ.
    fn optional(&mut self, bytes: Option<&[u8]>) {
        self.0.update(&[u8::from(bytes.is_some())]);
        if let Some(bytes) = bytes {
            self.bytes(bytes);
        }
    }

    fn caller(&mut self, caller: &CallerKey) {
        self.bytes(caller.issuer.as_str().as_bytes());
        self.bytes(caller.subject.as_str().as_bytes());
        self.optional(
            caller
                .client
                .as_ref()
                .map(|client| client.as_str().as_bytes()),
        );
        self.optional(caller.actor.as_ref().map(String::as_bytes));
    }

    /// Names fold because HTTP's do; the order of repeated values stays, because servers may act on it.
    fn headers(&mut self, headers: &[(String, String)]) {
        let mut sorted: Vec<(String, &str)> = headers
            .iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), value.as_str()))
            .collect();
        sorted.sort_by(|a, b| a.0.cmp(&b.0));
        self.count(sorted.len());
        for (name, value) in sorted {
            self.bytes(name.as_bytes());
            self.bytes(value.as_bytes());
        }
    }

    fn meta(&mut self, meta: Option<Node<'_>>) -> Result<(), BindingError> {
        let mut bound = Vec::new();
        if let Some(meta) = meta {
            if meta.kind() != json::Kind::Object {
                return Err(BindingError::Meta);
            }
            for (key, value) in meta.members() {
                let key = key.as_str().ok_or(BindingError::Meta)?;
                if UNBOUND_META.binary_search(&key.as_ref()).is_err() {
                    bound.push((key.into_owned(), json::canonical(value)?));
                }
            }
        }
        bound.sort();
        self.count(bound.len());
        for (key, value) in bound {
            self.bytes(key.as_bytes());
            self.bytes(&value);
        }
        Ok(())
    }

    fn rules(&mut self, rules: &[Digest]) {
        let mut sorted = rules.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        self.count(sorted.len());
        for rule in sorted {
            self.0.update(rule.as_bytes());
        }
    }
}
