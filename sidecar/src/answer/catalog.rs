//! The tools that the server says it has, as it last said so, and whether their definitions are the reviewed ones.
//!
//! A call to a tool that has not been listed lists first (law 29): without the definition there is neither a pin nor a
//! schema to judge by. What was reviewed is kept in the state folder and read again when a person changes it there.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use sallyport_policy::decide::ToolFacts;
use sallyport_policy::json::{Document, Limits, Node, quote};
use sallyport_policy::mcp::era::{META_CAPABILITIES, META_VERSION};
use sallyport_policy::mcp::header_schema::{ParamHeader, declared};
use sallyport_policy::mcp::list;
use sallyport_policy::mcp::message::{Id, Message, Outcome};
use sallyport_policy::mcp::method::Surface;
use sallyport_policy::mcp::revision::Revision;
use sallyport_policy::name::Digest;
use sallyport_policy::pin::{Definition, PinVerdict};
use tokio::time::{Instant, timeout};

use super::collect_answer;
use super::pins::PinFile;
use crate::gateway::PinMode;
use crate::guard::ask_for_list;
use crate::inbound::context::Context;
use crate::upstream::UpstreamError;

/// Most pages of one list.
const MOST_PAGES: usize = 100;
/// How long the server may take to list everything; callers of unlisted tools wait for it.
const LISTING: Duration = Duration::from_secs(30);
/// After a whole list, how long an unlisted tool is believed not to exist.
const BELIEVED: Duration = Duration::from_secs(5);

/// One tool as the server defines it.
#[derive(Debug)]
pub struct ToolEntry {
    definition: Document,
    properties: Vec<String>,
    mirrored: Vec<ParamHeader>,
    output_schema: Option<serde_json::Value>,
    digest: Digest,
    trusted: bool,
}

type Tools = HashMap<Revision, HashMap<String, Arc<ToolEntry>>>;

/// What is known of the server's tools, by protocol revision.
#[derive(Debug)]
pub struct Catalog {
    tools: ArcSwap<Tools>,
    pins: Mutex<PinFile>,
    /// When each revision's list was last read whole; the lock lets one call at a time read it.
    listed: tokio::sync::Mutex<HashMap<Revision, Instant>>,
    /// Set when the server says that its list changed.
    stale: std::sync::atomic::AtomicBool,
}

impl ToolEntry {
    fn of(node: Node<'_>, definition: &Definition, trusted: bool) -> Option<Self> {
        let bytes = Bytes::copy_from_slice(node.raw());
        let document = Document::parse(bytes, Limits::RESPONSE).ok()?;
        let root = document.root();
        let schema = root.get("inputSchema");
        let mut properties = BTreeSet::new();
        if let Some(schema) = schema {
            property_names(schema, &mut properties);
        }
        let mirrored = match schema.map(declared) {
            Some(Ok(mirrored)) => mirrored,
            Some(Err(error)) => {
                tracing::warn!(tool = definition.name(), %error, "mirrored arguments of this tool are not checked");
                Vec::new()
            }
            None => Vec::new(),
        };
        let output_schema = root.get("outputSchema").map(Node::to_value);
        Some(Self {
            properties: properties.into_iter().collect(),
            mirrored,
            output_schema,
            digest: definition.digest(),
            trusted,
            definition: document,
        })
    }

    /// What the evaluator may know of the tool.
    pub fn facts(&self) -> ToolFacts<'_> {
        ToolFacts {
            annotations: self.definition.root().get("annotations"),
            input_properties: &self.properties,
            pin: Some(self.digest),
        }
    }

    pub fn mirrored(&self) -> &[ParamHeader] {
        &self.mirrored
    }

    pub fn output_schema(&self) -> Option<&serde_json::Value> {
        self.output_schema.as_ref()
    }

    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Whether its definition is not the reviewed one and the gateway wants that to count.
    pub fn is_quarantined(&self, mode: PinMode) -> bool {
        match mode {
            PinMode::Quarantine => !self.trusted,
            PinMode::Alert | PinMode::Disabled => false,
        }
    }
}

/// Every property name that the schema declares, at any depth: law 4 compares keys with all of them.
fn property_names(schema: Node<'_>, names: &mut BTreeSet<String>) {
    for (key, value) in schema.members() {
        if key.as_str().is_some_and(|key| key == "properties") {
            names.extend(
                value
                    .members()
                    .filter_map(|(name, _)| name.as_str())
                    .map(std::borrow::Cow::into_owned),
            );
        }
        property_names(value, names);
    }
    for element in schema.elements() {
        property_names(element, names);
    }
}

