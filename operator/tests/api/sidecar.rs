//! A sidecar as far as the control endpoint sees it, spoken by hand: the operator never links the real one.

use std::sync::Arc;

use rustls::pki_types::{Der, ServerName, TrustAnchor};
use rustls::{ClientConfig, RootCertStore};
use sallyport_policy::control::{FromOperator, FromSidecar, PROTOCOL, SERVER_NAME, line};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub(crate) struct Line {
    read: BufReader<ReadHalf<TlsStream<TcpStream>>>,
    write: WriteHalf<TlsStream<TcpStream>>,
}

impl Line {
    /// Dials an endpoint that only this root key may certify.
    pub(crate) async fn dial(port: u16, root: &[u8]) -> Result<Self, std::io::Error> {
        let mut roots = RootCertStore::empty();
        roots.roots.push(TrustAnchor {
            // CN=sallyport root
            subject: Der::from_slice(b"\x31\x17\x30\x15\x06\x03\x55\x04\x03\x0c\x0esallyport root"),
            subject_public_key_info: Der::from(
                [&b"\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00"[..], root].concat(),
            ),
            name_constraints: None,
        });
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        let name = ServerName::try_from(SERVER_NAME).unwrap();
        let stream = TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await?;
        let (read, write) = tokio::io::split(stream);
        Ok(Self {
            read: BufReader::new(read),
            write,
        })
    }

    pub(crate) async fn say(&mut self, message: &FromSidecar) {
        self.write.write_all(&line(message).unwrap()).await.unwrap();
        self.write.flush().await.unwrap();
    }

    pub(crate) async fn hear(&mut self) -> FromOperator {
        let mut text = String::new();
        self.read.read_line(&mut text).await.unwrap();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }
}
