//! What two callers, or two streams of one, could hear of each other.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::super::bed::{Bed, Client, Target};
use super::super::hostile::Play;
use super::super::wire::{self, Line};
use super::{Script, own, until};

pub(super) const ALL: &[(&str, Script)] = &[
    ("same_id_modern", same_id_modern),
    ("same_id_twice", same_id_twice),
    ("same_progress_token", same_progress_token),
    ("cancel_of_a_stranger", cancel_of_a_stranger),
    ("resumed_stream", resumed_stream),
    ("several_streams", several_streams),
];

const SHORT: Duration = Duration::from_secs(10);
const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{\"resultType\":\"complete\",\"content\":[{\"type\":\"text\",\"text\":\"said {message}\"}]}}";

fn modern_call(client: &Client, target: &Target, message: &str) -> Vec<u8> {
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"echo","arguments":{{"message":"{message}"}},"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}"#
    );
    let whole = client.post(target.address, body.as_bytes());
    let text = String::from_utf8_lossy(&whole).into_owned();
    text.replacen(
        "\r\n",
        "\r\nMcp-Method: tools/call\r\nMcp-Name: echo\r\n",
        1,
    )
    .into_bytes()
}

/// Sends the requests at once, each with the word that its answer must have, and no other's.
fn all_at_once(target: &Target, requests: &[(String, Vec<u8>)]) -> Result<()> {
    std::thread::scope(|scope| {
        let jobs: Vec<_> = requests
            .iter()
            .map(|(word, bytes)| (word, scope.spawn(|| wire::ask(target.address, bytes))))
            .collect();
        for (word, job) in jobs {
            let heard = job
                .join()
                .map_err(|_| anyhow::anyhow!("it panicked"))??
                .text();
            ensure!(
                heard.contains(&format!("said {word}")),
                "the answer to `{word}` is {heard}"
            );
            for (other, _) in requests.iter().filter(|(other, _)| other != word) {
                ensure!(
                    !heard.contains(&format!("said {other}")),
                    "`{word}` hears of `{other}`: {heard}"
                );
            }
        }
        Ok(())
    })
}

fn same_id_modern(target: &Target) -> Result<()> {
    let play = Play {
        bytes: ANSWER.into(),
        hangs: false,
        after: Duration::from_millis(200),
    };
    own(target)?.play("tools/call", play);
    let mut requests = Vec::new();
    for number in 0..8 {
        let client = target.client(&format!("modern-{number}"), "2026-07-28")?;
        let word = format!("word-{number}-");
        requests.push((word.clone(), modern_call(&client, target, &word)));
    }
    all_at_once(target, &requests)
}

fn same_id_twice(target: &Target) -> Result<()> {
    let play = Play {
        bytes: ANSWER.into(),
        hangs: false,
        after: Duration::from_millis(200),
    };
    own(target)?.play("tools/call", play);
    let client = target.client("twice", "2025-06-18")?;
    let requests: Vec<_> = (0..4)
        .map(|number| {
            let word = format!("twice-{number}-");
            let bytes = client.call(
                target.address,
                7,
                "echo",
                &format!(r#"{{"message":"{word}"}}"#),
            );
            (word, bytes)
        })
        .collect();
    all_at_once(target, &requests)
}

fn same_progress_token(target: &Target) -> Result<()> {
    let mut play = Play::stream(
        "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":\"p\",\"progress\":1,\"message\":\"said {message}\"}}\n\ndata: {\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{\"content\":[]}}\n\n",
        false,
    );
    play.after = Duration::from_millis(200);
    own(target)?.play("tools/call", play);
    let mut requests = Vec::new();
    for number in 0..4 {
        let client = target.client(&format!("progress-{number}"), "2025-06-18")?;
        let word = format!("token-{number}-");
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"echo","arguments":{{"message":"{word}"}},"_meta":{{"progressToken":"p"}}}}}}"#
        );
        requests.push((word, client.post(target.address, body.as_bytes())));
    }
    all_at_once(target, &requests)
}

