//! `sallyport pins`: which tool definitions are trusted, what a server shows instead, and a person's word that the new
//! one is right (law 29).
//!
//! The guard reads and writes the same file while it runs; both do so under its lock.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bytes::Bytes;
use sallyport_policy::json::{Document, Limits};
use sallyport_policy::name::Digest;
use sallyport_policy::pin::{self, Definition, TrustedPin};
use sallyport_policy::source::settings::ToolPins;
use sallyport_sidecar::answer::pins::PinState;
use sallyport_sidecar::clock::{Clock as _, SystemClock};
use serde::Serialize;

use crate::output::{Failure, Format, put, put_table, put_value};
use crate::policy;
use crate::state::StateArgs;

/// The file in the state folder.
const FILE: &str = "pins.json";

/// Look at tool definitions that changed, and accept them.
#[derive(clap::Args, Debug)]
pub(crate) struct PinsArgs {
    #[command(subcommand)]
    command: PinsCommand,
}

#[derive(Debug, clap::Subcommand)]
enum PinsCommand {
    /// List the tools that are trusted, and those that wait for a word
    List(ListArgs),
    /// Tell what changed in definitions that wait for a word
    #[command(after_help = "Exit codes: 0 nothing waits; 1 something does")]
    Diff(DiffArgs),
    /// Trust the changed definition of a tool
    Accept(AcceptArgs),
}

