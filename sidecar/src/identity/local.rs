//! The standalone issuer: a key in the state folder, so that nobody needs an identity provider to start.
//!
//! Whoever can read the key can be anyone at this gateway; that is why it is created for its owner alone and refused
//! when others can reach it.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sallyport_policy::name::Issuer;
use sallyport_policy::source::authentication::Algorithm;
use sallyport_policy::time::UnixMillis;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::config::{IssuerConfig, JwksSource};
use super::jwks::JwkSet;

/// The `iss` of local tokens. Two state folders share it; their keys tell their tokens apart.
pub const LOCAL_ISSUER: &str = "urn:sallyport:local";
/// The audience of local tokens unless another is asked for: every gateway of the state folder.
pub const LOCAL_AUDIENCE: &str = "urn:sallyport:local:gateways";

const KEY_FILE: &str = "issuer.pk8";
/// A local token is typed into a client's settings; a year is enough.
const LONGEST_TTL: Duration = Duration::from_secs(366 * 24 * 3600);

/// Mints tokens and publishes the key that verifies them.
pub struct LocalIssuer {
    key: Ed25519KeyPair,
    kid: String,
}

/// What a local token says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mint {
    /// `sub`.
    pub user: String,
    pub groups: Vec<String>,
    /// `client_id`.
    pub client: Option<String>,
    /// `aud`; [`LOCAL_AUDIENCE`] if empty.
    pub audiences: Vec<String>,
    pub scopes: Vec<String>,
    /// Further claims, `department` for example; not one of those above, nor of time.
    pub claims: Map<String, Value>,
    /// More than nothing and at most 366 days.
    pub ttl: Duration,
}

/// A token for a person to use. Its Debug output shows nothing of it.
pub struct LocalToken {
    pub token: Zeroizing<String>,
    pub expires_at: UnixMillis,
}

/// Why the standalone issuer cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LocalIssuerError {
    #[error("`{}`: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("`{}` can be reached by others (mode {mode:o}); remove it and issue new tokens", path.display())]
    Exposed { path: PathBuf, mode: u32 },
    #[error("`{}` is not an issuer key; remove it to get a new one", path.display())]
    NotAKey { path: PathBuf },
    #[error("no key could be made")]
    Crypto,
    #[error("the lifetime must be more than nothing and at most {} h", LONGEST_TTL.as_secs() / 3600)]
    Ttl,
    #[error("the user must not be empty")]
    NoUser,
    #[error("the claim `{0}` cannot be set this way")]
    ReservedClaim(String),
}

impl LocalIssuer {
    /// Opens the key of a state folder, and makes folder and key where there are none. `group` is the one group that
    /// may read the key beside its owner (`--approver-group`); the key is handed to it, so that its accounts can issue
    /// tokens and nobody needs the guard's account for that (law 24).
    pub fn open(state: &Path, group: Option<u32>) -> Result<Self, LocalIssuerError> {
        let path = state.join(KEY_FILE);
        if !path.exists() {
            create(state, &path).map_err(|error| error.at(&path))?;
        }
        let mut file = File::open(&path).map_err(|source| file_error(&path, source))?;
        let group = group.or_else(|| handed_to(state, &file));
        hand_over(&file, group).map_err(|source| file_error(&path, source))?;
        judge_access(&file, &path, group)?;
        let mut der = Zeroizing::new(Vec::with_capacity(128));
        file.read_to_end(&mut der)
            .map_err(|source| file_error(&path, source))?;
        let key =
            Ed25519KeyPair::from_pkcs8(&der).map_err(|_| LocalIssuerError::NotAKey { path })?;
        let digest = sallyport_policy::name::Digest::of(key.public_key().as_ref());
        let kid = hex::encode(
            digest
                .as_bytes()
                .iter()
                .take(8)
                .copied()
                .collect::<Vec<u8>>(),
        );
        Ok(Self { key, kid })
    }

    /// Signs a token that holds from `now` on.
    pub fn mint(&self, mint: &Mint, now: UnixMillis) -> Result<LocalToken, LocalIssuerError> {
        if mint.ttl.is_zero() || mint.ttl > LONGEST_TTL {
            return Err(LocalIssuerError::Ttl);
        }
        if mint.user.is_empty() {
            return Err(LocalIssuerError::NoUser);
        }
        let claims = claims(mint, now)?;
        let header = json!({"alg": "EdDSA", "kid": self.kid, "typ": "at+jwt"});
        let mut token = Zeroizing::new(format!("{}.{}", encoded(&header), encoded(&claims)));
        let signature = self.key.sign(token.as_bytes());
        token.push('.');
        token.push_str(&URL_SAFE_NO_PAD.encode(signature.as_ref()));
        Ok(LocalToken {
            token,
            expires_at: UnixMillis(now.after(mint.ttl).seconds().saturating_mul(1000)),
        })
    }

    /// The public key as a JWKS document.
    #[must_use]
    pub fn jwks(&self) -> Value {
        json!({"keys": [{
            "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": self.kid,
            "x": URL_SAFE_NO_PAD.encode(self.key.public_key().as_ref()),
        }]})
    }

