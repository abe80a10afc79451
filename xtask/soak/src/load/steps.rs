//! The steps that a client takes, by chance: what it asks for, and what that must come to.

use std::time::{Duration, Instant};

use sallyport_sidecar::clock::{Clock, SystemClock};
use serde_json::{Value, json};

use super::client::{Client, Heard, Revision};
use super::expect::{Expect, short};
use super::tally::{Outcome, Report};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Call,
    Events,
    Progress,
    Slow,
    Late,
    Tools,
    Ping,
    Denied,
    Hidden,
    Swap,
    Approved,
    Rejected,
    Pending,
    Twins,
    Fault,
    Polling,
    Batch,
    Listen,
    Stranger,
    Vanish,
    VanishOpening,
    VanishHeld,
    Cancel,
    HalfClose,
    Leave,
}

/// How often each step is taken.
const MIXED: &[(u64, Step)] = &[
    (18, Step::Call),
    (8, Step::Events),
    (8, Step::Progress),
    (2, Step::Slow),
    (3, Step::Late),
    (4, Step::Tools),
    (3, Step::Ping),
    (5, Step::Denied),
    (3, Step::Hidden),
    (10, Step::Swap),
    (3, Step::Approved),
    (2, Step::Rejected),
    (1, Step::Pending),
    (2, Step::Twins),
    (8, Step::Fault),
    (2, Step::Polling),
    (3, Step::Batch),
    (3, Step::Listen),
    (2, Step::Stranger),
    (3, Step::Vanish),
    (1, Step::VanishHeld),
    (2, Step::VanishOpening),
    (3, Step::Cancel),
    (2, Step::HalfClose),
    (2, Step::Leave),
];

const CALM: &[(u64, Step)] = &[
    (5, Step::Call),
    (3, Step::Events),
    (3, Step::Progress),
    (3, Step::Late),
];

const FAULTS: &[&str] = &[
    "hang", "die", "half", "garbage", "type", "status", "wrong-id", "twice", "huge", "endless",
];

/// The one call that a step is: tool, arguments, and what it must come to.
fn asked(step: Step) -> Option<(&'static str, Value, Expect)> {
    let echo = |arguments: Value| ("echo", arguments, Expect::Answer);
    let held = |plan: &str, expect: Expect| ("guarded", json!({ "plan": plan }), expect);
    match step {
        Step::Call => Some(echo(json!({}))),
        Step::Events => Some(echo(json!({ "events": true }))),
        Step::Progress => Some(echo(json!({ "events": true, "progress": 4 }))),
        Step::Slow => Some(echo(
            json!({ "events": true, "progress": 40, "size": 150_000 }),
        )),
        Step::Late => Some(echo(json!({ "fault": "late" }))),
        Step::Denied => Some(("echo", json!({ "word": "forbidden" }), Expect::Denied)),
        Step::Hidden => Some(("hidden", json!({}), Expect::UnknownTool)),
        Step::Approved => Some(held("please-approve", Expect::Approved)),
        Step::Rejected => Some(held("please-deny", Expect::Rejected)),
        Step::Pending => Some(held("please-wait", Expect::Pending)),
        Step::Fault
        | Step::Polling
        | Step::Tools
        | Step::Ping
        | Step::Swap
        | Step::Twins
        | Step::Batch
        | Step::Listen
        | Step::Stranger
        | Step::Vanish
        | Step::VanishHeld
        | Step::VanishOpening
        | Step::Cancel
        | Step::HalfClose
        | Step::Leave => None,
    }
}

impl Client {
    pub(crate) async fn step(&mut self) {
        let table = if self.plan.calm { CALM } else { MIXED };
        let Some(step) = self.chance.of(table) else {
            return;
        };
        if let Some((tool, arguments, expect)) = asked(step) {
            return self.tool(step, tool, arguments, expect).await;
        }
        self.other(step).await;
    }