fn cancel_of_a_stranger(target: &Target) -> Result<()> {
    let server = own(target)?;
    let play = Play {
        bytes: ANSWER.into(),
        hangs: false,
        after: Duration::from_secs(2),
    };
    server.play("tools/call", play);
    let (ada, eve) = (
        target.client("cancelled-ada", "2025-06-18")?,
        target.client("cancelled-eve", "2025-06-18")?,
    );
    let before = server.calls("tools/call").len();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            wire::ask(
                target.address,
                &ada.call(target.address, 77, "echo", r#"{"message":"mine"}"#),
            )
        });
        until("the call", SHORT, || {
            Ok((server.calls("tools/call").len() > before).then_some(()))
        })?;
        let cancel =
            br#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":77}}"#;
        let heard = wire::ask(target.address, &eve.post(target.address, cancel))?;
        ensure!(heard.status < 500, "{}", heard.text());
        // With the stranger's token in the victim's session it is nobody's.
        let stolen = Client {
            session: ada.session.clone(),
            ..eve.clone()
        };
        let heard = wire::ask(target.address, &stolen.post(target.address, cancel))?;
        ensure!(heard.status == 404, "{}", heard.text());
        let heard = waiting
            .join()
            .map_err(|_| anyhow::anyhow!("it panicked"))??;
        ensure!(
            heard.text().contains("said mine"),
            "the call was cancelled by a stranger: {}",
            heard.text()
        );
        Ok(())
    })
}

fn listening(client: &Client, target: &Target, more: &str) -> Result<Line> {
    let streams = own(target)?.streams();
    let mut text = format!("GET /mcp HTTP/1.1\r\n{more}");
    for (name, value) in client
        .headers(target.address)
        .iter()
        .filter(|(name, _)| name != "Content-Type")
    {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    let mut line = Line::open(target.address)?;
    line.write(text.as_bytes());
    let heard = line.begin()?;
    ensure!(heard.status == 200, "no stream: {}", heard.text());
    until("the server's side of the stream", SHORT, || {
        Ok((own(target)?.streams() > streams).then_some(()))
    })?;
    Ok(line)
}

fn log_event(id: &str, text: &str) -> String {
    format!(
        "id: {id}\ndata: {{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{{\"level\":\"info\",\"data\":\"{text}\"}}}}\n\n"
    )
}

fn resumed_stream(target: &Target) -> Result<()> {
    let server = own(target)?;
    let ada = target.client("resuming", "2025-06-18")?;
    let mut heard = Vec::new();
    for _ in 0..2 {
        let mut line = listening(&ada, target, "Last-Event-ID: e1\r\n")?;
        server.tell(0, &log_event("e2", "key AKIAIOSFODNN7EXAMPLE again"))?;
        let text = line.read_until("again")?;
        ensure!(!text.contains("AKIAIOSFODNN7EXAMPLE"), "{text}");
        ensure!(text.contains("id: e2"), "{text}");
        let data = text
            .lines()
            .find(|line| line.starts_with("data:"))
            .context("data")?;
        heard.push(data.to_owned());
    }
    ensure!(
        heard.first() == heard.last(),
        "masked differently: {heard:?}"
    );
    ensure!(target.guard.requests()?.is_empty(), "an approver was asked");
    let asked = server
        .calls("GET")
        .iter()
        .filter(|get| get.head.to_lowercase().contains("last-event-id: e1"))
        .count();
    ensure!(asked == 2, "the server heard of {asked} resumptions");
    Ok(())
}

fn several_streams(target: &Target) -> Result<()> {
    let server = own(target)?;
    let ada = target.client("listening", "2025-06-18")?;
    let mut first = listening(&ada, target, "")?;
    let mut second = listening(&ada, target, "")?;
    server.tell(1, &log_event("a", "for the first"))?;
    server.tell(0, &log_event("b", "for the second"))?;
    let (one, two) = (
        first.read_until("for the first")?,
        second.read_until("for the second")?,
    );
    let more =
        String::from_utf8_lossy(&first.rest(Duration::from_millis(500))?).into_owned() + &one;
    ensure!(
        !more.contains("for the second"),
        "the first stream hears {more}"
    );
    let more =
        String::from_utf8_lossy(&second.rest(Duration::from_millis(500))?).into_owned() + &two;
    ensure!(
        !more.contains("for the first"),
        "the second stream hears {more}"
    );
    Ok(())
}

/// Needs a guard of its own, which is ended under its clients.
pub(super) fn restarted_guard(bed: &Bed) -> Result<()> {
    let mut target = bed.own("restarted")?;
    let ada = target.client("restarted", "2025-06-18")?;
    let call = |target: &Target| {
        wire::ask(
            target.address,
            &ada.call(target.address, 1, "echo", r#"{"message":"before"}"#),
        )
    };
    let heard = call(&target)?;
    if !heard.text().contains("said before") {
        bail!("the session does not work: {}", heard.text());
    }
    let given = own(&target)?.calls("tools/call").len();
    bed.again(&mut target)?;
    let heard = call(&target)?;
    ensure!(heard.status == 404, "a session of nobody: {}", heard.text());
    ensure!(
        own(&target)?.calls("tools/call").len() == given,
        "the server was given the call of a dead session"
    );
    super::others_are_served(&target, "restarted")?;
    super::record::check(&mut target, &[]).map(drop)
}