impl Catalog {
    /// Reads what was trusted before; `path` is written when something new is.
    pub fn open(path: PathBuf) -> std::io::Result<Self> {
        Ok(Self {
            tools: ArcSwap::default(),
            pins: Mutex::new(PinFile::open(path)?),
            listed: tokio::sync::Mutex::default(),
            stale: std::sync::atomic::AtomicBool::new(false),
        })
    }

    /// The tool of this name, listed first if need be; none if the server lists no such tool.
    ///
    /// # Errors
    /// The list cannot be read now; what was known before is not believed instead.
    pub async fn entry(
        &self,
        context: &Context,
        name: &str,
    ) -> Result<Option<Arc<ToolEntry>>, UpstreamError> {
        let fresh = !self.stale.load(std::sync::atomic::Ordering::Acquire);
        if fresh
            && let Some(entry) = self.known(context.revision, name)
            && (entry.trusted || !self.pins().changed_on_disk())
        {
            return Ok(Some(entry));
        }
        self.list(context).await?;
        Ok(self.known(context.revision, name))
    }

    /// What is known now, without asking.
    pub fn known(&self, revision: Revision, name: &str) -> Option<Arc<ToolEntry>> {
        self.tools.load().get(&revision)?.get(name).cloned()
    }

    /// The definitions of a tool that calls may be made by now, whatever revision shows them; those trusted before
    /// this start where nobody has listed since.
    pub fn definitions(&self, name: &str, mode: PinMode) -> BTreeMap<Digest, Document> {
        let tools = self.tools.load();
        let listed: Vec<_> = tools.values().filter_map(|tools| tools.get(name)).collect();
        if !listed.is_empty() {
            let open = listed.iter().filter(|entry| !entry.is_quarantined(mode));
            return open
                .map(|entry| (entry.digest, entry.definition.clone()))
                .collect();
        }
        let pins = self.pins();
        let trusted = pins.book().all_trusted();
        trusted
            .filter(|(tool, _, _)| *tool == name)
            .filter_map(|(_, _, pin)| {
                let text = Bytes::copy_from_slice(pin.definition().as_bytes());
                let definition = Document::parse(text, Limits::RESPONSE).ok()?;
                Some((pin.digest(), definition))
            })
            .collect()
    }

    /// The server said that its list changed: the next call looks again before it is judged.
    pub fn changed(&self) {
        self.stale.store(true, std::sync::atomic::Ordering::Release);
    }

    /// Takes in one page of a list, before anything of it is filtered or masked.
    pub fn observe(&self, context: &Context, result: Node<'_>) {
        let read = definitions(result);
        let entries = self.judged(context, &read);
        self.tools.rcu(|tools| {
            let mut next = Tools::clone(tools);
            next.entry(context.revision)
                .or_default()
                .extend(entries.iter().cloned());
            next
        });
    }

    /// Takes in a whole list: names are compared across its pages, and what it lacks is gone.
    fn observe_all(&self, context: &Context, pages: &[Document]) {
        let read: Vec<_> = pages
            .iter()
            .filter_map(|page| page.root().get("result"))
            .flat_map(definitions)
            .collect();
        let entries: HashMap<_, _> = self.judged(context, &read).into_iter().collect();
        self.tools.rcu(|tools| {
            let mut next = Tools::clone(tools);
            next.insert(context.revision, entries.clone());
            next
        });
    }

