//! The pod's binary and its signed policy: what is put in force, what is refused, and what stays meanwhile.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]
#![allow(
    missing_debug_implementations,
    unreachable_pub,
    reason = "helpers of one test"
)]

mod pod;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use http::StatusCode;
use pod::{Pod, Policy, Sidecar, now, within};
use sallyport_policy::bundle::shards::Manifest;
use sallyport_policy::proof::{GREETING, KEPT, Nonce, REPORT, Seen, verify};
use sallyport_policy::time::UnixMillis;
use serde_json::json;

const TWO_SECONDS: Duration = Duration::from_secs(2);

async fn soon(sidecar: &Sidecar, tool: &str, verdict: &str) {
    let asked = async || sidecar.call(tool).await == verdict;
    let took = within(TWO_SECONDS, asked).await;
    let log = sidecar.log();
    assert!(
        took.is_some(),
        "`{tool}` was not `{verdict}` in 2 s:\n{log}"
    );
}

#[tokio::test]
async fn without_a_policy_everything_is_denied_and_nobody_is_ready() {
    let pod = Pod::new().await;
    let sidecar = pod.start();
    assert_eq!(sidecar.call("look").await, "no_policy");
    let waiting = (
        StatusCode::SERVICE_UNAVAILABLE,
        "waiting for: policy\n".to_owned(),
    );
    assert_eq!(sidecar.readyz().await, waiting);
    assert!(sidecar.says("no policy lies in").await);
    assert_eq!(pod.server.seen(), Vec::<String>::new());
    pod.publish(&Policy::of(7));
    soon(&sidecar, "look", "ran").await;
    assert_eq!(sidecar.readyz().await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_signed_policy_decides_and_each_call_is_one_line_on_stdout() {
    let pod = Pod::new().await;
    pod.publish(&Policy::of(7));
    let secret = pod.state.path().join("upstream-token");
    fs::write(&secret, "u-secret\n").unwrap();
    let more = [
        "--credential".to_owned(),
        format!("header:Authorization={}", secret.display()),
        "--credential-prefix".to_owned(),
        "Authorization=Bearer ".to_owned(),
    ];
    let sidecar = Sidecar::start_with(&pod, &more);
    assert_eq!(sidecar.readyz().await.0, StatusCode::OK, "ready at once");
    assert_eq!(sidecar.call("look").await, "ran");
    assert_ne!(sidecar.call("write").await, "ran");
    assert_eq!(sidecar.call("price").await, "approvals_unavailable");
    assert_eq!(pod.server.seen(), ["Bearer u-secret"]);
    let calls = async || sidecar.audit().len() >= 3;
    assert!(within(TWO_SECONDS, calls).await.is_some());
    let told: Vec<_> = sidecar
        .audit()
        .iter()
        .map(|line| (line["target"].clone(), line["outcome"].clone()))
        .collect();
    let line = |outcome: &str| ("sallyport::call".into(), outcome.into());
    assert_eq!(told, [line("ok"), line("denied"), line("denied")]);
    let log = sidecar.log();
    assert!(!log.contains("u-secret"), "{log}");
    assert!(sidecar.stop().success(), "SIGTERM drains");
}

#[tokio::test]
async fn a_swap_of_the_volume_is_in_force_within_two_seconds() {
    let pod = Pod::new().await;
    pod.publish(&Policy::of(7));
    let sidecar = pod.start();
    assert_eq!(sidecar.call("look").await, "ran");
    for generation in 8..12 {
        let tools: &[&str] = if generation % 2 == 0 {
            &["write"]
        } else {
            &["look"]
        };
        pod.publish(&Policy {
            tools,
            ..Policy::of(generation)
        });
        soon(&sidecar, tools[0], "ran").await;
        let other = if tools[0] == "look" { "write" } else { "look" };
        assert_ne!(sidecar.call(other).await, "ran", "swapped whole");
    }
}

#[tokio::test]
async fn law_07_stored_masking_that_no_longer_compiles_is_put_in_force_and_lets_nothing_out() {
    let pod = Pod::new().await;
    let both = Policy {
        tools: &["look", "write"],
        ..Policy::of(7)
    };
    pod.publish(&both);
    let sidecar = pod.start();
    assert_eq!(sidecar.call("look").await, "ran");
    let of_look = json!({ "fields": [{ "tool": "look", "path": "$.card[" }] });
    pod.publish(&Policy {
        generation: 8,
        masking: of_look,
        ..both.clone()
    });
    soon(&sidecar, "look", "masking_unreadable").await;
    assert_eq!(sidecar.call("write").await, "ran");
    let of_any_text = json!({ "patterns": [{ "name": "badge", "regex": "(" }] });
    pod.publish(&Policy {
        generation: 9,
        masking: of_any_text,
        ..both.clone()
    });
    soon(&sidecar, "write", "masking_unreadable").await;
    let ran = pod.server.seen().len();
    assert_eq!(sidecar.call("look").await, "masking_unreadable");
    // A gateway that cannot be read denies, and must not leave what came before in force.
    pod.publish(&Policy {
        generation: 10,
        server: json!({ "forwardHeaders": ["Cookie"] }),
        ..both.clone()
    });
    soon(&sidecar, "look", "no_policy").await;
    assert_eq!(pod.server.seen().len(), ran, "none of it was sent");
    pod.publish(&Policy {
        generation: 11,
        ..both
    });
    soon(&sidecar, "look", "ran").await;
}

/// What an envelope is, its bytes, the manifest's generation, and the word by which it is refused.
type Bad = (&'static str, Vec<u8>, u64, &'static str);

fn bad_envelopes(pod: &Pod, bad: &Policy) -> Vec<Bad> {
    let signed = pod.operator.sign(bad);
    let mut edited = signed.clone();
    // Inside the payload, so that it stays readable and only the signature can tell.
    let middle = edited.len() / 3;
    edited[middle] = if edited[middle] == b'A' { b'B' } else { b'A' };
    let truncated = signed[..signed.len() - 40].to_vec();
    let sign = |change: &dyn Fn(&mut Policy)| {
        let mut policy = bad.clone();
        change(&mut policy);
        pod.operator.sign(&policy)
    };
    let orders = sign(&|policy| policy.name = "orders");
    let expired = sign(&|policy| policy.not_after = UnixMillis(now().0 - 1000));
    let older = sign(&|policy| policy.generation = 6);
    let former = sign(&|policy| (policy.generation, policy.uid) = (6, "u0"));
    let forged = pod.operator.forge(bad);
    vec![
        // Neighbours are refused for different reasons: the same one again would not be told again.
        ("edited", edited, 8, "signature of the bundle does not fit"),
        ("truncated", truncated, 8, "cannot be read"),
        ("of a former gateway", former, 6, "6, older than 7"),
        ("empty", Vec::new(), 8, "cannot be read"),
        ("older", older, 6, "generation 6, older than 7"),
        ("of another root", forged, 8, "not signed by the root key"),
        ("of another gateway", orders, 8, "for gateway `shop/orders`"),
        ("expired", expired, 8, "has expired"),
        ("with a lie", signed, 9, "manifest says generation 9"),
    ]
}

#[tokio::test]
async fn what_is_not_good_is_refused_by_its_name_and_the_last_good_policy_stays() {
    let pod = Pod::new().await;
    let good = Policy {
        tools: &["look"],
        ..Policy::of(7)
    };
    // Every bad one would allow what the good one does not.
    let bad = Policy {
        tools: &["write"],
        ..Policy::of(8)
    };
    pod.publish(&good);
    let sidecar = pod.start();
    for (name, envelope, generation, word) in bad_envelopes(&pod, &bad) {
        sidecar.forget_the_log();
        pod.volume.publish(&envelope, generation);
        assert!(sidecar.says(word).await, "{name}: {}", sidecar.log());
        assert_ne!(sidecar.call("write").await, "ran", "{name}");
        assert_eq!(sidecar.call("look").await, "ran", "{name}");
        pod.publish(&good);
    }
    sidecar.forget_the_log();
    let signed = pod.operator.sign(&bad);
    let (manifest, [first, second, third, _]) = Manifest::split(&signed, 8).unwrap();
    pod.volume
        .write(&manifest, &[first, second, third, b"edited"]);
    assert!(sidecar.says("shard 3 is not the one").await);
    assert_eq!(sidecar.call("look").await, "ran");
    pod.publish(&bad);
    soon(&sidecar, "write", "ran").await;
}

#[tokio::test]
async fn an_older_policy_is_refused_across_a_restart_too() {
    let pod = Pod::new().await;
    pod.publish(&Policy::of(7));
    let sidecar = pod.start();
    assert_eq!(sidecar.call("look").await, "ran");
    assert!(sidecar.stop().success());
    pod.publish(&Policy {
        tools: &["write"],
        ..Policy::of(6)
    });
    let sidecar = pod.start();
    assert!(sidecar.says("generation 6, older than 7").await);
    assert_eq!(sidecar.call("look").await, "ran", "the last good one, kept");
    assert_ne!(sidecar.call("write").await, "ran");
    drop(sidecar);
    fs::remove_file(pod.state.path().join("bundle/envelope")).unwrap();
    let sidecar = pod.start();
    assert_eq!(
        sidecar.call("look").await,
        "no_policy",
        "the number alone refuses it"
    );
    pod.publish(&Policy::of(8));
    soon(&sidecar, "look", "ran").await;
}

#[tokio::test]
async fn a_pod_never_goes_below_the_generation_it_was_made_with() {
    let pod = Pod::new().await;
    pod.publish(&Policy::of(7));
    let more = ["--minimum-generation".to_owned(), "8".to_owned()];
    let sidecar = Sidecar::start_with(&pod, &more);
    assert_eq!(sidecar.call("look").await, "no_policy");
    assert!(sidecar.says("generation 7, older than 8").await);
}

#[tokio::test]
async fn a_policy_that_expires_denies_without_any_change_and_a_new_signature_revives_it() {
    let pod = Pod::new().await;
    let short = |generation| Policy {
        not_after: UnixMillis(now().0 + 2500),
        ..Policy::of(generation)
    };
    pod.publish(&short(7));
    let sidecar = pod.start();
    assert_eq!(sidecar.call("look").await, "ran");
    assert!(sidecar.says("the policy in force has expired").await);
    assert_eq!(sidecar.call("look").await, "policy_expired");
    pod.publish(&short(8));
    soon(&sidecar, "look", "ran").await;
    pod.publish(&Policy::of(9));
    assert!(sidecar.says("\"generation\":9").await);
    tokio::time::sleep(Duration::from_millis(2600)).await;
    assert_eq!(
        sidecar.call("look").await,
        "ran",
        "signed anew before the end"
    );
}

#[tokio::test]
async fn the_policy_of_a_gateway_made_anew_ends_the_old_one() {
    let pod = Pod::new().await;
    pod.publish(&Policy::of(7));
    let sidecar = pod.start();
    assert_eq!(sidecar.call("look").await, "ran");
    pod.publish(&Policy {
        uid: "u2",
        ..Policy::of(8)
    });
    soon(&sidecar, "look", "no_policy").await;
    assert!(sidecar.says("restart required").await);
    drop(sidecar);
    let sidecar = pod.start();
    assert_eq!(
        sidecar.call("look").await,
        "no_policy",
        "also after a restart"
    );
}

#[test]
fn wrong_arguments_are_told_together_with_exit_code_64() {
    let rows: [(&str, &[&str], &[&str]); 3] = [
        (
            "nothing given",
            &[],
            &["--bundle", "--state", "--gateway", "name the server"],
        ),
        ("an unknown flag", &["--verbose"], &["--verbose"]),
        (
            "two mistakes",
            &["--listen", "8080", "--gateway", "a"],
            &["`8080`", "`a`"],
        ),
    ];
    for (name, arguments, words) in rows {
        let output = Command::new(env!("CARGO_BIN_EXE_sallyport-sidecar"))
            .args(arguments)
            .output()
            .unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64), "{name}: {told}");
        for word in words {
            assert!(told.contains(word), "{name}: {word}: {told}");
        }
    }
}

