//! Progress of our own while a call waits, and the server's progress after it.
//!
//! A token's progress must strictly increase, so what the server says afterwards is shifted past what we said.

use bytes::Bytes;

use super::message::Id;
use crate::json::{Node, Splice, quote};

/// The progress of one token that we have spoken on.
#[derive(Clone, Debug)]
pub struct Waiting {
    token: Id,
    said: u32,
}

impl Waiting {
    #[must_use]
    pub fn new(token: Id) -> Self {
        Self { token, said: 0 }
    }

    /// The next `notifications/progress`; each is a thousandth further than the one before.
    pub fn say(&mut self, message: &str) -> Bytes {
        self.said = self.said.saturating_add(1);
        Bytes::from(format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{},"progress":{},"message":{}}}}}"#,
            self.token.to_json(),
            thousandths(self.said),
            quote(message),
        ))
    }

    /// The server's `notifications/progress` for the same token, past ours. None: nothing to change, since it is
    /// for another token, or we said nothing.
    #[must_use]
    pub fn shift(&self, message: Node<'_>) -> Option<Bytes> {
        let params = message.get("params")?;
        let is_ours = Id::of(params.get("progressToken")?)? == self.token;
        if self.said == 0 || !is_ours {
            return None;
        }
        let past = thousandths(self.said.saturating_add(1));
        let mut splice = Splice::new();
        for member in ["progress", "total"] {
            let Some(node) = params.get(member) else {
                continue;
            };
            let value: f64 = node.number()?.parse().ok()?;
            splice.replace(node, (value + past).to_string());
        }
        Some(splice.apply(message.document()))
    }
}

fn thousandths(count: u32) -> f64 {
    f64::from(count) / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Document, Limits};

    fn parse(text: impl Into<Bytes>) -> Document {
        Document::parse(text.into(), Limits::RESPONSE).unwrap()
    }

    fn progress_of(text: &Bytes) -> f64 {
        let document = parse(text.clone());
        let params = document.root().get("params").unwrap();
        params
            .get("progress")
            .unwrap()
            .number()
            .unwrap()
            .parse()
            .unwrap()
    }

    fn servers(token: &str, progress: &str) -> Document {
        parse(format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token},"progress":{progress},"total":2,"x":1e0}}}}"#
        ))
    }

    #[test]
    fn progress_of_one_token_strictly_increases_from_ours_to_the_servers() {
        let mut waiting = Waiting::new(Id::text("t\"1"));
        let mut said: Vec<f64> = (0..5)
            .map(|_| progress_of(&waiting.say("waiting")))
            .collect();
        for progress in ["0", "0.5", "1", "2"] {
            let document = servers(r#""t\"1""#, progress);
            said.push(progress_of(&waiting.shift(document.root()).unwrap()));
        }
        assert!(said.windows(2).all(|pair| pair[0] < pair[1]), "{said:?}");
    }

    #[test]
    fn progress_of_another_token_or_before_we_spoke_is_left_alone() {
        let mut waiting = Waiting::new(Id::integer(1));
        let own = servers("1", "0");
        assert_eq!(waiting.shift(own.root()), None);
        let _said = waiting.say("waiting");
        let other = servers(r#""1""#, "0");
        assert_eq!(waiting.shift(other.root()), None);
        let shifted = waiting.shift(own.root()).unwrap();
        assert!(shifted.ends_with(br#""progress":0.002,"total":2.002,"x":1e0}}"#));
    }
}