#[derive(clap::Args, Debug)]
struct ListArgs {
    #[command(flatten)]
    state: StateArgs,
    /// How the list is printed
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

#[derive(clap::Args, Debug)]
struct DiffArgs {
    /// Only this tool
    tool: Option<String>,
    #[command(flatten)]
    state: StateArgs,
    /// How the changes are printed
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

#[derive(clap::Args, Debug)]
struct AcceptArgs {
    /// The tool
    tool: String,
    /// The protocol revision in which the server shows it, where several wait
    #[arg(long, value_name = "REVISION")]
    revision: Option<String>,
    /// The digest that was looked at; another one is not accepted
    #[arg(long, value_name = "DIGEST")]
    digest: Option<Digest>,
    /// The gateway's files, where they declare pins: the word then stands until they declare others
    #[arg(short = 'f', long = "file", value_name = "PATH")]
    files: Vec<PathBuf>,
    /// Which gateway of the files
    #[arg(long, value_name = "[NAMESPACE/]NAME", requires = "files")]
    gateway: Option<String>,
    #[command(flatten)]
    state: StateArgs,
}

pub(crate) fn run(args: PinsArgs) -> Result<ExitCode, Failure> {
    match args.command {
        PinsCommand::List(args) => list(&args),
        PinsCommand::Diff(args) => diff(&args),
        PinsCommand::Accept(args) => accept(&args),
    }
}

/// One definition of one tool.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Pin {
    tool: String,
    revision: String,
    /// `trusted` on first use, `accepted` by a person, or `changed`: waiting for one.
    state: &'static str,
    digest: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
}

fn list(args: &ListArgs) -> Result<ExitCode, Failure> {
    let state = read(&args.state.path()?.join(FILE))?;
    let mut pins: Vec<Pin> = state
        .book
        .all_trusted()
        .map(|(tool, revision, pin)| Pin::trusted(tool, revision, pin))
        .collect();
    for waiting in waiting(&state) {
        pins.push(Pin {
            tool: waiting.tool.to_owned(),
            revision: waiting.revision.to_owned(),
            state: "changed",
            digest: Digest::of(waiting.definition.as_bytes()).to_string(),
            since: None,
        });
    }
    pins.sort_by(|a, b| (&a.tool, &a.revision, a.state).cmp(&(&b.tool, &b.revision, b.state)));
    match args.output {
        Format::Json | Format::Yaml => put_value(&pins, args.output)?,
        Format::Table if pins.is_empty() => put("no tool was seen yet")?,
        Format::Table => {
            let row = |pin: Pin| {
                vec![
                    shown(&pin.tool),
                    pin.revision,
                    pin.state.to_owned(),
                    pin.since.unwrap_or_default(),
                    pin.digest,
                ]
            };
            let rows: Vec<_> = pins.into_iter().map(row).collect();
            put_table(&["TOOL", "REVISION", "STATE", "SINCE", "DIGEST"], &rows)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl Pin {
    fn trusted(tool: &str, revision: &str, pin: &TrustedPin) -> Self {
        Self {
            tool: tool.to_owned(),
            revision: revision.to_owned(),
            state: if pin.is_accepted() {
                "accepted"
            } else {
                "trusted"
            },
            digest: pin.digest().to_string(),
            since: Some(pin.since().to_string()),
        }
    }
}

/// A definition that waits for a person's word.
struct Waiting<'s> {
    tool: &'s str,
    revision: &'s str,
    definition: &'s str,
}

/// All but those that a person has accepted meanwhile: a guard that had read the file before may write them once more.
fn waiting(state: &PinState) -> Vec<Waiting<'_>> {
    let all = state.set_aside.iter().flat_map(|(tool, revisions)| {
        revisions.iter().map(move |(revision, definition)| Waiting {
            tool,
            revision,
            definition,
        })
    });
    all.filter(|waiting| {
        let trusted = state.book.trusted(waiting.tool, waiting.revision);
        trusted.is_none_or(|pin| !pin.is_accepted() || pin.definition() != waiting.definition)
    })
    .collect()
}

/// What changed in one definition.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Changed {
    tool: String,
    revision: String,
    digest: String,
    changes: Vec<Change>,
}

#[derive(Debug, Serialize)]
struct Change {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<String>,
}

fn diff(args: &DiffArgs) -> Result<ExitCode, Failure> {
    let state = read(&args.state.path()?.join(FILE))?;
    let is_asked =
        |waiting: &Waiting<'_>| args.tool.as_ref().is_none_or(|tool| waiting.tool == tool);
    let changed: Vec<Changed> = waiting(&state)
        .into_iter()
        .filter(is_asked)
        .map(|waiting| changes(&state, &waiting))
        .collect();
    match args.output {
        Format::Json | Format::Yaml => put_value(&changed, args.output)?,
        Format::Table if changed.is_empty() => put("no changed definition waits for a word")?,
        Format::Table => changed.iter().try_for_each(tell)?,
    }
    Ok(if changed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}

fn changes(state: &PinState, waiting: &Waiting<'_>) -> Changed {
    let trusted = state.book.trusted(waiting.tool, waiting.revision);
    let before = trusted.map_or("{}", TrustedPin::definition);
    let changes = pin::diff(before.as_bytes(), waiting.definition.as_bytes());
    Changed {
        tool: waiting.tool.to_owned(),
        revision: waiting.revision.to_owned(),
        digest: Digest::of(waiting.definition.as_bytes()).to_string(),
        changes: changes
            .into_iter()
            .map(|change| Change {
                path: change.path,
                before: change.before,
                after: change.after,
            })
            .collect(),
    }
}

fn tell(changed: &Changed) -> Result<(), Failure> {
    let tool = shown(&changed.tool);
    put(&format!("{tool} in {}", changed.revision))?;
    for change in &changed.changes {
        put(&format!("  {}", change.path))?;
        if let Some(before) = &change.before {
            put(&format!("    - {before}"))?;
        }
        if let Some(after) = &change.after {
            put(&format!("    + {after}"))?;
        }
    }
    put(&format!(
        "  accept with: sallyport pins accept {tool} --revision {} --digest {}",
        changed.revision, changed.digest
    ))
}

fn accept(args: &AcceptArgs) -> Result<ExitCode, Failure> {
    let path = args.state.path()?.join(FILE);
    let declared = declared(args)?;
    let now = SystemClock::new().now();
    let accepted = PinState::edit(&path, |state| {
        let (revision, definition) = choose(state, args)?;
        state.book = std::mem::take(&mut state.book).with_declared(declared);
        state.book.accept(&definition, &revision, now);
        if let Some(revisions) = state.set_aside.get_mut(&args.tool) {
            revisions.remove(&revision);
        }
        state.set_aside.retain(|_, revisions| !revisions.is_empty());
        Ok((revision, definition))
    });
    let (revision, definition) = accepted.map_err(|error| match error {
        EditError::Refused(failure) => failure,
        EditError::File(error) => {
            Failure::outside(format!("cannot change `{}`: {error}", path.display()))
        }
    })?;
    put(&format!(
        "accepted {} in {revision}: {}",
        shown(&args.tool),
        definition.digest()
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// Why a word is not given.
enum EditError {
    Refused(Failure),
    File(std::io::Error),
}

impl From<std::io::Error> for EditError {
    fn from(error: std::io::Error) -> Self {
        Self::File(error)
    }
}

impl From<Failure> for EditError {
    fn from(failure: Failure) -> Self {
        Self::Refused(failure)
    }
}

/// The definition that waits, if it is the only one that fits.
fn choose(state: &PinState, args: &AcceptArgs) -> Result<(String, Definition), Failure> {
    let mut fitting: Vec<Waiting<'_>> = waiting(state);
    fitting.retain(|waiting| waiting.tool == args.tool);
    if let Some(revision) = &args.revision {
        fitting.retain(|waiting| waiting.revision == revision);
    }
    let revisions = fitting
        .iter()
        .map(|waiting| waiting.revision)
        .collect::<Vec<_>>()
        .join(", ");
    let tool = &args.tool;
    let found = match (fitting.pop(), fitting.is_empty()) {
        (Some(found), true) => found,
        (Some(_), false) => {
            return Err(Failure::usage(format!(
                "`{tool}` waits in several revisions; choose with --revision one of {revisions}"
            )));
        }
        (None, _) => {
            return Err(Failure::no(format!(
                "no changed definition of `{tool}` waits; see `sallyport pins list`"
            )));
        }
    };
    let definition = definition(found.definition).ok_or_else(|| {
        Failure::input(format!("the definition of `{tool}` that was set aside is not readable; let the server list it again"))
    })?;
    match args.digest {
        Some(digest) if digest != definition.digest() => Err(Failure::no(format!(
            "the definition that waits is {}, not {digest}; look again with `sallyport pins diff {tool}`",
            definition.digest()
        ))),
        Some(_) | None => Ok((found.revision.to_owned(), definition)),
    }
}

fn definition(canonical: &str) -> Option<Definition> {
    let document = Document::parse(Bytes::from(canonical.to_owned()), Limits::RESPONSE).ok()?;
    Definition::of(document.root()).ok()
}

/// The pins that the gateway of the files declares.
fn declared(args: &AcceptArgs) -> Result<Vec<(String, Digest)>, Failure> {
    if args.files.is_empty() {
        return Ok(Vec::new());
    }
    let loaded = policy::read_right(&args.files)?;
    let gateway = policy::choose(&loaded.sources, args.gateway.as_deref())?;
    let pins = loaded
        .sources
        .gateway(&gateway)
        .map(|named| declared_by(&named.spec.tool_pins));
    Ok(pins.unwrap_or_default())
}

fn declared_by(pins: &ToolPins) -> Vec<(String, Digest)> {
    pins.pins
        .iter()
        .map(|pin| (pin.tool.clone(), pin.digest))
        .collect()
}

fn read(path: &Path) -> Result<PinState, Failure> {
    PinState::read(path)
        .map_err(|error| Failure::input(format!("cannot read `{}`: {error}", path.display())))
}

/// A server chose the name; it must not move the reader's cursor.
fn shown(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}
