//! The client against a real server that redirects, dawdles, swells and lies about its name.

use std::time::{Duration, Instant};

use serde_json::json;

use super::*;
use crate::identity::tests::support::{Idp, Page, any_trust, fetcher};
use crate::tls::{ListenerTls, TlsFiles};

async fn get(fetcher: &Fetcher, url: &str) -> Result<Bytes, FetchError> {
    fetcher.get(&url.parse().unwrap()).await
}

#[tokio::test]
async fn a_redirect_is_an_error_and_not_followed() {
    let idp = Idp::start().await;
    idp.json("/there", &json!({}));
    for status in [301, 302, 303, 307, 308] {
        let headers = vec![("location", format!("{}/there", idp.url))];
        idp.page(
            "/here",
            Page {
                status,
                headers,
                ..Page::default()
            },
        );
        let answer = get(&fetcher(), &format!("{}/here", idp.url)).await;
        assert!(matches!(answer, Err(FetchError::Redirect(_))), "{status}");
    }
    assert_eq!(idp.hits("/there"), 0);
}

#[tokio::test]
async fn only_200_counts() {
    let idp = Idp::start().await;
    for status in [201, 204, 206, 401, 404, 500] {
        idp.page(
            "/",
            Page {
                status,
                ..Page::default()
            },
        );
        let answer = get(&fetcher(), &format!("{}/", idp.url)).await;
        assert!(matches!(answer, Err(FetchError::Status { .. })), "{status}");
    }
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused() {
    let idp = Idp::start().await;
    let limit = 64 * 1024;
    for (size, fine) in [(limit, true), (limit + 1, false), (limit * 100, false)] {
        idp.page(
            "/",
            Page {
                status: 200,
                body: "x".repeat(size),
                ..Page::default()
            },
        );
        let answer = get(&fetcher(), &format!("{}/", idp.url)).await;
        assert_eq!(answer.is_ok(), fine, "{size}");
        assert!(
            matches!(answer, Ok(_) | Err(FetchError::TooLarge { .. })),
            "{size}"
        );
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_in_time_is_given_up() {
    let idp = Idp::start().await;
    idp.page(
        "/",
        Page {
            status: 200,
            delay: Duration::from_secs(60),
            ..Page::default()
        },
    );
    let limits = FetchLimits {
        time: Duration::from_millis(300),
        ..FetchLimits::DEFAULT
    };
    let hasty = Fetcher::new(&any_trust(), limits, PlainHttp::LoopbackOnly);
    let start = Instant::now();
    let answer = get(&hasty, &format!("{}/", idp.url)).await;
    assert!(matches!(answer, Err(FetchError::Timeout { .. })));
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn nothing_is_fetched_without_tls_unless_from_this_machine_and_allowed() {
    let refusing = Fetcher::new(&any_trust(), FetchLimits::DEFAULT, PlainHttp::Refused);
    let rows = [
        ("https://idp.example.com/x", true, true),
        ("http://127.0.0.1:1/x", false, true),
        ("http://[::1]:1/x", false, true),
        ("http://localhost/x", false, true),
        ("http://idp.example.com/x", false, false),
        ("http://localhost.example.com/x", false, false),
        ("http://127.0.0.1.example.com/x", false, false),
        ("http://10.0.0.1/x", false, false),
        ("ftp://localhost/x", false, false),
        ("/x", false, false),
    ];
    for (url, strictly, in_development) in rows {
        let uri: Uri = url.parse().unwrap();
        assert_eq!(refusing.allows(&uri), strictly, "{url}");
        assert_eq!(fetcher().allows(&uri), in_development, "{url}");
    }
    let idp = Idp::start().await;
    assert!(matches!(
        get(&refusing, &idp.url).await,
        Err(FetchError::Insecure(_))
    ));
    assert_eq!(idp.hits("/"), 0);
}

#[tokio::test]
async fn only_a_server_of_the_trusted_authority_and_the_right_name_is_believed() {
    let folder = tempfile::tempdir().unwrap();
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let files = TlsFiles {
        certificate: folder.path().join("tls.crt"),
        key: folder.path().join("tls.key"),
    };
    std::fs::write(&files.certificate, issued.cert.pem()).unwrap();
    std::fs::write(&files.key, issued.signing_key.serialize_pem()).unwrap();
    let tls = ListenerTls::load(files).unwrap();
    let idp = Idp::start_tls(tls.server_config()).await;
    idp.json("/", &json!({"a": 1}));

    let trust = Trust::only(issued.cert.pem().as_bytes()).unwrap();
    let trusting = Fetcher::new(&trust, FetchLimits::DEFAULT, PlainHttp::Refused);
    assert_eq!(get(&trusting, &idp.url).await.unwrap(), r#"{"a":1}"#);
    let by_number = idp.url.replace("localhost", "127.0.0.1");
    assert!(
        matches!(
            get(&trusting, &by_number).await,
            Err(FetchError::Unreachable { .. })
        ),
        "the name is not in it"
    );
    let stranger = Fetcher::new(&any_trust(), FetchLimits::DEFAULT, PlainHttp::Refused);
    let refused = get(&stranger, &idp.url).await.unwrap_err().to_string();
    assert!(refused.contains("certificate"), "{refused}");
    assert_eq!(idp.hits("/"), 1);
}
