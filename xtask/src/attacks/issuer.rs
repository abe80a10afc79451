//! An identity provider on this machine: honest at its root, hostile below. It also makes the tokens, good and forged.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Result, anyhow};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use aws_lc_rs::{digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sallyport_attacks::Forgery;

/// A key of the issuer, or of a stranger.
#[derive(Debug)]
struct Key {
    pair: EcdsaKeyPair,
    kid: String,
}

/// The running issuer; its threads end with the process.
#[derive(Clone, Debug)]
pub(super) struct Issuer {
    pub(super) url: String,
    key: Arc<Key>,
    /// The key of `/rotating` before it is taken back.
    former: Arc<Key>,
    stranger: Arc<Key>,
    rotated: Arc<AtomicBool>,
    /// How often keys were asked for.
    pub(super) fetches: Arc<AtomicUsize>,
}

/// Who a token speaks of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller<'a> {
    pub(super) user: &'a str,
    pub(super) groups: &'a [&'a str],
    pub(super) seconds: i64,
}

impl<'a> Caller<'a> {
    pub(super) fn clerk(user: &'a str) -> Self {
        Self {
            user,
            groups: &["clerks"],
            seconds: 900,
        }
    }
}

impl Key {
    fn new() -> Result<Self> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
            .map_err(|_| anyhow!("no key could be made"))?;
        let public = digest::digest(&digest::SHA256, pair.public_key().as_ref());
        let kid = encoded(public.as_ref()).chars().take(12).collect();
        Ok(Self { pair, kid })
    }

    fn jwk(&self) -> String {
        let point = self.pair.public_key().as_ref();
        let half = |from: usize| encoded(point.get(from..from + 32).unwrap_or_default());
        let kid = &self.kid;
        format!(
            r#"{{"kty":"EC","crv":"P-256","use":"sig","alg":"ES256","kid":"{kid}","x":"{}","y":"{}"}}"#,
            half(1),
            half(33)
        )
    }

    fn sign(&self, message: &str) -> String {
        self.pair
            .sign(&SystemRandom::new(), message.as_bytes())
            .map_or_else(|_| String::new(), |signature| encoded(signature.as_ref()))
    }
}

