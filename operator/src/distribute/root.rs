//! The root key: the one thing whose loss means that every pod is made anew. It lies in a Secret of our namespace and
//! never leaves it; what goes out are its verifying half and its signatures.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use sallyport_policy::bundle::{BundleKey, EnvelopeError, KeyPair};
use sallyport_policy::time::UnixMillis;
use zeroize::Zeroizing;

use crate::random;

/// The Secret, in the operator's namespace.
pub const SECRET: &str = "sallyport-root-key";
const SEED: &str = "seed";
const PUBLIC: &str = "public";

/// The root's key pair, and its seed for the control endpoint's certificate.
pub struct Root {
    pair: KeyPair,
    seed: Zeroizing<[u8; 32]>,
}

/// Why there is no root key. The cluster's administrators can mend it.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    #[error("Secret `{SECRET}` cannot be read or made: {0}")]
    Api(#[from] kube::Error),
    #[error(
        "Secret `{SECRET}` holds no root key: expected 32 bytes under `{SEED}`; restore it from a backup, or delete it and restart every guarded pod"
    )]
    NotAKey,
    #[error("no random bytes")]
    NoRandomness,
    #[error(transparent)]
    Unusable(#[from] EnvelopeError),
}

impl Root {
    /// Reads the key, or makes it where there is none. Two replicas that start together end with the same one.
    pub async fn open(client: &Client, namespace: &str) -> Result<Self, RootError> {
        let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
        if let Some(found) = api.get_opt(SECRET).await? {
            return Self::read(&found);
        }
        let seed = Zeroizing::new(random::bytes::<32>().ok_or(RootError::NoRandomness)?);
        let root = Self::of(seed)?;
        match api.create(&PostParams::default(), &root.secret()).await {
            Ok(_) => {
                tracing::info!(public = root.public_hex(), "root key made");
                Ok(root)
            }
            Err(kube::Error::Api(status)) if status.code == 409 => {
                Self::read(&api.get(SECRET).await?)
            }
            Err(error) => Err(error.into()),
        }
    }

    pub fn of(seed: Zeroizing<[u8; 32]>) -> Result<Self, RootError> {
        Ok(Self {
            pair: KeyPair::from_seed(&seed)?,
            seed,
        })
    }

    fn read(secret: &Secret) -> Result<Self, RootError> {
        let data = secret.data.as_ref().and_then(|data| data.get(SEED));
        let bytes = data.ok_or(RootError::NotAKey)?;
        let seed = <[u8; 32]>::try_from(bytes.0.as_slice()).map_err(|_| RootError::NotAKey)?;
        Self::of(Zeroizing::new(seed))
    }

    fn secret(&self) -> Secret {
        let data = BTreeMap::from([
            (SEED.to_owned(), ByteString(self.seed.to_vec())),
            (
                PUBLIC.to_owned(),
                ByteString(self.public_hex().into_bytes()),
            ),
        ]);
        Secret {
            metadata: ObjectMeta {
                name: Some(SECRET.to_owned()),
                ..ObjectMeta::default()
            },
            data: Some(data),
            type_: Some("sallyport.dev/root-key".to_owned()),
            immutable: Some(true),
            ..Secret::default()
        }
    }

    /// The verifying key, 32 bytes.
    #[must_use]
    pub fn public(&self) -> &[u8] {
        self.pair.public()
    }

    /// The verifying key as sidecars are given it.
    #[must_use]
    pub fn public_hex(&self) -> String {
        hex::encode(self.public())
    }

    pub(super) fn vouch(
        &self,
        public: &[u8],
        not_before: UnixMillis,
        not_after: UnixMillis,
    ) -> Result<BundleKey, EnvelopeError> {
        self.pair.vouch(public, not_before, not_after)
    }

    /// The private key as PKCS #8 (RFC 8410), to certify the control endpoint.
    pub(crate) fn pkcs8(&self) -> Zeroizing<Vec<u8>> {
        /// Version, algorithm `id-Ed25519` and the two headers round the seed.
        const HEAD: [u8; 16] = [
            0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22,
            0x04, 0x20,
        ];
        Zeroizing::new([&HEAD[..], self.seed.as_slice()].concat())
    }
}

impl std::fmt::Debug for Root {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Root")
            .field("public", &self.public_hex())
            .finish_non_exhaustive()
    }
}