    /// What takes more than one call and its answer.
    async fn other(&mut self, step: Step) {
        match step {
            Step::Fault => self.faulty().await,
            Step::Polling => self.polling(step).await,
            Step::Tools => self.plain(step, "tools/list", "swap").await,
            Step::Ping => self.ping(step).await,
            Step::Swap => self.swap(step).await,
            Step::Twins => self.twins().await,
            Step::Batch => self.batch().await,
            Step::Listen => self.listens().await,
            Step::Stranger => self.stranger().await,
            Step::Vanish => {
                let late = json!({ "fault": "late", "events": true });
                self.vanish("echo", &late).await;
            }
            Step::VanishHeld => {
                let held = json!({ "plan": "please-approve" });
                self.vanish("guarded", &held).await;
            }
            Step::VanishOpening => self.vanish_opening().await,
            Step::Cancel => self.cancel().await,
            Step::HalfClose => self.half_close().await,
            Step::Leave => self.leave().await,
            Step::Call
            | Step::Events
            | Step::Progress
            | Step::Slow
            | Step::Late
            | Step::Denied
            | Step::Hidden
            | Step::Approved
            | Step::Rejected
            | Step::Pending => {}
        }
    }

    /// The newest revision has no ping.
    async fn ping(&mut self, step: Step) {
        let (method, wanted) = match self.revision == Revision::Newest {
            true => ("server/discover", "2026-07-28"),
            false => ("ping", "result"),
        };
        self.plain(step, method, wanted).await;
    }

    async fn call(&mut self, step: Step, arguments: Value, expect: Expect) {
        self.tool(step, "echo", arguments, expect).await;
    }

    async fn tool(&mut self, step: Step, tool: &str, arguments: Value, expect: Expect) {
        let (nonce, id, message) = self.tool_call(tool, arguments);
        let pace = if step == Step::Slow {
            Duration::from_millis(25)
        } else {
            Duration::ZERO
        };
        let (began, sent) = (Instant::now(), SystemClock::new().now().0);
        let outlived = self.tokens.outlived(sent);
        let heard = self.ask(id, &message, pace).await;
        let took = u32::try_from(began.elapsed().as_micros()).ok();
        let mut outcome = self.judge(expect, &heard, &nonce);
        if outlived && outcome == Outcome::Answered {
            outcome = Outcome::Unexpected("answered with a token that had ended".into());
        }
        self.count(
            &format!("{step:?}"),
            outcome,
            took.filter(|_| step == Step::Call),
        );
        // After a pipe broke, one call may find that out; not two.
        self.shaken = expect == Expect::Failure || (self.plan.calm && self.shaken);
    }

    /// A call of a tool with a mark of its own.
    pub(crate) fn tool_call(&mut self, tool: &str, mut arguments: Value) -> (String, u64, Value) {
        let nonce = self.nonce();
        if let Some(members) = arguments.as_object_mut() {
            members.insert("nonce".into(), json!(nonce));
        }
        let mut params = json!({ "name": tool, "arguments": arguments });
        let progress = params.pointer("/arguments/progress").is_some();
        if let Some(members) = params.as_object_mut().filter(|_| progress) {
            members.insert("_meta".into(), json!({ "progressToken": nonce }));
        }
        let (id, message) = self.message("tools/call", params);
        (nonce, id, message)
    }

    async fn faulty(&mut self) {
        let at = self.chance.below(FAULTS.len() as u64);
        let fault = usize::try_from(at)
            .ok()
            .and_then(|at| FAULTS.get(at))
            .copied()
            .unwrap_or("die");
        let events = self.chance.below(2) == 0;
        let arguments = json!({ "fault": fault, "events": events, "progress": 2 });
        self.call(Step::Fault, arguments, Expect::Failure).await;
        // What is left of a pipe after a fault is anybody's guess: begin anew, as clients do.
        if self.target.linked && self.revision != Revision::Newest {
            self.close().await;
        }
    }

    /// The server ends the stream before the answer, and the client fetches it.
    async fn polling(&mut self, step: Step) {
        if self.revision.streams() && !self.target.linked {
            self.call(
                step,
                json!({ "fault": "poll", "events": true }),
                Expect::Answer,
            )
            .await;
        }
    }

    async fn swap(&mut self, step: Step) {
        let left = self.chance.below(2) == 0;
        let side = if left { "left" } else { "right" };
        self.tool(step, "swap", json!({ "side": side }), Expect::Swap { left })
            .await;
    }

