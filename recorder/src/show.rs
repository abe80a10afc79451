//! Recordings for people: one readable line an event, payloads under it, masks marked.
//!
//! What callers and servers said is hostile: control characters and text-direction tricks are shown as escapes, so
//! that no recording can write to the terminal of whoever reads it.

use std::fmt::Debug;
use std::io::Write;

use sallyport_policy::record::EventRecord;
use sallyport_policy::record::event::{
    Answered, CallEnded, CallRequested, Decided, Direction, Event, MaskCounts, Outcome,
    PurgedThing, SessionBegan, StreamEvent, Verdict,
};
use sallyport_policy::record::replay::Step;
use sallyport_policy::time::UnixMillis;

use crate::error::ReadError;
use crate::folder::Payload;
use crate::recordings::Session;

/// How a line is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Plain,
    Good,
    Bad,
    Waiting,
    Faint,
}

impl Tone {
    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Good => "\u{1b}[32m",
            Self::Bad => "\u{1b}[31m",
            Self::Waiting => "\u{1b}[33m",
            Self::Faint => "\u{1b}[2m",
        }
    }
}

const RESET: &str = "\u{1b}[0m";
/// Masks stand out inside any other tone.
const MASK: &str = "\u{1b}[7m";
/// How masked spans begin, as the masking room writes them.
const MASK_STARTS: [&str; 2] = ["[redacted:", "[hash:"];

/// How a replay looks.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    pub colour: bool,
    /// Most characters of a payload that are shown; 0 for none.
    pub payload_chars: usize,
}

/// Writes one step of a replay: time, event, payloads.
///
/// # Errors
/// A payload cannot be read, or the output cannot be written.
pub fn write_step(
    session: &Session,
    step: &Step,
    look: Look,
    out: &mut impl Write,
) -> Result<(), ReadError> {
    let (tone, text) = describe(&step.record);
    let since = step.since_start.as_millis();
    let line = format!("{:>4}.{:03}  {}", since / 1000, since % 1000, plain(&text));
    writeln!(out, "{}", paint(&line, tone, look.colour))?;
    if look.payload_chars == 0 {
        return Ok(());
    }
    for payload in &step.record.payloads {
        let text = match session.payload(payload)? {
            Payload::Intact(bytes) => shorten(&String::from_utf8_lossy(&bytes), look.payload_chars),
            Payload::Changed | Payload::Missing if session.is_purged(&step.record) => {
                "(purged)".to_owned()
            }
            Payload::Changed => "(changed: run `sallyport verify`)".to_owned(),
            Payload::Missing => "(missing: run `sallyport verify`)".to_owned(),
        };
        let text = mark_masks(&plain(&text), look.colour);
        writeln!(out, "          {text}")?;
    }
    Ok(())
}

/// One event in words.
#[must_use]
pub fn describe(record: &EventRecord) -> (Tone, String) {
    match &record.event {
        Event::SessionBegan(event) => session(event, record.at),
        Event::CallRequested(event) => requested(event),
        Event::Decided(event) => decided(event),
        Event::Forwarded(event) => {
            let text = format!("{} sent upstream, {} bytes", event.call, event.bytes);
            (Tone::Faint, text)
        }
        Event::Answered(event) => answered(event),
        Event::StreamEvent(event) => streamed(event),
        Event::ServerRequest(event) => {
            let masks = masks(&event.masks);
            let verdict = words(&event.verdict);
            let text = format!("server asks {}: {verdict}{masks}", event.method);
            (tone_of(event.verdict), text)
        }
        Event::CallEnded(event) => ended(event),
        Event::ApprovalRequested(_) | Event::ApprovalDecided(_) | Event::ApprovalConsumed(_) => {
            (Tone::Waiting, approval(&record.event))
        }
        Event::WriterBegan(_)
        | Event::Recovered(_)
        | Event::SessionEnded(_)
        | Event::PolicyChanged(_)
        | Event::Gap(_)
        | Event::Viewed(_)
        | Event::Purged(_)
        | Event::LegalHold(_)
        | Event::WriterEnded(_) => housekeeping(&record.event),
    }
}

