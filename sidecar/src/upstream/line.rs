//! One message a line: the framing of servers that are commands.
//!
//! A line break is the only thing that tells two messages apart, so none may be inside one; and a line that has no
//! end is half a message, never completed by guessing.

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// What some reader of lines takes for the end of one. Strict JSON has the first two between tokens only, the others
/// inside strings only; of those, Java's `Scanner` and Python's `splitlines` make line ends.
const BREAKS: [(&str, &str); 5] = [
    ("\n", " "),
    ("\r", " "),
    ("\u{85}", "\\u0085"),
    ("\u{2028}", "\\u2028"),
    ("\u{2029}", "\\u2029"),
];

/// A judged message as the one line that the framing allows.
///
/// A server that reads lines would take what follows a line break for a message of its own, which nobody judged.
/// Between two tokens a space says the same, and inside a string the escape does.
#[must_use]
pub fn one_line(message: Bytes) -> Bytes {
    let breaks = |(raw, _): &(&str, &str)| memchr::memmem::find(&message, raw.as_bytes()).is_some();
    if !BREAKS.iter().any(breaks) {
        return message;
    }
    // What is not UTF-8 was never judged; a replaced character then is no worse than what it was.
    let text = String::from_utf8_lossy(&message).into_owned();
    let one = BREAKS
        .iter()
        .fold(text, |text, (raw, instead)| text.replace(raw, instead));
    Bytes::from(one)
}

/// One line without its end; an error when it is longer than `limit`, none at the end of the stream.
pub async fn read_line<R: AsyncBufRead + Unpin>(
    reader: &mut R,
    limit: usize,
) -> std::io::Result<Option<Bytes>> {
    let mut line = BytesMut::new();
    loop {
        let available = reader.fill_buf().await?;
        if available.is_empty() {
            // A line without its end may be half a message; it is never completed by guessing.
            return Ok(None);
        }
        let (piece, ended) = match memchr::memchr(b'\n', available) {
            Some(end) => (available.get(..end).unwrap_or_default(), true),
            None => (available, false),
        };
        if line.len() + piece.len() > limit {
            return Err(std::io::Error::other(format!(
                "a message longer than {limit} bytes"
            )));
        }
        line.extend_from_slice(piece);
        let used = piece.len() + usize::from(ended);
        reader.consume(used);
        if ended {
            if line.last() == Some(&b'\r') {
                line.truncate(line.len() - 1);
            }
            return Ok(Some(line.freeze()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_to_every_reader_of_lines_and_says_the_same() {
        let rows = [
            ("as it is", "{\"a\":\"b c\"}", "{\"a\":\"b c\"}"),
            ("between tokens", "{\"a\":\r\n1}", "{\"a\":  1}"),
            (
                "Unicode's own line ends in a text",
                "{\"a\":\"x\u{2028}{}\u{2029}{}\u{85}y\"}",
                r#"{"a":"x\u2028{}\u2029{}\u0085y"}"#,
            ),
        ];
        for (name, message, line) in rows {
            assert_eq!(one_line(Bytes::from(message)), line, "{name}");
            let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
            assert_eq!(value(message), value(line), "{name}");
        }
    }
}
