//! How access requests look to people.
//!
//! Names, reasons and arguments come from agents and servers: nothing of them may move the cursor, recolour the
//! screen or turn the direction of the text before somebody approves what they read.

use std::time::Duration;

use sallyport_policy::approval::object::RequestObject;
use sallyport_policy::source::access::{HoldingRule, Phase};
use sallyport_policy::source::rule::GrantScope;
use sallyport_policy::time::UnixMillis;
use sallyport_sidecar::hold::protocol::Seen;

use super::phase_text;

/// One line of the table.
pub(super) fn row(request: &RequestObject, now: UnixMillis) -> Vec<String> {
    vec![
        plain(&request.metadata.name),
        who(request),
        what(request),
        span(waited(request, now)),
        left(request, now).map_or_else(|| "-".to_owned(), span),
        phase_text(request),
    ]
}

/// One line of a watch.
pub(super) fn line(request: &RequestObject, now: UnixMillis) -> String {
    let left = left(request, now)
        .map(|left| format!(", {} left", span(left)))
        .unwrap_or_default();
    format!(
        "{}  {}  {}  {}{left}",
        plain(&request.metadata.name),
        who(request),
        what(request),
        phase_text(request)
    )
}

pub(super) fn time_of_day(now: UnixMillis) -> String {
    let text = now.to_string();
    text.get(11..19).unwrap_or(&text).to_owned()
}

/// Everything that somebody should have read before they approve.
pub(super) fn details(seen: &Seen, now: UnixMillis) -> String {
    let request = &seen.request;
    let spec = &request.spec;
    let mut lines = vec![
        ("request", plain(&request.metadata.name)),
        ("phase", phase_text(request)),
        (
            "who",
            format!(
                "{} (issuer {})",
                who(request),
                plain(&spec.requester.issuer)
            ),
        ),
        ("what", what(request)),
    ];
    if let Some(preview) = &spec.call.preview {
        lines.push(("arguments", plain(preview)));
    }
    if let Some(reason) = &spec.reason {
        lines.push(("reason", plain(reason)));
    }
    lines.push(("gives", gives(request)));
    lines.extend(spec.rules.iter().map(|rule| ("held by", held_by(rule))));
    lines.extend(seen.reviews.iter().map(|review| {
        let said = &review.spec;
        let reason = said.reason.as_deref().map(plain);
        let reason = reason.map(|reason| format!(": {reason}"));
        let text = format!(
            "{:?} by {}{}",
            said.verdict,
            plain(&said.by.username),
            reason.unwrap_or_default()
        );
        ("review", text)
    }));
    if let Some(left) = left(request, now) {
        lines.push(("left", span(left)));
    }
    let lines: Vec<_> = lines
        .into_iter()
        .map(|(name, text)| format!("{name:>9}  {text}"))
        .collect();
    lines.join("\n")
}

/// What became of it, in one line.
pub(super) fn outcome(seen: &Seen) -> String {
    let request = &seen.request;
    let id = plain(&request.metadata.name);
    let Some(status) = &request.status else {
        return id;
    };
    let phase = phase_text(request);
    match status.phase {
        Some(Phase::Pending) => format!(
            "{id} {phase}: {} of {} approvals",
            status.reviews.approvals, status.reviews.needed
        ),
        Some(Phase::Approved) => {
            let end = status.grant_ends_at.map(|end| format!(" until {end}"));
            format!("{id} {phase}: usable{}", end.unwrap_or_default())
        }
        Some(
            Phase::Denied | Phase::Expired | Phase::Withdrawn | Phase::Consumed | Phase::Revoked,
        )
        | None => format!("{id} {phase}"),
    }
}

/// How much the reviewer's name is worth (law 24).
pub(super) fn assurance(seen: &Seen) -> String {
    let uid = seen.reviews.last().and_then(|review| review.spec.by.uid);
    let uid = uid.map_or_else(
        || "an unknown account".to_owned(),
        |uid| format!("uid {uid}"),
    );
    if seen.two_person {
        format!("two-person: said by {uid} over the approver group's socket; the name is asserted")
    } else {
        format!(
            "asserted: nobody checked that name; said by {uid}, the account that runs the guard can say the same. `up --approver-group` makes approvals two-person"
        )
    }
}

/// When the present phase began.
pub(super) fn since(request: &RequestObject) -> UnixMillis {
    let status = request.status.as_ref();
    let ready = status.and_then(|status| status.conditions.first());
    match (ready, request.metadata.creation_timestamp) {
        (Some(ready), _) => ready.last_transition_time.get(),
        (None, Some(made)) => made.get(),
        (None, None) => UnixMillis(0),
    }
}

