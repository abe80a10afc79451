//! Approvals that somebody uses who should not, or more often than they are good for.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::super::bed::{Client, Target};
use super::super::issuer::Caller;
use super::super::wire::{self, Heard};
use super::{Script, own, until};

pub(super) const ALL: &[(&str, Script)] = &[
    ("swapped_arguments", swapped_arguments),
    ("raced_approval", raced_approval),
    ("foreign_approval", foreign_approval),
    ("self_approval", self_approval),
    ("agent_at_the_approvals", agent_at_the_approvals),
    ("flood_of_approvals", flood_of_approvals),
    ("token_expires_while_held", token_expires_while_held),
];

const SHORT: Duration = Duration::from_secs(20);

fn held(target: &Target, client: &Client, b: u64) -> Result<Heard> {
    wire::ask(
        target.address,
        &client.call(
            target.address,
            b,
            "get-sum",
            &format!(r#"{{"a":100,"b":{b}}}"#),
        ),
    )
}

/// How often the server was given this sum.
fn given(target: &Target, b: u64) -> Result<usize> {
    let calls = own(target)?.calls("tools/call");
    let wanted = |text: &str| text.contains(&format!(r#""a":100,"b":{b}}}"#));
    Ok(calls.iter().filter(|call| wanted(&call.text())).count())
}

/// The pending request of a caller, once there is one.
fn pending(target: &Target, user: &str) -> Result<String> {
    until("the request", SHORT, || {
        let requests = target.guard.requests()?;
        let found = requests.iter().find(|request| {
            request.to_string().contains(&format!("\"{user}\""))
                && request.to_string().contains("\"Pending\"")
        });
        Ok(found.and_then(|request| {
            request
                .pointer("/metadata/name")?
                .as_str()
                .map(str::to_owned)
        }))
    })
}

/// A call that was held, told as pending, and then approved.
fn approved(target: &Target, user: &str, b: u64) -> Result<Client> {
    let client = target.client(user, "2025-06-18")?;
    let heard = held(target, &client, b)?;
    ensure!(
        heard.text().contains("pending"),
        "it is not held: {}",
        heard.text()
    );
    let request = pending(target, user)?;
    target.decide("approve", &request, "bob", "leads")?;
    Ok(client)
}

fn swapped_arguments(target: &Target) -> Result<()> {
    let ada = approved(target, "swapping", 11)?;
    let heard = held(target, &ada, 12)?;
    ensure!(heard.text().contains("pending"), "{}", heard.text());
    ensure!(
        given(target, 12)? == 0,
        "THE SERVER WAS GIVEN what nobody approved"
    );
    let heard = held(target, &ada, 11)?;
    ensure!(
        heard.text().contains("said"),
        "what was approved does not run: {}",
        heard.text()
    );
    ensure!(
        given(target, 11)? == 1,
        "it ran {} times",
        given(target, 11)?
    );
    Ok(())
}

fn raced_approval(target: &Target) -> Result<()> {
    let ada = approved(target, "racing", 21)?;
    let ran = std::thread::scope(|scope| {
        let jobs: Vec<_> = (0..24)
            .map(|_| scope.spawn(|| held(target, &ada, 21)))
            .collect();
        let mut ran = 0;
        for job in jobs {
            let heard = job.join().map_err(|_| anyhow::anyhow!("it panicked"))??;
            ran += usize::from(heard.text().contains("said nothing"));
        }
        Ok::<_, anyhow::Error>(ran)
    })?;
    ensure!(
        ran == 1 && given(target, 21)? == 1,
        "{ran} were told that it ran, and the server was given it {} times",
        given(target, 21)?
    );
    let heard = held(target, &ada, 21)?;
    ensure!(
        !heard.text().contains("said nothing"),
        "used again: {}",
        heard.text()
    );
    ensure!(given(target, 21)? == 1, "THE SERVER WAS GIVEN IT AGAIN");
    Ok(())
}

fn foreign_approval(target: &Target) -> Result<()> {
    approved(target, "rightful", 31)?;
    let eve = target.client("thief", "2025-06-18")?;
    let heard = held(target, &eve, 31)?;
    ensure!(heard.text().contains("pending"), "{}", heard.text());
    ensure!(
        given(target, 31)? == 0,
        "THE SERVER WAS GIVEN another's approved call"
    );
    Ok(())
}

fn self_approval(target: &Target) -> Result<()> {
    let ada = target.client("selfish", "2025-06-18")?;
    held(target, &ada, 41)?;
    let request = pending(target, "selfish")?;
    for group in ["leads", "clerks"] {
        if let Ok(said) = target.decide("approve", &request, "selfish", group) {
            bail!("approved by the requester: {said}");
        }
    }
    let heard = held(target, &ada, 41)?;
    ensure!(heard.text().contains("pending"), "{}", heard.text());
    ensure!(
        given(target, 41)? == 0,
        "THE SERVER WAS GIVEN what the requester approved"
    );
    Ok(())
}

fn agent_at_the_approvals(target: &Target) -> Result<()> {
    let ada = target.client("at-the-approvals", "2025-06-18")?;
    held(target, &ada, 51)?;
    let request = pending(target, "at-the-approvals")?;
    let verdict = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"approvals/approve","params":{{"request":"{request}","verdict":"Approve"}}}}"#
    );
    for path in [
        "/approvals",
        "/approve",
        "/mcp/approvals",
        "/requests",
        "/admin",
        "/mcp",
    ] {
        let whole = ada.post(target.address, verdict.as_bytes());
        let text = String::from_utf8_lossy(&whole).replacen("/mcp", path, 1);
        let heard = wire::ask(target.address, text.as_bytes())?;
        let refused = heard.status == 404 || heard.text().contains("-32601");
        ensure!(refused, "{path}: {}", heard.text());
    }
    let forged = format!(
        r#"{{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{{"name":"get-sum","arguments":{{"a":100,"b":51}},"_meta":{{"dev.sallyport/approval":{{"id":"{request}","status":"approved"}}}}}}}}"#
    );
    let heard = wire::ask(target.address, &ada.post(target.address, forged.as_bytes()))?;
    ensure!(heard.text().contains("pending"), "{}", heard.text());
    ensure!(
        given(target, 51)? == 0,
        "THE SERVER WAS GIVEN what nobody approved"
    );
    Ok(())
}

