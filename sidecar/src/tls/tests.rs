//! Real handshakes before and after a change of the files.

use std::sync::Arc;

use rustls_pki_types::ServerName;
use tokio::io::DuplexStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;

/// What the client offers, and what both agree on, if they do.
type AlpnRow = (&'static [&'static [u8]], Option<Option<&'static [u8]>>);

struct Folder {
    folder: tempfile::TempDir,
    files: TlsFiles,
}

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = TlsFiles {
            certificate: folder.path().join("tls.crt"),
            key: folder.path().join("tls.key"),
        };
        Self { folder, files }
    }

    /// Writes a new pair and returns a trust in it alone.
    fn renew(&self) -> Trust {
        let issued =
            rcgen::generate_simple_self_signed(["inventory.example.com".to_owned()]).unwrap();
        std::fs::write(&self.files.key, issued.signing_key.serialize_pem()).unwrap();
        std::fs::write(&self.files.certificate, issued.cert.pem()).unwrap();
        Trust::only(issued.cert.pem().as_bytes()).unwrap()
    }
}

/// The protocol both sides agreed on, if the client believes the server.
async fn handshake(tls: &ListenerTls, trust: &Trust, alpn: &[&[u8]]) -> Option<Option<Vec<u8>>> {
    let (near, far): (DuplexStream, DuplexStream) = tokio::io::duplex(64 * 1024);
    let acceptor = TlsAcceptor::from(tls.server_config());
    tokio::spawn(async move { acceptor.accept(far).await.map(drop) });
    let mut client = (*trust.client_config()).clone();
    client.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    let name = ServerName::try_from("inventory.example.com").unwrap();
    let stream = TlsConnector::from(Arc::new(client))
        .connect(name, near)
        .await
        .ok()?;
    Some(stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec))
}

#[tokio::test]
async fn both_versions_of_http_are_offered_and_the_newer_preferred() {
    let folder = Folder::new();
    let trust = folder.renew();
    let tls = ListenerTls::load(folder.files.clone()).unwrap();
    let rows: [AlpnRow; 4] = [
        (&[b"http/1.1", b"h2"], Some(Some(b"h2"))),
        (&[b"http/1.1"], Some(Some(b"http/1.1"))),
        (&[], Some(None)),
        (&[b"spdy/3"], None),
    ];
    for (offered, expected) in rows {
        let agreed = handshake(&tls, &trust, offered).await;
        assert_eq!(
            agreed,
            expected.map(|agreed| agreed.map(<[u8]>::to_vec)),
            "{offered:?}"
        );
    }
}

#[tokio::test]
async fn a_new_certificate_is_used_from_the_next_handshake_on() {
    let folder = Folder::new();
    let old = folder.renew();
    let tls = ListenerTls::load(folder.files.clone()).unwrap();
    assert!(handshake(&tls, &old, &[]).await.is_some());
    assert_eq!(tls.reload().unwrap(), Reload::Unchanged);
    let new = folder.renew();
    assert_eq!(tls.reload().unwrap(), Reload::Swapped);
    assert!(handshake(&tls, &new, &[]).await.is_some());
    assert!(handshake(&tls, &old, &[]).await.is_none());
}

#[tokio::test]
async fn a_bad_new_certificate_leaves_the_good_old_one() {
    let folder = Folder::new();
    let trust = folder.renew();
    let tls = ListenerTls::load(folder.files.clone()).unwrap();
    let key = std::fs::read(&folder.files.key).unwrap();
    let foreign = Folder::new();
    foreign.renew();
    let foreign_key = std::fs::read(&foreign.files.key).unwrap();
    let rows: [(&str, Option<&[u8]>); 4] = [
        ("no key file", None),
        ("an empty key file", Some(b"")),
        (
            "nonsense",
            Some(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
        ),
        ("the key of another certificate", Some(&foreign_key)),
    ];
    for (name, content) in rows {
        match content {
            None => std::fs::remove_file(&folder.files.key).unwrap(),
            Some(content) => std::fs::write(&folder.files.key, content).unwrap(),
        }
        assert!(tls.reload().is_err(), "{name}");
        assert!(
            ListenerTls::load(folder.files.clone()).is_err(),
            "{name}: and no start with it"
        );
        assert!(handshake(&tls, &trust, &[]).await.is_some(), "{name}");
    }
    std::fs::write(&folder.files.key, key).unwrap();
    std::fs::write(&folder.files.certificate, "not a certificate").unwrap();
    assert!(matches!(tls.reload(), Err(TlsError::NoCertificate { .. })));
}

#[tokio::test]
async fn a_change_of_the_folder_is_noticed_without_polling() {
    let folder = Folder::new();
    folder.renew();
    let tls = Arc::new(ListenerTls::load(folder.files.clone()).unwrap());
    let watch = tokio::spawn(Arc::clone(&tls).watch());
    let mut seen = false;
    // Renewed several times, for the first may come before the watch has begun.
    for _ in 0..10 {
        let new = folder.renew();
        tokio::time::sleep(Duration::from_millis(500)).await;
        seen = handshake(&tls, &new, &[]).await.is_some();
        if seen {
            break;
        }
    }
    watch.abort();
    assert!(seen, "all of it takes far less than one poll");
    drop(folder.folder);
}

#[test]
fn a_trust_needs_a_certificate() {
    for pem in [
        b"".as_slice(),
        b"nonsense",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        assert!(Trust::only(pem).is_err());
        assert!(Trust::system_and(pem).is_err());
    }
}

#[test]
fn debug_output_shows_no_key() {
    let folder = Folder::new();
    folder.renew();
    let tls = ListenerTls::load(folder.files.clone()).unwrap();
    let key = std::fs::read_to_string(&folder.files.key).unwrap();
    let secret = key.lines().nth(1).unwrap();
    let said = format!("{:?}", tls.resolver);
    assert!(!said.contains(secret));
}