/// What the validator does, as this test's own user.
struct Validator {
    stream: BufReader<UnixStream>,
    key: Vec<u8>,
}

impl Validator {
    fn at(socket: &Path) -> Self {
        let mut stream = BufReader::new(UnixStream::connect(socket).unwrap());
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        let digits = line.trim_end().strip_prefix(GREETING).unwrap();
        Self {
            key: hex::decode(digits).unwrap(),
            stream,
        }
    }

    /// Puts a question to a port, and tells whether this sidecar answered.
    fn ask(&self, address: &str) -> bool {
        let nonce = Nonce::new([7; 32]);
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(&nonce.question()).unwrap();
        let ours = Seen::new(stream.local_addr().unwrap(), stream.peer_addr().unwrap());
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        verify(&answer, &nonce, &self.key, ours).is_ok()
    }

    fn report(mut self) -> String {
        writeln!(self.stream.get_ref(), "{REPORT}").unwrap();
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

/// What comes back to somebody who speaks HTTP at once.
fn spoken(address: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .write_all(b"GET /mcp HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    // It may be reset: what it sent was not read.
    stream.read_to_string(&mut answer).ok();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_served_before_the_validator_reported_and_a_restart_remembers() {
    let pod = Pod::new().await;
    pod.publish(&Policy::of(7));
    let socket = pod.state.path().join("validator.sock");
    let us = rustix::process::getuid().as_raw();
    let more = [
        "--proof".to_owned(),
        socket.display().to_string(),
        "--validator-uid".to_owned(),
        us.to_string(),
    ];
    let sidecar = Sidecar::start_with(&pod, &more);
    assert_eq!(spoken(sidecar.address()), "");
    let waiting = "waiting for: validator\n".to_owned();
    assert_eq!(
        sidecar.readyz().await,
        (StatusCode::SERVICE_UNAVAILABLE, waiting)
    );
    let codes: Vec<_> = sidecar
        .audit()
        .iter()
        .map(|line| line["code"].clone())
        .collect();
    assert_eq!(codes, ["capture_unproven"]);
    let validator = Validator::at(&socket);
    assert!(validator.ask(sidecar.address()));
    assert_eq!(validator.report(), KEPT);
    assert_eq!(sidecar.call("look").await, "ran");
    assert_eq!(sidecar.readyz().await.0, StatusCode::OK);
    let before = Validator::at(&socket).key;
    drop(sidecar);
    let again = Sidecar::start_with(&pod, &more);
    assert_eq!(again.call("look").await, "ran");
    assert!(Validator::at(&socket).ask(again.address()));
    assert_ne!(
        Validator::at(&socket).key,
        before,
        "a key lives as long as its process"
    );
}