impl Issuer {
    pub(super) fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let issuer = Self {
            url: format!("http://{}", listener.local_addr()?),
            key: Arc::new(Key::new()?),
            former: Arc::new(Key::new()?),
            stranger: Arc::new(Key::new()?),
            rotated: Arc::default(),
            fetches: Arc::default(),
        };
        let serving = issuer.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let issuer = serving.clone();
                // A peer that goes away ends its thread.
                std::thread::spawn(move || issuer.serve(stream).ok());
            }
        });
        Ok(issuer)
    }

    /// Takes back the key that `/rotating` had.
    pub(super) fn rotate(&self) {
        self.rotated.store(true, Ordering::Relaxed);
    }

    /// A good token.
    pub(super) fn token(&self, caller: Caller<'_>) -> String {
        let claims = self.claims(&self.url, caller);
        signed_with(&self.key, &self.header(&self.key), &claims)
    }

    /// A token of `/rotating`, by the key that it has before, or after it was taken back.
    pub(super) fn rotating_token(&self, caller: Caller<'_>, after: bool) -> String {
        let key = if after { &self.key } else { &self.former };
        let claims = self.claims(&format!("{}/rotating", self.url), caller);
        signed_with(key, &self.header(key), &claims)
    }

    /// A token with a key id that nobody knows.
    pub(super) fn unknown_key_token(&self, number: usize) -> String {
        let claims = self.claims(&self.url, Caller::clerk("mallory"));
        signed_with(
            &self.stranger,
            &format!(r#"{{"alg":"ES256","kid":"invented-{number}"}}"#),
            &claims,
        )
    }

    /// The value of `Authorization` that a case asks for.
    pub(super) fn forged(&self, forgery: &Forgery) -> String {
        let good = self.token(Caller::clerk("mallory"));
        if let Some(value) = &forgery.value {
            return value.replace("{token}", &good);
        }
        let header = forgery
            .header
            .as_deref()
            .map_or_else(|| self.header(&self.key), |text| self.filled(text));
        let claims = forgery.claims.as_deref().map_or_else(
            || self.claims(&self.url, Caller::clerk("mallory")),
            |text| self.filled(text),
        );
        let message = format!(
            "{}.{}",
            encoded(header.as_bytes()),
            encoded(claims.as_bytes())
        );
        let own = self.key.sign(&message);
        let token = match forgery.signed.as_deref() {
            None | Some("issuer") => format!("{message}.{own}"),
            Some("stranger") => format!("{message}.{}", self.stranger.sign(&message)),
            Some("hs256-public") => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, self.key.pair.public_key().as_ref());
                format!(
                    "{message}.{}",
                    encoded(hmac::sign(&key, message.as_bytes()).as_ref())
                )
            }
            Some("cut") => format!("{message}.{}", own.chars().take(40).collect::<String>()),
            Some("changed") => {
                let changed = claims.replace("clerks", "chiefs");
                format!(
                    "{}.{}.{own}",
                    encoded(header.as_bytes()),
                    encoded(changed.as_bytes())
                )
            }
            // `none`, and whatever else a case may say, is not signed.
            Some(_) => format!("{message}."),
        };
        format!("Bearer {token}")
    }

    fn header(&self, key: &Key) -> String {
        format!(r#"{{"alg":"ES256","typ":"at+jwt","kid":"{}"}}"#, key.kid)
    }

    fn claims(&self, issuer: &str, caller: Caller<'_>) -> String {
        let groups = serde_json::json!(caller.groups);
        let (user, exp) = (caller.user, now() + caller.seconds);
        format!(
            r#"{{"iss":"{issuer}","sub":"{user}","aud":"sallyport-attacks","exp":{exp},"iat":{},"groups":{groups},"client_id":"agent"}}"#,
            now()
        )
    }

    fn filled(&self, text: &str) -> String {
        let mut filled = text
            .replace("{iss}", &self.url)
            .replace("{kid}", &self.key.kid)
            .replace("{jwk}", &self.stranger.jwk());
        for offset in [0, 1, -1, 300, 3600] {
            let name = if offset == 0 {
                "{now}".to_owned()
            } else {
                format!("{{now{offset:+}}}")
            };
            filled = filled.replace(&name, &(now() + offset).to_string());
        }
        filled
    }

    fn serve(&self, mut stream: TcpStream) -> Result<()> {
        let mut piece = [0; 8192];
        let read = stream.read(&mut piece)?;
        let text = String::from_utf8_lossy(piece.get(..read).unwrap_or_default()).into_owned();
        let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
        if let Some(issuer) = path.strip_suffix("/.well-known/openid-configuration") {
            return self.discover(&mut stream, issuer);
        }
        self.fetches.fetch_add(1, Ordering::Relaxed);
        match path.strip_suffix("/jwks") {
            Some(issuer) => self.keys(&mut stream, issuer),
            None => answer(&mut stream, "404 Not Found", "", "{}"),
        }
    }

    fn discover(&self, stream: &mut TcpStream, issuer: &str) -> Result<()> {
        let url = &self.url;
        let body = match issuer {
            "/other" => {
                format!(r#"{{"issuer":"https://another.example.com","jwks_uri":"{url}/jwks"}}"#)
            }
            "/elsewhere" => {
                format!(r#"{{"issuer":"{url}/elsewhere","jwks_uri":"http://192.0.2.1/jwks"}}"#)
            }
            path => format!(r#"{{"issuer":"{url}{path}","jwks_uri":"{url}{path}/jwks"}}"#),
        };
        answer(stream, "200 OK", "", &body)
    }

    fn keys(&self, stream: &mut TcpStream, issuer: &str) -> Result<()> {
        let good = format!(r#"{{"keys":[{}]}}"#, self.key.jwk());
        match issuer {
            "/giant" => {
                let body = format!(
                    r#"{{"pad":"{}","keys":[{}]}}"#,
                    "x".repeat(4 << 20),
                    self.key.jwk()
                );
                answer(stream, "200 OK", "", &body)
            }
            "/redirect" => answer(
                stream,
                "302 Found",
                &format!("Location: {}/jwks\r\n", self.url),
                "",
            ),
            "/wrong" => answer(stream, "200 OK", "", r#"{"keys":{"kty":"EC"}}"#),
            "/symmetric" => answer(
                stream,
                "200 OK",
                "",
                r#"{"keys":[{"kty":"oct","k":"c2VjcmV0","alg":"HS256","kid":"s"}]}"#,
            ),
            "/twice" => answer(
                stream,
                "200 OK",
                "",
                &format!(r#"{{"keys":[],"keys":[{}]}}"#, self.key.jwk()),
            ),
            "/hanging" => {
                std::thread::sleep(Duration::from_secs(60));
                Ok(())
            }
            "/rotating" if !self.rotated.load(Ordering::Relaxed) => answer(
                stream,
                "200 OK",
                "",
                &format!(r#"{{"keys":[{}]}}"#, self.former.jwk()),
            ),
            _ => answer(stream, "200 OK", "", &good),
        }
    }
}

fn signed_with(key: &Key, header: &str, claims: &str) -> String {
    let message = format!(
        "{}.{}",
        encoded(header.as_bytes()),
        encoded(claims.as_bytes())
    );
    format!("{message}.{}", key.sign(&message))
}

fn answer(stream: &mut TcpStream, status: &str, head: &str, body: &str) -> Result<()> {
    let length = body.len();
    let whole = format!(
        "HTTP/1.1 {status}\r\n{head}Content-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    stream.write_all(whole.as_bytes())?;
    Ok(())
}

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
