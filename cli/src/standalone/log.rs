//! The log on stderr: one calm line a call for people, or one JSON object a line.

use std::fmt;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::LogFormat;

/// Starts the log. `SALLYPORT_LOG` chooses more or less (`debug`, `sallyport_sidecar=trace`).
pub(super) fn start(format: LogFormat) {
    let filter =
        EnvFilter::try_from_env("SALLYPORT_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Text => builder.event_format(Calm).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    // A second start in one process keeps the first log.
    started.ok();
}

/// Time, a mark for what needs attention, and the message; control characters of callers are made visible.
struct Calm;

impl<S, N> FormatEvent<S, N> for Calm
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut words = Words {
            lines: !tells_of_callers(event.metadata().target()),
            ..Words::default()
        };
        event.record(&mut words);
        let mark = match *event.metadata().level() {
            Level::ERROR => "error: ",
            Level::WARN => "warning: ",
            Level::INFO | Level::DEBUG | Level::TRACE => "",
        };
        let source = match event.metadata().target() {
            "server" => "server: ",
            "sallyport::audit" => "refused: ",
            _ => "",
        };
        let now = jiff::Zoned::now().strftime("%H:%M:%S");
        write!(writer, "{now} {mark}{source}{}", words.message)?;
        // A call's line says everything in words already.
        if event.metadata().target() != "sallyport::call" {
            write!(writer, "{}", words.rest)?;
        }
        writeln!(writer)
    }
}

/// Whether the words are those of callers and servers, which keep to their line; our own may need several.
fn tells_of_callers(target: &str) -> bool {
    ["sallyport::call", "sallyport::audit", "server"].contains(&target)
}

#[derive(Default)]
struct Words {
    /// The message may have several lines.
    lines: bool,
    message: String,
    rest: String,
}

impl Visit for Words {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.word(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.word(field.name(), &format!("{value:?}"));
    }
}

impl Words {
    fn word(&mut self, name: &str, value: &str) {
        if name == "message" {
            self.message = printable(value, self.lines);
        } else if !name.starts_with("log.") {
            self.rest
                .push_str(&format!(" {name}={}", printable(value, false)));
        }
    }
}

/// A caller's text must not be able to write lines or colours of its own into the log, nor turn its direction round.
fn printable(text: &str, lines: bool) -> String {
    text.chars()
        .flat_map(|c| match c {
            '\n' | '\t' if lines => vec![c],
            c if c.is_control() || turns(c) => c.escape_unicode().collect(),
            c => vec![c],
        })
        .collect()
}

/// Line breaks that are no control characters, and marks that change the direction of what follows.
fn turns(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_writes_no_line_of_its_own_into_the_log() {
        let name = "echo\n12:00:00 ok ada tools/call\u{202e}\u{1b}[31m";
        assert_eq!(
            printable(name, tells_of_callers("sallyport::config")),
            "echo\n12:00:00 ok ada tools/call\\u{202e}\\u{1b}[31m"
        );
        for target in ["sallyport::call", "sallyport::audit", "server"] {
            let shown = printable(name, !tells_of_callers(target));
            assert_eq!(
                shown,
                "echo\\u{a}12:00:00 ok ada tools/call\\u{202e}\\u{1b}[31m"
            );
        }
    }
}
