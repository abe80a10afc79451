//! How somebody who dials a port of a pod learns that the sidecar answered, and nobody else.
//!
//! A question is one line that begins with a byte that neither TLS nor HTTP can begin with, so that it can be put to
//! any port before anything is known about it. The answer names the peer and where that peer dialled, as the sidecar's
//! own socket saw them, and is signed by a key that the sidecar made at its start and wrote nowhere. Whoever passes a
//! question on to the sidecar is named as the peer, so a server cannot borrow the answer.

use std::net::{IpAddr, SocketAddr};

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use zeroize::Zeroizing;

/// The first byte of a question.
pub const FIRST: u8 = 0;
/// How long a question is, in bytes.
pub const QUESTION: usize = HEAD.len() + 2 * NONCE + 1;
/// An answer is shorter than this, in bytes.
pub const ANSWER: usize = 512;
/// How long a verifying key is, in bytes.
pub const KEY: usize = 32;

/// The socket in the volume that only sidecar and validator mount: here the validator learns the key, and reports.
pub const SOCKET: &str = "validator.sock";
/// What the sidecar says on it first, before the key as hex digits.
pub const GREETING: &str = "sallyport-key 1 ";
/// What the validator says once every port has answered as it must.
pub const REPORT: &str = "sallyport-proven 1";
/// What the sidecar says once it has kept the report.
pub const KEPT: &str = "sallyport-kept 1";

const NONCE: usize = 32;
const HEAD: &[u8] = b"\0sallyport-proof 1 ";
const ANSWERED: &str = "sallyport-proof 1 ";
const CONTEXT: &[u8] = b"sallyport proof v1\n";

/// What makes one question unlike every other: 32 random bytes, which the caller draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonce([u8; NONCE]);

impl Nonce {
    #[must_use]
    pub const fn new(bytes: [u8; NONCE]) -> Self {
        Self(bytes)
    }

    /// The question that asks for this nonce to be signed.
    #[must_use]
    pub fn question(&self) -> Vec<u8> {
        [HEAD, hex::encode(self.0).as_bytes(), b"\n"].concat()
    }

    /// The nonce of a question.
    #[must_use]
    pub fn of_question(bytes: &[u8]) -> Option<Self> {
        let digits = bytes.strip_prefix(HEAD)?.strip_suffix(b"\n")?;
        let mut nonce = [0; NONCE];
        hex::decode_to_slice(digits, &mut nonce).ok()?;
        Some(Self(nonce))
    }
}

/// What the sidecar saw of whoever asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Who asked.
    pub peer: SocketAddr,
    /// Where the peer dialled, before the rules turned the connection.
    pub dialled: SocketAddr,
}

impl Seen {
    /// Addresses of IPv4 that came in over an IPv6 socket are the same addresses.
    #[must_use]
    pub fn new(peer: SocketAddr, dialled: SocketAddr) -> Self {
        Self {
            peer: plain(peer),
            dialled: plain(dialled),
        }
    }
}

/// An address without the forms in which one address can be written in two ways.
fn plain(address: SocketAddr) -> SocketAddr {
    let ip: IpAddr = address.ip().to_canonical();
    SocketAddr::new(ip, address.port())
}

/// Signs answers. Made at a sidecar's start; prints nothing of itself.
pub struct Prover(Ed25519KeyPair);

impl Prover {
    /// From 32 random bytes, which the caller draws; nothing where they are no key.
    #[must_use]
    pub fn from_seed(seed: &Zeroizing<[u8; 32]>) -> Option<Self> {
        Ed25519KeyPair::from_seed_unchecked(seed.as_slice())
            .ok()
            .map(Self)
    }

    /// The verifying key.
    #[must_use]
    pub fn key(&self) -> Vec<u8> {
        self.0.public_key().as_ref().to_vec()
    }

    /// The answer to a question.
    #[must_use]
    pub fn answer(&self, nonce: &Nonce, seen: Seen) -> String {
        let signature = self.0.sign(&signed(nonce, seen));
        let signature = hex::encode(signature);
        format!("{ANSWERED}{} {} {signature}\n", seen.peer, seen.dialled)
    }
}

impl std::fmt::Debug for Prover {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Prover")
    }
}

/// Why what came back proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotProven {
    #[error("no answer of a sidecar")]
    NoAnswer,
    #[error("an answer with another key: another process answers")]
    OtherKey,
    #[error("the sidecar answered `{peer}`, not us: something passes connections on")]
    PassedOn { peer: SocketAddr },
    #[error("the sidecar saw a connection to `{dialled}`: something passes connections on")]
    Elsewhere { dialled: SocketAddr },
}

