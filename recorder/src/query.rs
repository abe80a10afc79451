//! Searches over sessions and calls.

use sallyport_policy::record::event::{Outcome, Verdict};
use sallyport_policy::time::UnixMillis;

use crate::summary::{CallSummary, SessionSummary};

/// Which sessions. A field that is not given matches everything; all that are given must match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionFilter {
    /// Part of the user, e-mail, client or a group, in any case.
    pub who: Option<String>,
    /// `name` or `namespace/name`.
    pub gateway: Option<String>,
    /// With an event at or after.
    pub since: Option<UnixMillis>,
    /// Begun before.
    pub until: Option<UnixMillis>,
    pub open: Option<bool>,
    /// With at least one call that matches.
    pub call: CallFilter,
    /// Most sessions given, the newest; 0 for all.
    pub limit: usize,
}

/// Which calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallFilter {
    /// Tool, prompt or resource; `*` matches any characters.
    pub target: Option<String>,
    /// `*` matches any characters.
    pub method: Option<String>,
    pub verdict: Option<Verdict>,
    pub outcome: Option<Outcome>,
    /// `object/rule`, or a part of it; `*` matches any characters.
    pub rule: Option<String>,
    pub since: Option<UnixMillis>,
    pub until: Option<UnixMillis>,
}

impl SessionFilter {
    pub(crate) fn takes(&self, session: &SessionSummary) -> bool {
        self.who.as_deref().is_none_or(|who| is_about(session, who))
            && self.gateway.as_deref().is_none_or(|name| {
                session.gateway == name
                    || session
                        .gateway
                        .rsplit_once('/')
                        .is_some_and(|(_, last)| last == name)
            })
            && self.since.is_none_or(|since| session.last >= since)
            && self.until.is_none_or(|until| session.began < until)
            && self.open.is_none_or(|open| session.ended.is_none() == open)
    }
}

impl CallFilter {
    /// Whether it takes every call.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn takes(&self, call: &CallSummary) -> bool {
        let target = call.target.as_deref().unwrap_or_default();
        let rule = call.rule.as_deref().unwrap_or_default();
        // A call that was held and then ran is found by either word.
        let verdict =
            |wanted| call.verdict == Some(wanted) || (wanted == Verdict::Hold && call.held);
        self.target.as_deref().is_none_or(|glob| fits(glob, target))
            && self
                .method
                .as_deref()
                .is_none_or(|glob| fits(glob, &call.method))
            && self
                .rule
                .as_deref()
                .is_none_or(|glob| fits(glob, rule) || (!glob.is_empty() && rule.contains(glob)))
            && self.verdict.is_none_or(verdict)
            && self
                .outcome
                .is_none_or(|outcome| call.outcome == Some(outcome))
            && self.since.is_none_or(|since| call.at >= since)
            && self.until.is_none_or(|until| call.at < until)
    }
}

fn is_about(session: &SessionSummary, who: &str) -> bool {
    let who = who.to_lowercase();
    let named = [
        Some(&session.user),
        session.email.as_ref(),
        session.client.as_ref(),
    ];
    named
        .into_iter()
        .flatten()
        .chain(&session.groups)
        .any(|name| name.to_lowercase().contains(&who))
}

/// Whether `text` is what `glob` says, `*` standing for any characters.
fn fits(glob: &str, text: &str) -> bool {
    let mut pieces = glob.split('*');
    let Some(mut rest) = pieces.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let mut pieces = pieces.peekable();
    if pieces.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return rest.ends_with(piece);
        }
        match rest.split_once(piece) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_matches_any_characters() {
        let rows = [
            ("update_price", "update_price", true),
            ("update_price", "update_prices", false),
            ("update_*", "update_price", true),
            ("*price", "update_price", true),
            ("u*e_*e", "update_price", true),
            ("*x*", "update_price", false),
            ("*", "", true),
            ("a*a", "a", false),
        ];
        for (glob, text, expected) in rows {
            assert_eq!(fits(glob, text), expected, "{glob} {text}");
        }
    }
}
