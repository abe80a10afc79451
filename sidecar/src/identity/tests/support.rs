//! An issuer of tests: keys that sign whatever they are given, and a server that publishes whatever it is told.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeySize, PublicKeyComponents};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    RSA_PSS_SHA256, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use sallyport_policy::name::Issuer;
use sallyport_policy::time::UnixMillis;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::clock::hand::HandClock;
use crate::identity::fetch::{FetchLimits, Fetcher, PlainHttp};
use crate::identity::{IdentityConfig, IssuerConfig, JwksSource, Verifier};
use crate::tls::Trust;

pub(in crate::identity) const AUDIENCE: &str = "https://inventory.example.com/mcp";
/// 2026-11-23T12:00:00Z.
pub(in crate::identity) const NOON: i64 = 1_795_435_200;

/// A key pair with its name.
pub(in crate::identity) struct Signer {
    pub(in crate::identity) kid: String,
    key: Key,
}

enum Key {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Signer {
    pub(in crate::identity) fn rsa(kid: &str) -> Self {
        Self::new(
            kid,
            Key::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()),
        )
    }

    pub(in crate::identity) fn p256(kid: &str) -> Self {
        Self::new(
            kid,
            Key::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()),
        )
    }

    pub(in crate::identity) fn ed25519(kid: &str) -> Self {
        Self::new(kid, Key::Ed25519(Ed25519KeyPair::generate().unwrap()))
    }

    fn new(kid: &str, key: Key) -> Self {
        Self {
            kid: kid.to_owned(),
            key,
        }
    }

    pub(in crate::identity) fn algorithm(&self) -> &'static str {
        match &self.key {
            Key::Rsa(_) => "RS256",
            Key::P256(_) => "ES256",
            Key::Ed25519(_) => "EdDSA",
        }
    }

    /// The public key, as an issuer publishes it.
    pub(in crate::identity) fn jwk(&self) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let mut jwk = match &self.key {
            Key::Rsa(key) => {
                let parts = PublicKeyComponents::<Vec<u8>>::from(key.public_key());
                json!({"kty": "RSA", "n": text(&parts.n), "e": text(&parts.e)})
            }
            Key::P256(key) => {
                let point = key.public_key().as_ref();
                json!({"kty": "EC", "crv": "P-256", "x": text(&point[1..33]), "y": text(&point[33..])})
            }
            Key::Ed25519(key) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": text(key.public_key().as_ref())})
            }
        };
        jwk["kid"] = json!(self.kid);
        jwk["use"] = json!("sig");
        jwk
    }

    /// The public key as other encodings that an attacker would use as a shared secret.
    pub(in crate::identity) fn public_bytes(&self) -> Vec<Vec<u8>> {
        let der = match &self.key {
            Key::Rsa(key) => key.public_key().as_der().unwrap().as_ref().to_vec(),
            Key::P256(key) => key.public_key().as_ref().to_vec(),
            Key::Ed25519(key) => key.public_key().as_ref().to_vec(),
        };
        vec![der, self.jwk().to_string().into_bytes()]
    }

    /// A token with the usual header.
    pub(in crate::identity) fn token(&self, claims: &Value) -> String {
        self.sign(
            &json!({"alg": self.algorithm(), "kid": self.kid, "typ": "JWT"}),
            claims,
        )
    }

    /// A token with any header; signed with the algorithm of the key, whatever the header says.
    pub(in crate::identity) fn sign(&self, header: &Value, claims: &Value) -> String {
        self.sign_texts(&header.to_string(), &claims.to_string())
    }

    pub(in crate::identity) fn sign_texts(&self, header: &str, claims: &str) -> String {
        let message = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(claims)
        );
        let signature = self.signature(message.as_bytes(), header.contains("PS256"));
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn signature(&self, message: &[u8], pss: bool) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.key {
            Key::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                if pss {
                    key.sign(&RSA_PSS_SHA256, &random, message, &mut signature)
                        .unwrap();
                } else {
                    key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                        .unwrap();
                }
                signature
            }
            Key::P256(key) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            Key::Ed25519(key) => key.sign(message).as_ref().to_vec(),
        }
    }
}

/// What the server answers at one path.
#[derive(Clone, Default)]
pub(in crate::identity) struct Page {
    pub(in crate::identity) status: u16,
    pub(in crate::identity) headers: Vec<(&'static str, String)>,
    pub(in crate::identity) body: String,
    pub(in crate::identity) delay: Duration,
}

#[derive(Default)]
struct Site {
    pages: BTreeMap<String, Page>,
    hits: BTreeMap<String, usize>,
}

/// A server of an issuer.
pub(in crate::identity) struct Idp {
    pub(in crate::identity) url: String,
    site: Arc<Mutex<Site>>,
}

impl Idp {
    pub(in crate::identity) async fn start() -> Self {
        Self::serve(None).await
    }

    pub(in crate::identity) async fn start_tls(tls: Arc<rustls::ServerConfig>) -> Self {
        Self::serve(Some(TlsAcceptor::from(tls))).await
    }

