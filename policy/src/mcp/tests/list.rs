//! Lists: what is hidden, what stays byte for byte, and how long it may be kept.

use proptest::prelude::*;

use super::*;
use crate::json::Node;
use crate::mcp::Surface;
use crate::mcp::list::{
    Caching, ListError, Watched, cap_caching, filter, items, narrow_listen, next_cursor,
};

const MODERN: Caching = Caching {
    revision: Revision::NEWEST,
    max_ttl_ms: 30_000,
};
const LEGACY: Caching = Caching {
    revision: Revision::V2025_11_25,
    max_ttl_ms: 30_000,
};

fn result(document: &Document) -> Node<'_> {
    document.root().get("result").unwrap()
}

fn text(bytes: &Bytes) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn law_28_a_filtered_list_keeps_order_cursor_and_every_other_byte() {
    let page = response(
        r#"{"x": 1.50, "tools": [ {"name":"a","n":9223372036854775807} , {"name":"b"},{"name":"c"} ], "nextCursor":"c\/1"}"#,
    );
    let rewritten = filter(result(&page), Surface::Tools, LEGACY, |item| {
        item.name != "b"
    })
    .unwrap();
    assert_eq!(
        text(&rewritten.bytes),
        r#"{"jsonrpc":"2.0","id":7,"result":{"x": 1.50, "tools": [ {"name":"a","n":9223372036854775807},{"name":"c"} ], "nextCursor":"c\/1"}}"#
    );
    assert_eq!(rewritten.hidden, ["b"]);
    assert_eq!(next_cursor(result(&page)).unwrap(), "c/1");
}