/// Whether bytes that came back are the sidecar's own answer to a connection between these two addresses.
///
/// # Errors
/// What else they are.
pub fn verify(answer: &[u8], nonce: &Nonce, key: &[u8], ours: Seen) -> Result<(), NotProven> {
    let (seen, signature) = read(answer).ok_or(NotProven::NoAnswer)?;
    UnparsedPublicKey::new(&ED25519, key)
        .verify(&signed(nonce, seen), &signature)
        .map_err(|_| NotProven::OtherKey)?;
    if seen.peer != ours.peer {
        return Err(NotProven::PassedOn { peer: seen.peer });
    }
    if seen.dialled != ours.dialled {
        return Err(NotProven::Elsewhere {
            dialled: seen.dialled,
        });
    }
    Ok(())
}

fn read(answer: &[u8]) -> Option<(Seen, Vec<u8>)> {
    let text = std::str::from_utf8(answer).ok()?;
    let rest = text.strip_prefix(ANSWERED)?.strip_suffix('\n')?;
    let mut parts = rest.split(' ');
    let peer = parts.next()?.parse().ok()?;
    let dialled = parts.next()?.parse().ok()?;
    let signature = hex::decode(parts.next()?).ok()?;
    let seen = Seen { peer, dialled };
    parts.next().is_none().then_some((seen, signature))
}

fn signed(nonce: &Nonce, seen: Seen) -> Vec<u8> {
    let addresses = format!(" {} {}", seen.peer, seen.dialled);
    [CONTEXT, &nonce.0, addresses.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prover(seed: u8) -> Prover {
        Prover::from_seed(&Zeroizing::new([seed; 32])).unwrap()
    }

    fn seen(peer: &str, dialled: &str) -> Seen {
        Seen::new(peer.parse().unwrap(), dialled.parse().unwrap())
    }

    #[test]
    fn a_question_is_read_again_and_nothing_else_is_one() {
        let nonce = Nonce::new([7; 32]);
        let question = nonce.question();
        assert_eq!(question.len(), QUESTION);
        assert_eq!(question[0], FIRST);
        assert_eq!(Nonce::of_question(&question), Some(nonce));
        for other in [&b"GET /mcp HTTP/1.1\r\n"[..], b"\0", &question[..80], b""] {
            assert_eq!(Nonce::of_question(other), None);
        }
    }

    #[test]
    fn only_the_sidecars_own_answer_to_this_very_connection_is_believed() {
        let (ours, nonce) = (seen("10.0.0.2:40000", "10.0.0.2:8080"), Nonce::new([1; 32]));
        let key = prover(1).key();
        for (name, answer, expected) in [
            ("its own", prover(1).answer(&nonce, ours), Ok(())),
            (
                "another process",
                prover(2).answer(&nonce, ours),
                Err(NotProven::OtherKey),
            ),
            (
                "an old answer",
                prover(1).answer(&Nonce::new([2; 32]), ours),
                Err(NotProven::OtherKey),
            ),
            (
                "passed on by the server",
                prover(1).answer(&nonce, seen("127.0.0.1:5", "127.0.0.1:15101")),
                Err(NotProven::PassedOn {
                    peer: "127.0.0.1:5".parse().unwrap(),
                }),
            ),
            (
                "asked elsewhere",
                prover(1).answer(&nonce, seen("10.0.0.2:40000", "10.0.0.2:15101")),
                Err(NotProven::Elsewhere {
                    dialled: "10.0.0.2:15101".parse().unwrap(),
                }),
            ),
            (
                "a web server",
                "HTTP/1.1 400\r\n".to_owned(),
                Err(NotProven::NoAnswer),
            ),
            ("silence", String::new(), Err(NotProven::NoAnswer)),
        ] {
            assert!(answer.len() < ANSWER, "{name}");
            assert_eq!(
                verify(answer.as_bytes(), &nonce, &key, ours),
                expected,
                "{name}"
            );
        }
    }

    #[test]
    fn an_edited_answer_fits_no_signature() {
        let (ours, nonce) = (seen("[fd00::2]:1", "[fd00::2]:2"), Nonce::new([1; 32]));
        let answer = prover(1).answer(&nonce, seen("[fd00::3]:1", "[fd00::2]:2"));
        let edited = answer.replace("fd00::3", "fd00::2");
        let told = verify(edited.as_bytes(), &nonce, &prover(1).key(), ours);
        assert_eq!(told, Err(NotProven::OtherKey));
    }

    #[test]
    fn an_address_of_ipv4_is_the_same_over_a_socket_of_ipv6() {
        let mapped = seen("[::ffff:10.0.0.2]:1", "[::ffff:10.0.0.2]:2");
        assert_eq!(mapped, seen("10.0.0.2:1", "10.0.0.2:2"));
    }
}