    async fn serve(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))
            .await
            .unwrap();
        let port = listener.local_addr().unwrap().port();
        let site = Arc::<Mutex<Site>>::default();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let idp = Self {
            url: format!("{scheme}://localhost:{port}"),
            site: Arc::clone(&site),
        };
        tokio::spawn(accept(listener, tls, site));
        idp
    }

    pub(in crate::identity) fn issuer(&self) -> Issuer {
        Issuer::new(self.url.as_str())
    }

    pub(in crate::identity) fn page(&self, path: &str, page: Page) {
        self.site
            .lock()
            .unwrap()
            .pages
            .insert(path.to_owned(), page);
    }

    pub(in crate::identity) fn json(&self, path: &str, body: &Value) {
        let page = Page {
            status: 200,
            body: body.to_string(),
            ..Page::default()
        };
        self.page(path, page);
    }

    /// Publishes discovery and these keys.
    pub(in crate::identity) fn publish(&self, signers: &[&Signer]) {
        let discovery = json!({"issuer": self.url, "jwks_uri": format!("{}/keys", self.url)});
        self.json("/.well-known/openid-configuration", &discovery);
        let keys: Vec<_> = signers.iter().map(|signer| signer.jwk()).collect();
        self.json("/keys", &json!({"keys": keys}));
    }

    /// Everything answers 503 from now on.
    pub(in crate::identity) fn fail(&self) {
        for page in self.site.lock().unwrap().pages.values_mut() {
            page.status = 503;
        }
    }

    pub(in crate::identity) fn hits(&self, path: &str) -> usize {
        self.site
            .lock()
            .unwrap()
            .hits
            .get(path)
            .copied()
            .unwrap_or(0)
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, site: Arc<Mutex<Site>>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (tls, site) = (tls.clone(), Arc::clone(&site));
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(Arc::clone(&site), request));
            let server = auto::Builder::new(TokioExecutor::new());
            match tls {
                None => drop(server.serve_connection(TokioIo::new(stream), service).await),
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        drop(server.serve_connection(TokioIo::new(stream), service).await);
                    }
                }
            }
        });
    }
}

async fn answer(
    site: Arc<Mutex<Site>>,
    request: Request<Incoming>,
) -> Result<Response<Full<bytes::Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let page = {
        let mut site = site.lock().unwrap();
        *site.hits.entry(path.clone()).or_default() += 1;
        site.pages.get(&path).cloned()
    };
    let page = page.unwrap_or(Page {
        status: 404,
        ..Page::default()
    });
    tokio::time::sleep(page.delay).await;
    let mut response = Response::builder().status(page.status);
    for (name, value) in page.headers {
        response = response.header(name, value);
    }
    Ok(response.body(Full::from(page.body)).unwrap())
}

/// One issuer, one verifier that trusts it, and the time.
pub(in crate::identity) struct World {
    pub(in crate::identity) clock: Arc<HandClock>,
    pub(in crate::identity) idp: Idp,
    pub(in crate::identity) verifier: Verifier,
    issuers: Vec<IssuerConfig>,
}

/// The code of a refusal, or `accepted`.
pub(in crate::identity) async fn refusal(world: &World, token: &str) -> &'static str {
    match world.verifier.verify(token).await {
        Ok(_) => "accepted",
        Err(error) => error.code(),
    }
}

pub(in crate::identity) fn fetcher() -> Fetcher {
    let limits = FetchLimits {
        bytes: 64 * 1024,
        time: Duration::from_secs(10),
    };
    Fetcher::new(&any_trust(), limits, PlainHttp::LoopbackOnly)
}

/// A trust that no server of these tests is in.
pub(in crate::identity) fn any_trust() -> Trust {
    let other = rcgen::generate_simple_self_signed(["other.example".to_owned()]).unwrap();
    Trust::only(other.cert.pem().as_bytes()).unwrap()
}

impl World {
    /// An issuer that publishes these keys and is found by discovery.
    pub(in crate::identity) async fn new(signers: &[&Signer]) -> Self {
        Self::with(signers, |_| {}).await
    }

    pub(in crate::identity) async fn with(
        signers: &[&Signer],
        adjust: impl FnOnce(&mut IssuerConfig),
    ) -> Self {
        let idp = Idp::start().await;
        idp.publish(signers);
        let mut issuer = IssuerConfig::new(
            idp.issuer(),
            vec![AUDIENCE.to_owned()],
            JwksSource::Discovery,
        );
        adjust(&mut issuer);
        let issuers = vec![issuer];
        let config = IdentityConfig {
            issuers: issuers.clone(),
            anonymous: None,
        };
        let clock = Arc::new(HandClock::at(UnixMillis(NOON * 1000)));
        let verifier = Verifier::new(config, fetcher(), Arc::clone(&clock) as _).unwrap();
        Self {
            clock,
            idp,
            verifier,
            issuers,
        }
    }

    /// The settings that the verifier was made of.
    pub(in crate::identity) fn verifier_config(&self) -> Vec<IssuerConfig> {
        self.issuers.clone()
    }

    /// Claims of a good token, with these laid over them; null removes one.
    pub(in crate::identity) fn claims(&self, over: &Value) -> Value {
        let mut claims = json!({
            "iss": self.idp.url, "sub": "ada", "aud": AUDIENCE, "iat": NOON - 10, "exp": NOON + 600,
        });
        for (name, value) in over.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
            .as_object_mut()
            .unwrap()
            .retain(|_, value| !value.is_null());
        claims
    }
}