#[test]
fn law_28_an_empty_page_with_a_cursor_is_legal() {
    let page = response(r#"{"prompts":[{"name":"a"}],"nextCursor":""}"#);
    let rewritten = filter(result(&page), Surface::Prompts, LEGACY, |_| false).unwrap();
    let expected = r#"{"jsonrpc":"2.0","id":7,"result":{"prompts":[],"nextCursor":""}}"#;
    assert_eq!(text(&rewritten.bytes), expected);
}

#[test]
fn law_28_every_cacheable_result_is_private_and_short_lived() {
    for (name, result_text, expected) in [
        (
            "public and long",
            r#"{"tools":[],"ttlMs":3600000,"cacheScope":"public"}"#,
            r#"{"tools":[],"ttlMs":30000,"cacheScope":"private"}"#,
        ),
        (
            "shorter stays",
            r#"{"tools":[],"ttlMs":5,"cacheScope":"private"}"#,
            r#"{"tools":[],"ttlMs":5,"cacheScope":"private"}"#,
        ),
        (
            "absent is stale at once",
            r#"{"tools":[]}"#,
            r#"{"tools":[],"ttlMs":0,"cacheScope":"private"}"#,
        ),
        (
            "nonsense is stale at once",
            r#"{"tools":[],"ttlMs":-1,"cacheScope":1}"#,
            r#"{"tools":[],"ttlMs":0,"cacheScope":"private"}"#,
        ),
        (
            "a fraction too",
            r#"{"tools":[],"ttlMs":1e9,"cacheScope":"private"}"#,
            r#"{"tools":[],"ttlMs":0,"cacheScope":"private"}"#,
        ),
    ] {
        let page = response(result_text);
        let rewritten = filter(result(&page), Surface::Tools, MODERN, |_| true).unwrap();
        let expected = format!(r#"{{"jsonrpc":"2.0","id":7,"result":{expected}}}"#);
        assert_eq!(text(&rewritten.bytes), expected, "{name}");
        let capped = cap_caching(result(&page), MODERN);
        assert_eq!(capped.as_ref().unwrap_or(page.bytes()), &expected, "{name}");
    }
}

#[test]
fn law_28_a_validity_edge_shortens_what_may_be_kept() {
    let page = response(r#"{"tools":[],"ttlMs":20000,"cacheScope":"private"}"#);
    let near = Caching {
        max_ttl_ms: 1_500,
        ..MODERN
    };
    let bytes = cap_caching(result(&page), near).unwrap();
    assert!(text(&bytes).contains(r#""ttlMs":1500"#));
    assert_eq!(cap_caching(result(&page), MODERN), None);
}

#[test]
fn legacy_results_get_no_members_that_they_do_not_know() {
    let page = response(r#"{"contents":[],"ttlMs":99999999}"#);
    assert_eq!(cap_caching(result(&page), LEGACY), None);
}

#[test]
fn entries_that_cannot_be_named_for_certain_are_taken_out_and_duplicates_told() {
    let page = response(
        r#"{"tools":[{"name":"a"},{"name":"a"},{"Name":"b"},{"name":"c","NAME":"d"},{"name":1},7,{"name":"e","inputSchema":{"x":1},"InputSchema":{}}]}"#,
    );
    let rewritten = filter(result(&page), Surface::Tools, LEGACY, |_| true).unwrap();
    assert_eq!(rewritten.malformed, 5);
    assert_eq!(rewritten.duplicates, ["a"]);
    let expected = r#"{"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"a"},{"name":"a"}]}}"#;
    assert_eq!(text(&rewritten.bytes), expected);
    assert_eq!(items(result(&page), Surface::Tools).unwrap().len(), 2);
}

#[test]
fn each_list_is_judged_by_its_own_key() {
    for (surface, item, name) in [
        (Surface::Tools, r#"{"name":"t"}"#, "t"),
        (Surface::Prompts, r#"{"name":"p"}"#, "p"),
        (
            Surface::Resources,
            r#"{"name":"n","uri":"docs://a"}"#,
            "docs://a",
        ),
        (
            Surface::ResourceTemplates,
            r#"{"name":"n","uriTemplate":"docs://{a}"}"#,
            "docs://{a}",
        ),
        (Surface::Tasks, r#"{"taskId":"1"}"#, "1"),
    ] {
        let page = response(&format!(r#"{{"{}":[{item}]}}"#, surface.member()));
        let found = items(result(&page), surface).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].name, name);
    }
}

#[test]
fn trap_13_a_resource_that_could_never_be_read_is_not_listed() {
    let page = response(r#"{"resources":[{"uri":"docs://a"},{"uri":"docs://a/../b"}]}"#);
    let rewritten = filter(result(&page), Surface::Resources, LEGACY, |_| true).unwrap();
    let expected = response(r#"{"resources":[{"uri":"docs://a"}]}"#);
    assert_eq!(&rewritten.bytes, expected.bytes());
    assert_eq!(rewritten.malformed, 1);
}

#[test]
fn a_result_without_its_list_is_not_passed_on() {
    for text in ["{}", r#"{"tools":{}}"#, r#"{"tools":null}"#] {
        let page = response(text);
        let outcome = filter(result(&page), Surface::Tools, LEGACY, |_| true);
        assert_eq!(outcome.unwrap_err(), ListError::NoItems("tools"));
    }
}

#[test]
fn trap_56_a_listen_filter_is_narrowed_before_it_is_forwarded() {
    let listen = request(
        "subscriptions/listen",
        r#"{"notifications":{"toolsListChanged":true,"resourceSubscriptions":["docs://a","docs://b","docs://a/../b"],"taskIds":["mine","yours"]}}"#,
    );
    let keep = |watched: Watched<'_>| match watched {
        Watched::Uri(uri) => uri.ends_with('b'),
        Watched::Task(id) => id == "mine",
    };
    let narrowed = narrow_listen(listen.root(), keep).unwrap();
    let expected = request(
        "subscriptions/listen",
        r#"{"notifications":{"toolsListChanged":true,"resourceSubscriptions":["docs://b"],"taskIds":["mine"]}}"#,
    );
    assert_eq!(&narrowed, expected.bytes());
    assert_eq!(narrow_listen(expected.root(), keep), None);
}

proptest! {
    #[test]
    fn trap_55_filtering_never_reorders_and_never_invents(names in prop::collection::vec("[a-d]{1,2}", 0..12), hidden in "[a-d]") {
        let entries: Vec<_> = names.iter().map(|name| format!(r#"{{"name":"{name}"}}"#)).collect();
        let page = response(&format!(r#"{{"tools":[{}]}}"#, entries.join(",")));
        let keep = |name: &str| !name.contains(&hidden);
        let rewritten = filter(result(&page), Surface::Tools, MODERN, |item| keep(&item.name)).unwrap();
        let after = document(rewritten.bytes);
        let left: Vec<_> = items(result(&after), Surface::Tools)
            .unwrap()
            .into_iter()
            .map(|item| item.name.into_owned())
            .collect();
        let expected: Vec<_> = names.iter().filter(|name| keep(name)).cloned().collect();
        prop_assert_eq!(left, expected);
    }
}
