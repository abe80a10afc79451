//! The proof of a sidecar: nothing but its own answer to this very connection is believed, whatever comes back; and
//! what may stand in its arguments as a recorded probe.

use std::sync::LazyLock;

use sallyport_policy::proof::{ANSWER, Nonce, Prover, Seen, verify};
use sallyport_sidecar::pod::probes::{Endpoint, Probes};
use zeroize::Zeroizing;

use super::Target;
use crate::input::option;

pub(super) const TARGET: Target = Target {
    name: "proof",
    law: "a question has one spelling; an answer is believed only with this key's signature over this nonce and these addresses; a recorded probe is read or refused",
    property,
    seeds,
    longest: 1024,
    words: &[
        "\0sallyport-proof 1 ",
        "sallyport-proof 1 ",
        "10.0.0.2:40000",
        "[fd77::2]:8080",
        "\"httpGet\":",
        "\"tcpSocket\":",
        "\"port\":8080",
        "\"path\":\"/mcp\"",
        "\"httpHeaders\":[",
        "\"timeoutSeconds\":",
    ],
};

struct Asked {
    nonce: Nonce,
    ours: Seen,
    key: Vec<u8>,
    answer: String,
}

static ASKED: LazyLock<Asked> = LazyLock::new(|| {
    let prover = Prover::from_seed(&Zeroizing::new([5; 32])).expect("a key");
    let address = |text: &str| text.parse().expect("an address");
    let ours = Seen::new(address("10.0.0.2:40000"), address("[fd77::2]:8080"));
    let nonce = Nonce::new([9; 32]);
    Asked {
        answer: prover.answer(&nonce, ours),
        key: prover.key(),
        nonce,
        ours,
    }
});

fn seeds() -> Vec<Vec<u8>> {
    let probe = br#"p/probes/server/liveness/x={"httpGet":{"path":"/live","port":9090},"timeoutSeconds":2}"#;
    vec![
        [b"q", ASKED.nonce.question().as_slice()].concat(),
        [b"a", ASKED.answer.as_bytes()].concat(),
        probe.to_vec(),
    ]
}

fn property(data: &[u8]) {
    let (way, rest) = option(data);
    match way {
        b'q' => question(rest),
        b'p' => probe(rest),
        _ => answer(rest),
    }
}

fn question(bytes: &[u8]) {
    if let Some(nonce) = Nonce::of_question(bytes) {
        let again = nonce.question();
        assert!(
            again.eq_ignore_ascii_case(bytes),
            "one spelling, but for the case of digits"
        );
    }
}

fn answer(bytes: &[u8]) {
    let believed = verify(bytes, &ASKED.nonce, &ASKED.key, ASKED.ours).is_ok();
    if believed {
        let text = String::from_utf8_lossy(bytes).to_ascii_lowercase();
        let signature = ASKED.answer.rsplit(' ').next().expect("a signature");
        assert!(text.ends_with(signature), "nobody else signs");
        assert!(bytes.len() < ANSWER, "no longer than an answer is read");
    }
}

fn probe(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let mcp = Endpoint {
        port: Some(8080),
        path: "/mcp",
    };
    let read = Probes::read(&[text.to_owned()], mcp);
    let leads_there = text.contains(r#""port":8080"#) && text.contains(r#""path":"/mcp""#);
    let twice = text.matches("\"path\"").count() + text.matches("\"port\"").count() > 2;
    assert!(
        !(leads_there && !twice && read.is_ok()),
        "no probe asks MCP"
    );
}