fn session(event: &SessionBegan, at: UnixMillis) -> (Tone, String) {
    let client = event.caller.client.as_ref();
    let client = client.map_or(String::new(), |client| format!(" with {client}"));
    let text = format!(
        "session of {}{client} on {}, {at}",
        event.caller.subject, event.gateway
    );
    (Tone::Plain, text)
}

fn requested(event: &CallRequested) -> (Tone, String) {
    let target = event.tool.as_ref().or(event.resource.as_ref());
    let target = target.map_or(String::new(), |target| format!(" {target}"));
    (
        Tone::Plain,
        format!("{} {}{target}", event.call, event.method),
    )
}

fn answered(event: &Answered) -> (Tone, String) {
    let what = if event.is_error {
        "answered with an error"
    } else {
        "answered"
    };
    let masks = masks(&event.masks);
    (
        Tone::Plain,
        format!("{} {what}, {} bytes{masks}", event.call, event.bytes),
    )
}

fn streamed(event: &StreamEvent) -> (Tone, String) {
    let method = event.method.as_deref().unwrap_or("message");
    let masks = masks(&event.masks);
    let id = event.event_id.as_deref().unwrap_or_default();
    let text = match event.direction {
        Direction::ServerToClient => format!("stream {method}, {} bytes{masks}", event.bytes),
        Direction::ClientToServer => {
            format!("client's {method} to `{id}`, {} bytes{masks}", event.bytes)
        }
    };
    (Tone::Faint, text)
}

fn ended(event: &CallEnded) -> (Tone, String) {
    let ran = if event.executed { ", executed" } else { "" };
    let reason = in_brackets(event.reason.as_ref());
    let outcome = words(&event.outcome);
    let text = format!("{} ended: {outcome}{reason}{ran}", event.call);
    (tone_of_end(event.outcome), text)
}

fn in_brackets(reason: Option<&String>) -> String {
    reason.map_or(String::new(), |reason| format!(" ({reason})"))
}

fn decided(event: &Decided) -> (Tone, String) {
    let rule = event
        .rule
        .as_ref()
        .map_or_else(|| "no rule".to_owned(), ToString::to_string);
    let reason = in_brackets(event.reason.as_ref());
    let verdict = words(&event.verdict);
    let text = format!("{} {verdict} by {rule}{reason}", event.call);
    (tone_of(event.verdict), text)
}

fn approval(event: &Event) -> String {
    if let Event::ApprovalRequested(event) = event {
        let joined = if event.joined { "joins" } else { "opens" };
        format!(
            "{} {joined} request {}, {} approval{} needed",
            event.call,
            event.request,
            event.required,
            if event.required == 1 { "" } else { "s" }
        )
    } else if let Event::ApprovalDecided(event) = event {
        let by: Vec<&str> = event.by.iter().map(|voice| voice.user.as_str()).collect();
        format!(
            "request {}: {} by {}",
            event.request,
            words(&event.verdict),
            by.join(", ")
        )
    } else if let Event::ApprovalConsumed(event) = event {
        format!("{} uses the approval of {}", event.call, event.request)
    } else {
        event.name().to_owned()
    }
}

fn housekeeping(event: &Event) -> (Tone, String) {
    if let Event::WriterBegan(event) = event {
        (
            Tone::Faint,
            format!("writer began, version {}", event.version),
        )
    } else if let Event::Recovered(event) = event {
        let open = format!(
            "{} sessions and {} calls were open",
            event.sessions, event.calls
        );
        let harm = format!(
            "{} bytes were torn, {} lines damaged",
            event.torn_bytes, event.damaged_lines
        );
        (
            Tone::Bad,
            format!("recovered after a crash: {open}, {harm}"),
        )
    } else if let Event::SessionEnded(event) = event {
        (
            Tone::Plain,
            format!("session ended: {}", words(&event.reason)),
        )
    } else if let Event::PolicyChanged(event) = event {
        let to = event
            .to
            .map_or_else(|| "none".to_owned(), |to| to.to_string());
        (
            Tone::Waiting,
            format!("policy of {} is now {to}", event.gateway),
        )
    } else if let Event::Gap(event) = event {
        (
            Tone::Bad,
            format!(
                "{} events were lost here: {}",
                event.lost,
                words(&event.cause)
            ),
        )
    } else {
        auditing(event)
    }
}

