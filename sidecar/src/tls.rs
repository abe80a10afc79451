//! TLS on both sides: the listener's certificate, reloaded when its files change, and the trust that outbound
//! connections share.
//!
//! One crypto provider, named explicitly, so that no process-wide default decides. A bad new certificate never
//! replaces a good old one.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sallyport_policy::name::Digest;

use crate::watch::{Depth, Folders};

/// Behind the folder watch, for file systems that tell nothing.
const POLL: Duration = Duration::from_secs(30);

/// Why TLS cannot be set up; the fault of who wrote the files or the settings.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("`{}` cannot be read: {source}", path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{what} holds no usable certificate; expected PEM `CERTIFICATE` blocks")]
    NoCertificate { what: String },
    #[error("`{}` holds no usable private key; expected a PEM `PRIVATE KEY` block", path.display())]
    NoKey { path: PathBuf },
    #[error("certificate and private key do not fit together: {0}")]
    Mismatch(rustls::Error),
    #[error(
        "no trusted certificate was found on this machine; install CA certificates or name a CA file"
    )]
    NoSystemTrust,
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}

/// Whose certificates outbound connections believe.
#[derive(Clone, Debug)]
pub struct Trust {
    client: Arc<ClientConfig>,
}

impl Trust {
    /// The machine's trust store.
    pub fn system() -> Result<Self, TlsError> {
        let roots = system_roots();
        if roots.is_empty() {
            return Err(TlsError::NoSystemTrust);
        }
        Self::of(roots)
    }

    /// The machine's trust store and the CA certificates of a PEM text.
    pub fn system_and(pem: &[u8]) -> Result<Self, TlsError> {
        let mut roots = system_roots();
        add_pem(&mut roots, pem)?;
        Self::of(roots)
    }

    /// The CA certificates of a PEM text alone.
    pub fn only(pem: &[u8]) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        add_pem(&mut roots, pem)?;
        Self::of(roots)
    }

    /// Nobody's: for a process that dials no one, on a machine without a trust store.
    pub fn nobody() -> Result<Self, TlsError> {
        Self::of(RootCertStore::empty())
    }

    /// The client side of any outbound connection; ALPN is left to whoever dials.
    #[must_use]
    pub fn client_config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.client)
    }

    fn of(roots: RootCertStore) -> Result<Self, TlsError> {
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            client: Arc::new(config),
        })
    }
}

/// Where the listener's certificate chain and key lie, both PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// The listener's side of TLS: one `ServerConfig` for the life of the process, whose certificate is swapped whole.
#[derive(Debug)]
pub struct ListenerTls {
    files: TlsFiles,
    resolver: Arc<Resolver>,
    server: Arc<ServerConfig>,
}

/// What a look at the files brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    Unchanged,
    Swapped,
}

impl ListenerTls {
    /// Reads the files; without a usable pair there is no listener.
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let provider = provider();
        let resolver = Arc::new(Resolver(ArcSwap::from_pointee(Pair::read(
            &files, &provider,
        )?)));
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&resolver) as Arc<dyn ResolvesServerCert>);
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self {
            files,
            resolver,
            server: Arc::new(server),
        })
    }

    /// For `tokio_rustls::TlsAcceptor`; stays valid across reloads.
    #[must_use]
    pub fn server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.server)
    }

    /// Reads the files again and swaps the certificate if they changed. On an error the last good one stays.
    pub fn reload(&self) -> Result<Reload, TlsError> {
        let pair = Pair::read(&self.files, &provider())?;
        if pair.digest == self.resolver.0.load().digest {
            return Ok(Reload::Unchanged);
        }
        self.resolver.0.store(Arc::new(pair));
        Ok(Reload::Swapped)
    }

    /// Reloads whenever the files' folders change, and at least looks every half minute. Never returns; to be
    /// spawned and aborted with the listener.
    pub async fn watch(self: Arc<Self>) {
        // The folders are watched, not the files: a mounted Secret changes by the rename of a link beside them.
        let files = [&self.files.certificate, &self.files.key];
        let folders = Folders::watch(files.map(|file| (folder_of(file), Depth::Itself)));
        loop {
            tokio::select! {
                () = folders.changed() => {}
                () = tokio::time::sleep(POLL) => {}
            }
            match self.reload() {
                Ok(Reload::Unchanged) => {}
                Ok(Reload::Swapped) => tracing::info!("the listener's certificate was replaced"),
                Err(error) => {
                    tracing::warn!(%error, "the new certificate is not usable; the last good one stays");
                }
            }
        }
    }
}

/// A certificate chain with its key, and the digest that tells a new pair from the one before.
struct Pair {
    certified: Arc<CertifiedKey>,
    digest: Digest,
}

impl Pair {
    fn read(files: &TlsFiles, provider: &CryptoProvider) -> Result<Self, TlsError> {
        let chain_pem = read(&files.certificate)?;
        let key_pem = zeroize::Zeroizing::new(read(&files.key)?);
        let chain = certificates(&chain_pem, &files.certificate.display().to_string())?;
        let key = PrivateKeyDer::from_pem_slice(&key_pem).map_err(|_| TlsError::NoKey {
            path: files.key.clone(),
        })?;
        let certified = CertifiedKey::from_der(chain, key, provider).map_err(TlsError::Mismatch)?;
        let digest = Digest::of(&[chain_pem.as_slice(), b"\0", key_pem.as_slice()].concat());
        Ok(Self {
            certified: Arc::new(certified),
            digest,
        })
    }
}

struct Resolver(ArcSwap<Pair>);

impl ResolvesServerCert for Resolver {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.load().certified))
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resolver")
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn system_roots() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "a part of the machine's trust store cannot be read");
    }
    let mut roots = RootCertStore::empty();
    // What the machine's store holds beside usable certificates is not ours to judge.
    let _counts = roots.add_parsable_certificates(found.certs);
    roots
}

fn add_pem(roots: &mut RootCertStore, pem: &[u8]) -> Result<(), TlsError> {
    for certificate in certificates(pem, "the CA file")? {
        roots.add(certificate)?;
    }
    Ok(())
}

fn certificates(pem: &[u8], what: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let none = || TlsError::NoCertificate {
        what: what.to_owned(),
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let chain = chain.map_err(|_| none())?;
    if chain.is_empty() {
        Err(none())
    } else {
        Ok(chain)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Read {
        path: path.to_owned(),
        source,
    })
}

fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    }
}

#[cfg(test)]
mod tests;