fn who(request: &RequestObject) -> String {
    let spec = &request.spec;
    let client = match (&spec.client, spec.any_client) {
        (_, true) => " via any agent".to_owned(),
        (Some(client), false) => format!(" via {}", plain(client)),
        (None, false) => String::new(),
    };
    let actor = spec.requester.actor.as_deref();
    let actor = actor.map(|actor| format!(" by {}", plain(actor)));
    format!(
        "{}{client}{}",
        plain(&spec.requester.subject),
        actor.unwrap_or_default()
    )
}

fn what(request: &RequestObject) -> String {
    let call = &request.spec.call;
    match &call.tool {
        Some(name) if call.method == "tools/call" => plain(name),
        Some(name) => format!("{} {}", plain(&call.method), plain(name)),
        None => plain(&call.method),
    }
}

fn gives(request: &RequestObject) -> String {
    let grant = &request.spec.grant;
    let lasts = grant.duration.map(|lasts| lasts.to_string());
    let lasts = lasts.unwrap_or_else(|| "some time".to_owned());
    match grant.scope.unwrap_or(GrantScope::Call) {
        GrantScope::Call => format!("this one call, once, within {lasts}"),
        GrantScope::Tool => {
            let uses = match grant.max_uses {
                Some(uses) => format!("at most {uses} calls"),
                None => "any number of calls".to_owned(),
            };
            let when = if grant.when.is_empty() {
                "with any arguments"
            } else {
                "with the arguments that its conditions allow"
            };
            format!("{uses} of this tool for {lasts}, {when}")
        }
    }
}

fn held_by(rule: &HoldingRule) -> String {
    let approvers: Vec<_> = rule
        .approvers
        .iter()
        .map(|item| plain(&sallyport_policy::approval::terms::describe(item)))
        .filter(|text| !text.is_empty())
        .collect();
    let approvers = if approvers.is_empty() {
        "anybody".to_owned()
    } else {
        approvers.join(" or ")
    };
    format!(
        "{}/{}: {} of {approvers}",
        plain(&rule.object),
        plain(&rule.rule),
        rule.required
    )
}

/// How long it waited for its decision, or waits.
fn waited(request: &RequestObject, now: UnixMillis) -> Duration {
    let made = request.metadata.creation_timestamp;
    let made = made.map_or(now, |made| made.get());
    match request.status.as_ref().and_then(|status| status.phase) {
        Some(Phase::Pending) | None => made.until(now),
        Some(Phase::Approved) => {
            let granted = request.status.as_ref().and_then(|status| status.granted_at);
            made.until(granted.map_or(now, |granted| granted.get()))
        }
        Some(
            Phase::Denied | Phase::Expired | Phase::Withdrawn | Phase::Consumed | Phase::Revoked,
        ) => made.until(since(request)),
    }
}

/// How long it can still be decided, used, or refuses repeats.
fn left(request: &RequestObject, now: UnixMillis) -> Option<Duration> {
    let status = request.status.as_ref()?;
    let end = match status.phase? {
        Phase::Pending | Phase::Denied => request.spec.expires_at.get(),
        Phase::Approved => status.grant_ends_at?.get(),
        Phase::Expired | Phase::Withdrawn | Phase::Consumed | Phase::Revoked => return None,
    };
    Some(now.until(end))
}

/// `45s`, `12m`, `3h 5m`, `2d 4h`.
fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m"),
        (0, _, _) => format!("{hours}h {}m", minutes % 60),
        _ => format!("{days}d {}h", hours % 24),
    }
}

/// Text of strangers on a terminal: what would act on it is spelled out.
fn plain(text: &str) -> String {
    let acts = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if acts(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_strangers_cannot_act_on_the_terminal() {
        for (name, text) in [
            ("escape sequence", "\u{1b}[2Jcleared"),
            ("line feed", "a\nphase  Approved"),
            ("right-to-left override", "\u{202e}egnahc"),
            ("zero width", "a\u{200b}b"),
            ("C1 control", "\u{9b}31m"),
        ] {
            let shown = plain(text);
            assert!(shown.contains("\\u{"), "{name}: {shown}");
            assert!(!shown.chars().any(char::is_control), "{name}");
        }
        assert_eq!(plain("Grüße, 12 €"), "Grüße, 12 €");
    }

    #[test]
    fn spans_are_short() {
        for (seconds, shown) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (3660, "1h 1m"),
            (90_000, "1d 1h"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), shown);
        }
    }
}