    /// The settings by which a gateway trusts this issuer. `audiences` are accepted beside [`LOCAL_AUDIENCE`].
    pub fn issuer_config(
        &self,
        audiences: impl IntoIterator<Item = String>,
    ) -> Result<IssuerConfig, super::JwksError> {
        let set = JwkSet::parse(self.jwks().to_string().as_bytes())?;
        let audiences = std::iter::once(LOCAL_AUDIENCE.to_owned()).chain(audiences);
        Ok(IssuerConfig {
            algorithms: [Algorithm::EdDSA].into(),
            ..IssuerConfig::new(
                Issuer::new(LOCAL_ISSUER),
                audiences.collect(),
                JwksSource::Inline(set),
            )
        })
    }
}

impl fmt::Debug for LocalIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalIssuer")
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for LocalToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalToken")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

fn claims(mint: &Mint, now: UnixMillis) -> Result<Value, LocalIssuerError> {
    let audiences = match mint.audiences.as_slice() {
        [] => json!(LOCAL_AUDIENCE),
        several => json!(several),
    };
    let ours = json!({
        "iss": LOCAL_ISSUER, "sub": mint.user, "aud": audiences, "groups": mint.groups,
        "client_id": mint.client, "scope": (!mint.scopes.is_empty()).then(|| mint.scopes.join(" ")),
        "iat": now.seconds(), "exp": now.after(mint.ttl).seconds(), "jti": random_id()?,
        "nbf": null, "azp": null, "act": null, "cnf": null,
    });
    let Value::Object(mut claims) = ours else {
        return Err(LocalIssuerError::Crypto);
    };
    for (name, value) in &mint.claims {
        if claims.contains_key(name) {
            return Err(LocalIssuerError::ReservedClaim(name.clone()));
        }
        claims.insert(name.clone(), value.clone());
    }
    claims.retain(|_, value| !value.is_null());
    Ok(Value::Object(claims))
}

fn encoded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn random_id() -> Result<String, LocalIssuerError> {
    let mut bytes = [0; 16];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| LocalIssuerError::Crypto)?;
    Ok(hex::encode(bytes))
}

/// What can go wrong while a key is made, before it is known at which path.
enum Failure {
    Io(io::Error),
    Crypto,
}

impl Failure {
    fn at(self, path: &Path) -> LocalIssuerError {
        match self {
            Self::Io(source) => file_error(path, source),
            Self::Crypto => LocalIssuerError::Crypto,
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Writes a new key under another name and links it: of two processes that start at once one wins, and neither ever
/// reads half a key.
fn create(state: &Path, path: &Path) -> Result<(), Failure> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(state)?;
    let key = Ed25519KeyPair::generate().map_err(|_| Failure::Crypto)?;
    let der: Pkcs8V1Der<'_> = key.as_der().map_err(|_| Failure::Crypto)?;
    let draft = path.with_extension(format!("new-{}", random_id().map_err(|_| Failure::Crypto)?));
    let written = write_private(&draft, der.as_ref()).and_then(|()| link(&draft, path));
    fs::remove_file(&draft)?;
    written?;
    Ok(File::open(state)?.sync_all()?)
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn link(draft: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(draft, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        done => done,
    }
}

/// The group that the folder was opened to by the key's owner: whoever runs a guard with an approver group need not
/// repeat it with every token.
fn handed_to(state: &Path, key: &File) -> Option<u32> {
    let (folder, key) = (fs::metadata(state).ok()?, key.metadata().ok()?);
    let opened = folder.mode() & 0o777 == 0o710 && folder.uid() == key.uid();
    opened.then(|| folder.gid())
}

/// Gives the key to the approvers' group, where it is ours to give. A key that others can reach is not mended: somebody
/// may have read it.
fn hand_over(file: &File, group: Option<u32>) -> io::Result<()> {
    let metadata = file.metadata()?;
    let ours = metadata.uid() == rustix::process::geteuid().as_raw();
    let private = metadata.mode() & 0o777 == 0o600;
    let Some(group) = group.filter(|_| ours && private) else {
        return Ok(());
    };
    fchown(file, None, Some(group))?;
    file.set_permissions(fs::Permissions::from_mode(0o640))
}

/// Judged on the open file, so that it is the file that is read.
fn judge_access(file: &File, path: &Path, group: Option<u32>) -> Result<(), LocalIssuerError> {
    let metadata = file.metadata().map_err(|source| file_error(path, source))?;
    let mode = metadata.mode() & 0o777;
    let of_group = group == Some(metadata.gid());
    let allowed = if of_group { 0o640 } else { 0o600 };
    if mode & !allowed == 0 {
        return Ok(());
    }
    Err(LocalIssuerError::Exposed {
        path: path.to_owned(),
        mode,
    })
}

fn file_error(path: &Path, source: io::Error) -> LocalIssuerError {
    LocalIssuerError::File {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests;
