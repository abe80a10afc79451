//! What the contestants need before they start: an issuer with an RSA key, a caller's token, gateways that trust it,
//! and the same policy signed for the pod's binary.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sallyport_crds::yaml::{self, Input};
use sallyport_policy::bundle::shards::{MANIFEST, Manifest, shard_name};
use sallyport_policy::bundle::{Envelope, Header, KeyPair};
use sallyport_policy::compile::compile;
use sallyport_policy::name::GatewayName;
use sallyport_policy::time::UnixMillis;
use serde_json::{Value, json};
use zeroize::Zeroizing;

const ISSUER: &str = "https://idp.example.com";
const AUDIENCE: &str = "https://stock.example.com/mcp";
const NAMESPACE: &str = "default";
/// The gateways, by their recording.
const GATEWAYS: [(&str, &str); 3] = [
    ("strict", "Strict"),
    ("best-effort", "BestEffort"),
    ("disabled", "Disabled"),
];
/// How long what is signed here holds; a run takes minutes.
const LIFE: u64 = 6 * 3600;

/// Fills `folder`: `policy/` for `sallyport up`, `bundle/` and `root` for the pod's binary, `jwks.json`, `token`.
pub(crate) fn prepare(policy: &Path, folder: &Path) -> Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let key = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| anyhow!("no RSA key"))?;
    let keys = json!({ "keys": [jwk(&key)?] });
    fs::write(folder.join("jwks.json"), keys.to_string())?;
    secret(&folder.join("token"), &token(&key, now)?)?;
    let sources = folder.join("policy");
    fs::create_dir_all(&sources)?;
    fs::copy(policy, sources.join("policy.yaml"))?;
    fs::write(sources.join("gateways.yaml"), gateways(&keys))?;
    bundle(&sources, folder, now)
}

/// JSON is YAML, and here easier to write without a mistake.
fn gateways(keys: &Value) -> String {
    let gateway = |(name, mode): (&str, &str)| {
        json!({
            "apiVersion": "sallyport.dev/v1alpha1", "kind": "McpGateway", "metadata": { "name": name },
            "spec": {
                "publicUrl": AUDIENCE,
                "authentication": { "issuers": [{ "issuer": ISSUER, "jwks": keys }] },
                "recording": { "mode": mode, "payloads": "Masked" },
            },
        })
        .to_string()
    };
    GATEWAYS.map(gateway).join("\n---\n")
}

/// The public half; aws-lc gives it as the `RSAPublicKey` of RFC 8017, of which this is every length there is.
fn jwk(key: &RsaKeyPair) -> Result<Value> {
    let whole = key.public_key().as_ref();
    let modulus = whole
        .strip_prefix(&[0x30, 0x82, 0x01, 0x0a, 0x02, 0x82, 0x01, 0x01, 0x00])
        .and_then(|rest| rest.strip_suffix(&[0x02, 0x03, 0x01, 0x00, 0x01]))
        .context("an RSA key of another form")?;
    Ok(
        json!({ "kty": "RSA", "kid": "bench", "use": "sig", "alg": "RS256", "e": "AQAB",
                "n": URL_SAFE_NO_PAD.encode(modulus) }),
    )
}

/// An access token of RFC 9068 with what an identity provider puts into one.
fn token(key: &RsaKeyPair, now: u64) -> Result<String> {
    let header = json!({ "alg": "RS256", "kid": "bench", "typ": "at+jwt" });
    let claims = json!({
        "iss": ISSUER, "sub": "ada@example.com", "aud": AUDIENCE, "azp": "agent-7", "client_id": "agent-7",
        "groups": ["stock-clerks", "everybody", "berlin"], "scope": "stock.read", "jti": "4f2c7f0e-bench",
        "iat": now, "nbf": now, "exp": now + LIFE,
    });
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(&header), part(&claims));
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        message.as_bytes(),
        &mut signature,
    )
    .map_err(|_| anyhow!("the token cannot be signed"))?;
    Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// As the operator writes it into a pod's volume, for each gateway.
fn bundle(sources: &Path, folder: &Path, now: u64) -> Result<()> {
    let inputs = [Input::Path(sources.to_path_buf())];
    let loaded = yaml::load(&inputs).map_err(|mistakes| anyhow!("{mistakes:?}"))?;
    let (root, pair) = (key_pair()?, key_pair()?);
    let until = UnixMillis(i64::try_from((now + LIFE) * 1000)?);
    for (name, _) in GATEWAYS {
        let gateway = GatewayName {
            namespace: NAMESPACE.to_owned(),
            name: name.to_owned(),
        };
        let compiled =
            compile(&loaded.sources, &gateway).map_err(|mistakes| anyhow!("{mistakes:?}"))?;
        let vouched = root.vouch(pair.public(), UnixMillis(0), until)?;
        let header = Header {
            gateway,
            uid: name.to_owned(),
            generation: 1,
            not_after: until,
        };
        let envelope = Envelope::seal(header, compiled.content, &pair, vouched)?;
        let (manifest, shards) = Manifest::split(&envelope, 1)?;
        let volume = folder.join("bundle").join(name);
        fs::create_dir_all(&volume)?;
        fs::write(volume.join(MANIFEST), manifest)?;
        for (place, shard) in shards.iter().enumerate() {
            fs::write(volume.join(shard_name(place)), shard)?;
        }
    }
    Ok(fs::write(folder.join("root"), hex::encode(root.public()))?)
}

fn key_pair() -> Result<KeyPair> {
    let mut seed = Zeroizing::new([0; 32]);
    SystemRandom::new()
        .fill(&mut *seed)
        .map_err(|_| anyhow!("no randomness"))?;
    Ok(KeyPair::from_seed(&seed)?)
}

fn secret(path: &Path, text: &str) -> Result<()> {
    let mut file = fs::File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    Ok(file.write_all(text.as_bytes())?)
}