    /// A request that is no call of a tool.
    async fn plain(&mut self, step: Step, method: &str, wanted: &str) {
        let (id, message) = self.message(method, json!({}));
        let heard = self.ask(id, &message, Duration::ZERO).await;
        let outcome = match &heard {
            Heard::Answer(answer)
                if answer.get("result").is_some() && answer.to_string().contains(wanted) =>
            {
                Outcome::Answered
            }
            Heard::Answer(answer) if !self.plan.outages && !self.shaken => {
                Outcome::Unexpected(format!("{method}: {}", short(&answer.to_string())))
            }
            Heard::Answer(_) => Outcome::Lost,
            Heard::Status(..) | Heard::Lost(_) => self.judge(Expect::Answer, &heard, "no mark"),
        };
        self.count(&format!("{step:?}"), outcome, None);
        self.shaken = false;
    }

    /// Two identical calls at once: one grant, one run.
    async fn twins(&mut self) {
        if !self.revision.streams() {
            return;
        }
        let (nonce, id, message) = self.tool_call("guarded", json!({ "plan": "please-approve" }));
        let mut other = message.clone();
        let second = self.fresh();
        if let Some(members) = other.as_object_mut() {
            members.insert("id".into(), json!(second));
        }
        let request = self.post(&other);
        let mut connection = super::wire::Connection::new(self.target.address);
        let twin = tokio::spawn(async move {
            connection
                .send(request)
                .await
                .map(|response| (response, connection))
        });
        let heard = self.ask(id, &message, Duration::ZERO).await;
        let first = self.judge(Expect::Twin, &heard, &nonce);
        self.count("Twins", first, None);
        let heard = match twin.await {
            Ok(Ok((response, _connection))) => self.hear(second, response, Duration::ZERO).await,
            Ok(Err(error)) => Err(error),
            Err(error) => Err(error.into()),
        };
        let heard = heard.unwrap_or_else(|error| Heard::Lost(format!("{error:#}")));
        let outcome = self.judge(Expect::Twin, &heard, &nonce);
        self.count("Twins", outcome, None);
    }

    /// An array of calls, which only 2025-03-26 knows.
    async fn batch(&mut self) {
        if self.revision != Revision::Batches {
            return;
        }
        let (first, _, one) = self.tool_call("echo", json!({}));
        let (second, id, two) = self.tool_call("echo", json!({ "events": true }));
        let heard = self.ask(id, &json!([one, two]), Duration::ZERO).await;
        let outcome = match &heard {
            Heard::Answer(Value::Array(answers)) if answers.len() == 2 => {
                let text = json!(answers).to_string();
                let both =
                    text.contains(&format!("{first} ")) && text.contains(&format!("{second} "));
                match both {
                    true => Outcome::Answered,
                    false if self.plan.outages || self.shaken => Outcome::Lost,
                    false => Outcome::Unexpected(short(&text)),
                }
            }
            Heard::Answer(answer) => Outcome::Unexpected(short(&answer.to_string())),
            Heard::Status(..) | Heard::Lost(_) => self.judge(Expect::Answer, &heard, &first),
        };
        self.count("Batch", outcome, None);
    }

    async fn listens(&mut self) {
        if self.revision.streams() {
            let outcome = self.listen().await;
            self.count("Listen", outcome, None);
        }
    }

    /// A session that is another's does not exist.
    async fn stranger(&mut self) {
        let chance = self.chance.below(256);
        let other = self
            .tally
            .others_session(&self.target.name, &self.owner, chance);
        let Some(other) = other else {
            return;
        };
        if self.revision == Revision::Newest || !self.is_of_my_kind(&other) {
            return;
        }
        let (_, message) = self.message("ping", json!({}));
        let request = self.as_stranger(&message, &other);
        let outcome = match self.connection.send(request).await {
            Ok(response) if response.status() == 404 => {
                self.tally.with(Report::stranger);
                Outcome::Refused
            }
            Ok(response) if response.status() == 401 && self.tokens.renewed("401", &self.tally) => {
                Outcome::Refused
            }
            Ok(response) => {
                Outcome::Unexpected(format!("a stranger's session: {}", response.status()))
            }
            Err(error) => self.without_answer(&format!("{error:#}")),
        };
        self.connection.leave();
        self.count("Stranger", outcome, None);
    }

    fn is_of_my_kind(&self, session: &str) -> bool {
        session.starts_with('/') == (self.revision == Revision::Oldest)
    }
}
