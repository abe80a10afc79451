//! Calls written down rather than received: those of embedded tests, of `policy explain` and of `policy diff`.

use std::net::IpAddr;

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::decide::{Facts, Operation, ToolFacts};
use crate::json::{Document, JsonError, Limits};
use crate::name::{ClientId, Issuer, Subject};
use crate::principal::{Principal, ServiceAccount};
use crate::source::policy::{TestCall, TestCaller};
use crate::time::UnixMillis;

/// The subject of a caller that names none: somebody whom no policy names.
const STRANGER: &str = "sallyport:somebody";

/// A written call with its documents.
#[derive(Debug)]
pub struct OwnedCall {
    target: Target,
    arguments: Option<Document>,
    annotations: Option<Document>,
}

#[derive(Debug)]
enum Target {
    Tool(String),
    Prompt(String),
    Resource(String),
    Method(String),
}

impl OwnedCall {
    /// None where the call does not say exactly one of tool, prompt, resource and method.
    pub fn read(call: &TestCall) -> Result<Option<Self>, JsonError> {
        let targets = [
            call.tool.clone().map(Target::Tool),
            call.prompt.clone().map(Target::Prompt),
            call.resource.clone().map(Target::Resource),
            call.method.clone().map(Target::Method),
        ];
        let mut targets = targets.into_iter().flatten();
        let (Some(target), None) = (targets.next(), targets.next()) else {
            return Ok(None);
        };
        Ok(Some(Self {
            target,
            arguments: call.arguments.as_ref().map(document).transpose()?,
            annotations: call.annotations.as_ref().map(document).transpose()?,
        }))
    }

    #[must_use]
    pub fn operation(&self) -> Operation<'_> {
        let arguments = self.arguments.as_ref().map(Document::root);
        match &self.target {
            Target::Tool(name) => Operation::Tool { name, arguments },
            Target::Prompt(name) => Operation::Prompt { name, arguments },
            Target::Resource(uri) => Operation::Resource { uri },
            Target::Method(method) => Operation::Method { method },
        }
    }

    fn tool_facts(&self) -> Option<ToolFacts<'_>> {
        matches!(self.target, Target::Tool(_)).then(|| ToolFacts {
            annotations: self.annotations.as_ref().map(Document::root),
            ..ToolFacts::default()
        })
    }
}

fn document(object: &Map<String, Value>) -> Result<Document, JsonError> {
    let text = Value::Object(object.clone()).to_string();
    Document::parse(Bytes::from(text), Limits::REQUEST)
}

/// The facts of a written caller.
#[derive(Debug)]
pub struct TestFacts {
    principal: Principal,
    headers: Vec<(String, String)>,
    source: Option<IpAddr>,
}

impl TestFacts {
    /// `issuer`: of callers that name none; `scopes`: of callers that list none.
    #[must_use]
    pub fn read(caller: &TestCaller, issuer: &Issuer, scopes: &[String]) -> Self {
        let subject = caller.user.clone().unwrap_or_else(|| STRANGER.to_owned());
        let account = caller
            .service_account
            .as_ref()
            .map(|account| ServiceAccount {
                namespace: account.namespace.clone(),
                name: account.name.clone(),
            });
        let principal = Principal {
            issuer: caller
                .issuer
                .clone()
                .map_or_else(|| issuer.clone(), Issuer::new),
            subject: Subject::new(subject),
            email: caller.email.clone(),
            groups: caller.groups.iter().cloned().collect(),
            client: caller.client.clone().map(ClientId::new),
            actor: caller.actor.clone(),
            scopes: caller
                .scopes
                .as_deref()
                .unwrap_or(scopes)
                .iter()
                .cloned()
                .collect(),
            service_account: account,
            claims: caller.claims.clone(),
            expires_at: None,
            anonymous: false,
        };
        let headers = caller
            .headers
            .iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
        Self {
            principal,
            headers: headers.collect(),
            source: caller
                .address
                .as_deref()
                .and_then(|address| address.parse().ok()),
        }
    }

    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Calls `judge` with the facts, which borrow from both.
    pub fn with<T>(
        &self,
        call: &OwnedCall,
        now: UnixMillis,
        judge: impl FnOnce(&Operation<'_>, &Facts<'_>) -> T,
    ) -> T {
        let header = |name: &str| {
            let found = self.headers.iter().find(|(other, _)| other == name);
            found.map(|(_, value)| value.clone())
        };
        let facts = Facts {
            principal: &self.principal,
            now,
            source: self.source,
            header: &header,
            tool: call.tool_facts(),
        };
        judge(&call.operation(), &facts)
    }
}
