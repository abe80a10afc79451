//! What client and server may tell each other about themselves.

use super::*;
use crate::json::Node;
use crate::mcp::agreement::{
    AgreementError, Features, cut_client_capabilities, cut_supported, discovered, initialized,
};
use crate::mcp::list::Caching;

const CACHING: Caching = Caching {
    revision: Revision::NEWEST,
    max_ttl_ms: 30_000,
};
const UI: Features<'_> = Features {
    logging: true,
    tasks: false,
    extensions: &["io.modelcontextprotocol/ui"],
};

fn result(document: &Document) -> Node<'_> {
    document.root().get("result").unwrap()
}

#[test]
fn law_01_a_server_feature_that_nothing_allows_is_taken_out_of_the_client_capabilities() {
    let all = r#"{"roots":{"listChanged":true},"sampling":{},"elicitation":{"url":{}},"tasks":{},"experimental":{"x":{}},"extensions":{"io.modelcontextprotocol/ui":{},"vendor/y":{}}}"#;
    let some = |method: &str| method == "elicitation/create";
    let left = r#"{"elicitation":{"url":{}},"experimental":{},"extensions":{"io.modelcontextprotocol/ui":{}}}"#;
    for (method, params, expected) in [
        (
            "initialize",
            format!(r#"{{"capabilities":{all}}}"#),
            format!(r#"{{"capabilities":{left}}}"#),
        ),
        (
            "tools/call",
            modern(r#""name":"t""#, all),
            modern(r#""name":"t""#, left),
        ),
    ] {
        let before = request(method, &params);
        let after = cut_client_capabilities(before.root(), UI, some).unwrap();
        assert_eq!(&after, request(method, &expected).bytes(), "{method}");
        let again = cut_client_capabilities(document(after).root(), UI, some);
        assert_eq!(again, None);
    }
}

#[test]
fn capabilities_in_other_params_are_not_touched() {
    let call = request("tools/call", r#"{"name":"t","capabilities":{"roots":{}}}"#);
    assert_eq!(cut_client_capabilities(call.root(), UI, |_| false), None);
}

#[test]
fn an_initialize_answer_agrees_on_a_known_legacy_revision_only() {
    for (version, expected) in [
        ("2024-11-05", Ok(Revision::V2024_11_05)),
        ("2025-11-25", Ok(Revision::V2025_11_25)),
        (
            "2026-07-28",
            Err(AgreementError::UnknownRevision("2026-07-28".into())),
        ),
        (
            "2099-01-01",
            Err(AgreementError::UnknownRevision("2099-01-01".into())),
        ),
    ] {
        let answer = response(&format!(
            r#"{{"protocolVersion":"{version}","capabilities":{{}}}}"#
        ));
        let agreed = initialized(result(&answer), UI).map(|agreed| agreed.revision);
        assert_eq!(agreed, expected);
    }
    let without = response(r#"{"protocolVersion":"2025-11-25"}"#);
    assert_eq!(
        initialized(result(&without), UI).unwrap_err(),
        AgreementError::Malformed("capabilities")
    );
}

#[test]
fn what_a_server_offers_is_read_and_cut_to_what_can_be_policed() {
    let answer = response(
        r#"{"protocolVersion":"2025-06-18","capabilities":{"tools":{"listChanged":true},"resources":{"subscribe":true},"logging":{},"tasks":{"list":{}},"extensions":{"vendor/y":{}}},"instructions":"x"}"#,
    );
    let agreed = initialized(result(&answer), UI).unwrap();
    let offers = agreed.capabilities;
    assert!(offers.tools && offers.tools_list_changed && offers.resources && offers.logging);
    assert!(offers.resources_subscribe && !offers.resources_list_changed);
    assert!(!offers.prompts && !offers.tasks);
    let expected = response(
        r#"{"protocolVersion":"2025-06-18","capabilities":{"tools":{"listChanged":true},"resources":{"subscribe":true},"logging":{},"extensions":{}},"instructions":"x"}"#,
    );
    assert_eq!(&agreed.bytes, expected.bytes());
    let quiet = Features {
        logging: false,
        ..UI
    };
    let agreed = initialized(result(&answer), quiet).unwrap();
    assert!(!agreed.capabilities.logging);
    assert!(!String::from_utf8_lossy(&agreed.bytes).contains("logging"));
}

#[test]
fn discovery_shows_only_versions_that_we_speak_and_is_private() {
    let answer = response(
        r#"{"resultType":"complete","supportedVersions":["2099-01-01","2026-07-28","2025-11-25",7],"capabilities":{},"ttlMs":60000,"cacheScope":"public"}"#,
    );
    let agreed = discovered(result(&answer), UI, CACHING).unwrap();
    let expected = response(
        r#"{"resultType":"complete","supportedVersions":["2026-07-28","2025-11-25"],"capabilities":{},"ttlMs":30000,"cacheScope":"private"}"#,
    );
    assert_eq!(&agreed.bytes, expected.bytes());
    assert_eq!(agreed.revision, Revision::NEWEST);
    let future = response(r#"{"supportedVersions":["2099-01-01"],"capabilities":{}}"#);
    assert_eq!(
        discovered(result(&future), UI, CACHING).unwrap_err(),
        AgreementError::NoCommonRevision
    );
}

#[test]
fn a_servers_refusal_of_a_version_leads_no_client_to_one_that_we_do_not_speak() {
    let text = |supported: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"error":{{"code":-32022,"message":"no","data":{{"supported":{supported},"requested":"x"}}}}}}"#
        )
    };
    let error = document(text(r#"["2099-01-01","2026-07-28"]"#));
    let cut = cut_supported(error.root().get("error").unwrap()).unwrap();
    assert_eq!(cut, text(r#"["2026-07-28"]"#));
    let known = document(text(r#"["2026-07-28"]"#));
    assert_eq!(cut_supported(known.root().get("error").unwrap()), None);
}