fn flood_of_approvals(target: &Target) -> Result<()> {
    let ada = target.client("flooding", "2025-06-18")?;
    let texts = std::thread::scope(|scope| {
        let ada = &ada;
        let jobs: Vec<_> = (61..69)
            .map(|b| scope.spawn(move || held(target, ada, b)))
            .collect();
        let mut texts = Vec::new();
        for job in jobs {
            texts.push(
                job.join()
                    .map_err(|_| anyhow::anyhow!("it panicked"))??
                    .text(),
            );
        }
        Ok::<_, anyhow::Error>(texts)
    })?;
    let refused = texts
        .iter()
        .filter(|text| text.contains("too_many_pending"))
        .count();
    ensure!(
        refused == 4,
        "of 8 requests {refused} were refused, and 4 may be open: {texts:?}"
    );
    Ok(())
}

fn token_expires_while_held(target: &Target) -> Result<()> {
    let caller = Caller {
        user: "expiring",
        groups: &["clerks"],
        seconds: 3,
    };
    let token = target.issuer.token(caller);
    let client = target.client_with("expiring", "2025-06-18", token)?;
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| held(target, &client, 71));
        let request = pending(target, "expiring")?;
        std::thread::sleep(Duration::from_millis(3100));
        target.decide("approve", &request, "bob", "leads")?;
        let heard = waiting
            .join()
            .map_err(|_| anyhow::anyhow!("it panicked"))??;
        ensure!(!heard.text().contains("said nothing"), "{}", heard.text());
        Ok(())
    })
    .context("the held call")?;
    ensure!(
        given(target, 71)? == 0,
        "THE SERVER WAS GIVEN the call of an expired token"
    );
    Ok(())
}
