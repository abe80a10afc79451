//! What each step must come to. The call itself said how the server and the approver behave, so nothing is guessed.

use serde_json::Value;

use super::client::{Client, Heard, Revision};
use super::tally::{Outcome, Report};

/// What a call must come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    Answer,
    Denied,
    UnknownTool,
    /// Either policy's whole verdict, for a call that says `left` or `right`.
    Swap {
        left: bool,
    },
    Approved,
    Rejected,
    Pending,
    /// One of two identical calls runs, the other hears that it was used.
    Twin,
    /// The server fails: its answer, or an error, and nothing else; within the limit.
    Failure,
}

impl Client {
    /// Compares, and puts the client back on its feet.
    pub(crate) fn judge(&mut self, expect: Expect, heard: &Heard, nonce: &str) -> Outcome {
        match heard {
            Heard::Answer(answer) => judge_answer(self, expect, answer, nonce),
            Heard::Status(status, text) => self.judge_status(expect, *status, text, nonce),
            // A stream ends with its token (law 11).
            Heard::Lost(why) if why.contains("stream ended") && self.tokens.is_over() => {
                if self.revision == Revision::Oldest {
                    self.pipe = None;
                }
                Outcome::Refused
            }
            Heard::Lost(why) if self.plan.outages => {
                self.shaken = true;
                self.tally.with(|report| report.lost(nonce, why));
                // The post beside a stream that is gone: a guard that started anew does not know it.
                if self.revision == Revision::Oldest {
                    self.pipe = None;
                }
                let broken = why.contains("second answer") || why.contains("not an answer");
                if broken {
                    Outcome::Unexpected(why.clone())
                } else {
                    Outcome::Lost
                }
            }
            Heard::Lost(_)
                if expect == Expect::Failure
                    && self.target.linked
                    && self.revision == Revision::Oldest =>
            {
                self.pipe = None;
                Outcome::Told
            }
            Heard::Lost(why) => Outcome::Unexpected(why.clone()),
        }
    }

    fn judge_status(&mut self, expect: Expect, status: u16, text: &str, nonce: &str) -> Outcome {
        let told = || Outcome::Unexpected(format!("{expect:?}: {status} {}", short(text)));
        match status {
            401 if self.tokens.renewed("401", &self.tally) => Outcome::Refused,
            404 if self.plan.outages && self.revision != Revision::Newest => {
                self.tally.with(Report::stale);
                (self.session, self.pipe) = (None, None);
                Outcome::Lost
            }
            502..=504 if self.plan.outages => {
                self.tally
                    .with(|report| report.lost(nonce, &format!("{status} {}", short(text))));
                Outcome::Lost
            }
            404 if self.target.linked && (expect == Expect::Failure || self.shaken) => {
                (self.session, self.pipe) = (None, None);
                Outcome::Told
            }
            500 | 502 | 504 if expect == Expect::Failure || (self.target.linked && self.shaken) => {
                Outcome::Told
            }
            _ => told(),
        }
    }
}

fn judge_answer(client: &mut Client, expect: Expect, answer: &Value, nonce: &str) -> Outcome {
    let text = answer.to_string();
    let echoed = text.contains(nonce);
    let error = answer.get("error").is_some()
        || answer.pointer("/result/isError") == Some(&Value::Bool(true));
    let status = |text: &str| {
        let mark = answer.pointer("/result/_meta/dev.sallyport~1approval/status");
        mark.and_then(Value::as_str) == Some(text)
    };
    let denied = answer
        .pointer("/result/_meta/dev.sallyport~1denied")
        .is_some();
    let unknown = answer.pointer("/error/code").and_then(Value::as_i64) == Some(-32602);
    let good = echoed && !error;
    let outcome = match expect {
        Expect::Answer => good.then_some(Outcome::Answered),
        Expect::Approved => good.then_some(Outcome::Held),
        Expect::Denied => {
            (denied && error && text.contains("not spoken here")).then_some(Outcome::Refused)
        }
        Expect::UnknownTool => unknown.then_some(Outcome::Refused),
        Expect::Swap { left } => swapped(client, left, &text, error && denied, echoed),
        Expect::Rejected => (error && status("denied")).then_some(Outcome::Held),
        Expect::Pending => status("pending").then_some(Outcome::Held),
        Expect::Twin => (good || status("used")).then_some(Outcome::Held),
        Expect::Failure if good => Some(Outcome::Answered),
        Expect::Failure => error.then_some(Outcome::Told),
    };
    let outcome =
        outcome.unwrap_or_else(|| Outcome::Unexpected(format!("{expect:?}: {}", short(&text))));
    if !matches!(outcome, Outcome::Unexpected(_)) {
        return outcome;
    }
    if text.contains("grant_mismatch") && client.tokens.is_over() {
        Outcome::Refused // held until its token was over: it is judged again before it is sent
    } else if client.plan.outages && (error || status("pending")) {
        Outcome::Lost // what was held or sent when the guard was killed is told as that
    } else if client.shaken && client.target.linked && error {
        Outcome::Told
    } else {
        outcome
    }
}

/// Under one policy `left` is allowed and the field `right` masked, under the other the reverse. Anything else is half of each.
fn swapped(
    client: &mut Client,
    left: bool,
    text: &str,
    denied: bool,
    echoed: bool,
) -> Option<Outcome> {
    let (own, other, here, there) = if left {
        ("plain-left", "plain-right", "policy-left", "policy-right")
    } else {
        ("plain-right", "plain-left", "policy-right", "policy-left")
    };
    if denied && text.contains(there) && !text.contains(here) {
        client.tally.with(|report| report.swapped(!left));
        return Some(Outcome::Refused);
    }
    if echoed && text.contains(own) && !text.contains(other) {
        client.tally.with(|report| report.swapped(left));
        return Some(Outcome::Answered);
    }
    (denied || echoed).then(|| Outcome::Unexpected(format!("half of each policy: {}", short(text))))
}

pub(crate) fn short(text: &str) -> String {
    text.chars().take(400).collect()
}