    fn judged(
        &self,
        context: &Context,
        read: &[(Node<'_>, Definition)],
    ) -> Vec<(String, Arc<ToolEntry>)> {
        let mut pins = self.pins();
        pins.refresh();
        let revision = context.revision.as_str();
        let verdicts: HashMap<String, PinVerdict> = pins
            .book()
            .judge_list(revision, read.iter().map(|(_, definition)| definition))
            .into_iter()
            .map(|(name, verdict)| (name.to_owned(), verdict))
            .collect();
        let mut entries = Vec::new();
        for (node, definition) in read {
            let verdict = verdicts
                .get(definition.name())
                .cloned()
                .unwrap_or(PinVerdict::Duplicate);
            let trusted = match verdict {
                PinVerdict::Trusted => true,
                PinVerdict::FirstSeen => pins.trust(definition, revision, context.now()),
                PinVerdict::Changed { pinned } => {
                    tracing::warn!(
                        tool = definition.name(), %pinned, seen = %definition.digest(),
                        "the tool's definition changed; look with `sallyport pins diff`, then `sallyport pins accept`"
                    );
                    pins.set_aside(definition, revision);
                    false
                }
                PinVerdict::Duplicate => {
                    tracing::warn!(
                        tool = definition.name(),
                        "the server lists this name more than once"
                    );
                    false
                }
            };
            if let Some(entry) = ToolEntry::of(*node, definition, trusted) {
                entries.push((definition.name().to_owned(), Arc::new(entry)));
            }
        }
        pins.save();
        entries
    }

    /// Declares the gateway's own pins; what was seen is judged anew at the next list.
    pub fn declare(&self, pins: impl IntoIterator<Item = (String, Digest)>) {
        self.pins().declare(pins);
        self.changed();
    }

    /// Reads all pages in the caller's own circumstances, unless somebody has just done so.
    async fn list(&self, context: &Context) -> Result<(), UpstreamError> {
        let mut listed = self.listed.lock().await;
        let stale = self.stale.swap(false, std::sync::atomic::Ordering::AcqRel);
        if !stale
            && listed
                .get(&context.revision)
                .is_some_and(|at| at.elapsed() < BELIEVED)
        {
            return Ok(());
        }
        if stale {
            // The lists of the other revisions are old as well.
            listed.clear();
            self.tools.store(Arc::default());
        }
        match timeout(LISTING, pages(context)).await {
            Ok(Ok(pages)) => {
                self.observe_all(context, &pages);
                listed.insert(context.revision, Instant::now());
                Ok(())
            }
            failed => {
                self.changed();
                let error = match failed {
                    Ok(Err(error)) => error,
                    Ok(Ok(_)) | Err(_) => UpstreamError::TimedOut,
                };
                tracing::warn!(%error, "the server's tools cannot be listed");
                Err(error)
            }
        }
    }

    fn pins(&self) -> MutexGuard<'_, PinFile> {
        self.pins.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The definitions of one page; one that cannot be pinned is left out, and its tool cannot be called.
fn definitions(result: Node<'_>) -> Vec<(Node<'_>, Definition)> {
    let items = list::items(result, Surface::Tools).unwrap_or_else(|error| {
        tracing::warn!(%error, "the server's tool list holds no tools");
        Vec::new()
    });
    let definition = |item: list::Listed<'_>| {
        Definition::of(item.node)
            .inspect_err(|error| {
                tracing::warn!(%error, "a tool definition cannot be pinned; the tool cannot be called");
            })
            .ok()
    };
    items
        .into_iter()
        .filter_map(|item| Some((item.node, definition(item)?)))
        .collect()
}

/// All pages of the list, as this caller gets them.
async fn pages(context: &Context) -> Result<Vec<Document>, UpstreamError> {
    let mut pages = Vec::new();
    let mut cursor = None;
    while pages.len() < MOST_PAGES {
        let page = page(context, pages.len(), cursor.as_deref()).await?;
        let next = page
            .root()
            .get("result")
            .and_then(list::next_cursor)
            .map(std::borrow::Cow::into_owned);
        pages.push(page);
        match next {
            Some(next) => cursor = Some(next),
            None => return Ok(pages),
        }
    }
    Err(UpstreamError::BrokeOff(format!(
        "its tool list has more than {MOST_PAGES} pages"
    )))
}

async fn page(
    context: &Context,
    number: usize,
    cursor: Option<&str>,
) -> Result<Document, UpstreamError> {
    let id = Id::text(&format!("sallyport-list-{number}"));
    let body = list_request(context, &id, cursor);
    let reply = ask_for_list(context, id.clone(), body).await?;
    let answer = collect_answer(reply, &id).await?;
    let refused = match Message::parse(&answer) {
        Ok(Message::Response(response)) => match response.outcome {
            Outcome::Result(_) => None,
            Outcome::Error(error) => Some(format!("error {}", error.code)),
        },
        Ok(_) => Some("no response".to_owned()),
        Err(error) => Some(error.to_string()),
    };
    match refused {
        Some(why) => Err(UpstreamError::BrokeOff(why)),
        None => Ok(answer),
    }
}

fn list_request(context: &Context, id: &Id, cursor: Option<&str>) -> Bytes {
    let mut params = Vec::new();
    if let Some(cursor) = cursor {
        params.push(format!(r#""cursor":{}"#, quote(cursor)));
    }
    if context.revision.is_modern() {
        let revision = quote(context.revision.as_str());
        params.push(format!(
            r#""_meta":{{"{META_VERSION}":{revision},"{META_CAPABILITIES}":{{}}}}"#
        ));
    }
    let params = params.join(",");
    Bytes::from(format!(
        r#"{{"jsonrpc":"2.0","id":{},"method":"tools/list","params":{{{params}}}}}"#,
        id.to_json()
    ))
}
