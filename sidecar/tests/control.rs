//! The stream to the operator, against an endpoint of the test's own: real TLS, certified by a root key as the operator's is.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail loudly")]

use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, DistinguishedName, DnType, Issuer, KeyPair, PKCS_ED25519};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use sallyport_policy::control::{
    Enforces, FromOperator, FromSidecar, PROTOCOL, ROOT_NAME, SERVER_NAME, line,
};
use sallyport_policy::name::{Digest, GatewayName};
use sallyport_sidecar::bundle::{Demand, Standing, Urge};
use sallyport_sidecar::control::Control;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

struct Operator {
    listener: TcpListener,
    tls: TlsAcceptor,
    root: [u8; 32],
}

impl Operator {
    async fn up() -> Self {
        let root = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let public = root.public_key_raw().try_into().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, ROOT_NAME);
        let issuer = Issuer::new(params, root);
        let own = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new([SERVER_NAME.to_owned()]).unwrap();
        let leaf = leaf.signed_by(&own, &issuer).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(own.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)
            .unwrap();
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        Self {
            listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
            tls: TlsAcceptor::from(Arc::new(config)),
            root: public,
        }
    }

    async fn accept(&self) -> std::io::Result<Line> {
        let (stream, _) = self.listener.accept().await?;
        Ok(Line(BufReader::new(self.tls.accept(stream).await?)))
    }
}

struct Line(BufReader<TlsStream<TcpStream>>);

impl Line {
    async fn hear(&mut self) -> FromSidecar {
        loop {
            let mut text = String::new();
            self.0.read_line(&mut text).await.unwrap();
            let message = serde_json::from_str(&text).unwrap();
            if message != FromSidecar::Alive {
                return message;
            }
        }
    }

    async fn say(&mut self, message: &FromOperator) {
        self.0.write_all(&line(message).unwrap()).await.unwrap();
        self.0.flush().await.unwrap();
    }
}

struct Sidecar {
    standing: watch::Sender<Standing>,
    task: tokio::task::JoinHandle<()>,
    _folder: tempfile::TempDir,
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn sidecar(operator: &Operator, root: [u8; 32]) -> Sidecar {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "eyJ.token\n").unwrap();
    let demand = Demand {
        root,
        gateway: GatewayName {
            namespace: "shop".to_owned(),
            name: "inventory".to_owned(),
        },
        uid: "u1".to_owned(),
    };
    let address = operator.listener.local_addr().unwrap().to_string();
    let control = Control::new(address, token, demand).unwrap();
    let standing = watch::Sender::new(Standing::default());
    let task = tokio::spawn(control.follow(standing.subscribe(), Urge::default()));
    Sidecar {
        standing,
        task,
        _folder: folder,
    }
}

fn in_force(generation: u64) -> Standing {
    Standing {
        revision: Some(Digest::of(b"policy")),
        generation,
        not_after: None,
        refused: None,
    }
}

#[tokio::test]
async fn the_operator_hears_who_calls_and_what_is_in_force_now_and_after_each_change() {
    let operator = Operator::up().await;
    let sidecar = sidecar(&operator, operator.root);
    let mut line = operator.accept().await.unwrap();
    let FromSidecar::Hello(hello) = line.hear().await else {
        panic!("no hello")
    };
    assert_eq!((&*hello.token, &*hello.uid), ("eyJ.token", "u1"));
    line.say(&FromOperator::Welcome {
        minimum_generation: 3,
    })
    .await;
    let none = Enforces {
        revision: None,
        generation: 0,
        not_after: None,
    };
    assert_eq!(line.hear().await, FromSidecar::Enforces(none));
    sidecar.standing.send_replace(in_force(7));
    let seven = Enforces {
        revision: Some(Digest::of(b"policy")),
        generation: 7,
        not_after: None,
    };
    assert_eq!(line.hear().await, FromSidecar::Enforces(seven.clone()));
    let refused = Some("the bundle has expired".to_owned());
    sidecar.standing.send_modify(|now| now.refused = refused);
    assert_eq!(line.hear().await, FromSidecar::Enforces(seven));
    let reason = "the bundle has expired".to_owned();
    assert_eq!(line.hear().await, FromSidecar::Refused { reason });
}

#[tokio::test]
async fn a_stream_that_ends_is_made_anew_and_says_everything_again() {
    let operator = Operator::up().await;
    let sidecar = sidecar(&operator, operator.root);
    sidecar.standing.send_replace(in_force(7));
    for _ in 0..3 {
        let mut line = operator.accept().await.unwrap();
        assert!(matches!(line.hear().await, FromSidecar::Hello(_)));
        line.say(&FromOperator::Welcome {
            minimum_generation: 0,
        })
        .await;
        assert!(matches!(line.hear().await, FromSidecar::Enforces(_)));
        let reason = "this replica does not lead".to_owned();
        line.say(&FromOperator::Goodbye { reason }).await;
    }
}

#[tokio::test]
async fn an_endpoint_that_another_root_has_certified_hears_nothing() {
    let operator = Operator::up().await;
    let _sidecar = sidecar(&operator, [7; 32]);
    for _ in 0..2 {
        let accepted = tokio::time::timeout(Duration::from_secs(5), operator.accept()).await;
        assert!(accepted.unwrap().is_err());
    }
}