/// Events of the audit chain, and goodbyes.
fn auditing(event: &Event) -> (Tone, String) {
    if let Event::Viewed(event) = event {
        let what = event
            .session
            .as_ref()
            .map_or_else(|| "sessions".to_owned(), ToString::to_string);
        (
            Tone::Faint,
            format!("{} viewed {what}: {}", event.user, words(&event.kind)),
        )
    } else if let Event::Purged(event) = event {
        let what = match &event.what {
            PurgedThing::Payloads {
                session, payloads, ..
            } => format!("{payloads} payloads of session {session}"),
            PurgedThing::Segment { segment, .. } => format!("segment {segment}"),
        };
        (
            Tone::Waiting,
            format!("{} purged {what}: {}", event.user, words(&event.cause)),
        )
    } else if let Event::LegalHold(event) = event {
        let done = if event.held {
            "placed on"
        } else {
            "lifted from"
        };
        (
            Tone::Waiting,
            format!("{} {done} legal hold: {}", event.session, event.reason),
        )
    } else {
        (Tone::Faint, event.name().to_owned())
    }
}

/// A name of ours as words: `UpstreamFailed` is read as `upstream failed`.
#[must_use]
pub fn words(name: &impl Debug) -> String {
    let mut out = String::new();
    for character in format!("{name:?}").chars() {
        if character.is_ascii_uppercase() && !out.is_empty() {
            out.push(' ');
        }
        out.push(character.to_ascii_lowercase());
    }
    out
}

const fn tone_of(verdict: Verdict) -> Tone {
    match verdict {
        Verdict::Allow => Tone::Good,
        Verdict::Hold => Tone::Waiting,
        Verdict::Deny => Tone::Bad,
    }
}

const fn tone_of_end(outcome: Outcome) -> Tone {
    match outcome {
        Outcome::Succeeded => Tone::Good,
        Outcome::Pending => Tone::Waiting,
        Outcome::Failed
        | Outcome::Denied
        | Outcome::Withheld
        | Outcome::Cancelled
        | Outcome::Revoked
        | Outcome::Disconnected
        | Outcome::UpstreamFailed
        | Outcome::Unknown => Tone::Bad,
    }
}

fn masks(counts: &MaskCounts) -> String {
    if counts.is_empty() {
        return String::new();
    }
    let kinds: Vec<String> = counts
        .iter()
        .map(|(kind, count)| format!("{count} {kind}"))
        .collect();
    format!(", masked {}", kinds.join(", "))
}

fn paint(text: &str, tone: Tone, colour: bool) -> String {
    if colour && tone != Tone::Plain {
        format!("{}{text}{RESET}", tone.code())
    } else {
        text.to_owned()
    }
}

/// Escapes what could act on a terminal or reorder what is read.
#[must_use]
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        let hostile = character.is_control()
            || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
        if hostile {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
    out
}

fn shorten(text: &str, most: usize) -> String {
    let mut short: String = text.chars().take(most).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

fn mark_masks(text: &str, colour: bool) -> String {
    if !colour {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, mask, after)) = next_mask(rest) {
        out.push_str(before);
        out.push_str(MASK);
        out.push_str(mask);
        out.push_str(RESET);
        rest = after;
    }
    out.push_str(rest);
    out
}

fn next_mask(text: &str) -> Option<(&str, &str, &str)> {
    let start = MASK_STARTS
        .iter()
        .filter_map(|start| text.find(start))
        .min()?;
    let (before, from) = text.split_at_checked(start)?;
    let (mask, after) = from.split_at_checked(from.find(']')? + 1)?;
    Some((before, mask, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_cannot_write_to_the_reader_s_terminal() {
        let shown = plain("ok\u{1b}[2J\r\nDenied\u{202e}txt");
        assert_eq!(shown, "ok\\u{1b}[2J\\r\\nDenied\\u{202e}txt");
    }

    #[test]
    fn masks_are_marked_in_colour_only() {
        let text = "key [redacted:aws-access-key] and [hash:email:12] here";
        assert_eq!(mark_masks(text, false), text);
        let marked = mark_masks(text, true);
        assert_eq!(marked.matches(MASK).count(), 2);
        assert!(marked.contains("\u{1b}[7m[hash:email:12]\u{1b}[0m here"));
    }
}
