//! Compiling: mistakes with places, warnings, embedded tests, differences.

use serde_json::{Value, json};

use super::*;
use crate::bundle::Bundle;
use crate::decide::Verdict;
use crate::time::UnixMillis;

fn name() -> GatewayName {
    GatewayName {
        namespace: "shop".to_owned(),
        name: "inventory".to_owned(),
    }
}

fn sources(gateway: &Value, policy: &Value, guardrails: &Value) -> Sources {
    let mut policy = policy.clone();
    policy["targetRefs"] = json!([{ "kind": "McpGateway", "name": "inventory" }]);
    let mut gateway = gateway.clone();
    if gateway.get("server").is_none() {
        gateway["server"] = json!({});
    }
    serde_json::from_value(json!({
        "gateways": [{ "namespace": "shop", "name": "inventory", "spec": gateway }],
        "policies": [{ "namespace": "shop", "name": "clerks", "spec": policy }],
        "guardrails": guardrails,
    }))
    .unwrap()
}

fn rules(rules: &Value) -> Sources {
    sources(&json!({}), &json!({ "rules": rules }), &json!([]))
}

fn approval() -> Value {
    json!({ "approvers": [{ "groups": ["leads"] }] })
}

#[test]
fn all_mistakes_of_all_objects_are_told_at_once_with_their_paths() {
    let policy = json!({
        "subjects": [{}],
        "validity": { "windows": [{ "days": ["Mon"], "from": "07:00", "to": "19:00", "timeZone": "Mars/Base" }] },
        "masking": { "fields": [{ "tool": "t", "path": "$.a[" }] },
        "rules": [
            { "name": "a", "effect": "Allow" },
            { "name": "a", "effect": "Deny", "tools": ["t"], "when": [{ "argument": "$.a", "operator": "Matches", "values": ["ok", "("] }] },
            { "name": "h", "effect": "RequireApproval", "tools": ["t"], "approval": { "approvers": [] } },
            { "name": "r", "effect": "Allow", "resources": ["docs://%61/**"] },
            { "name": "x", "effect": "Deny", "methods": ["m"], "when": [{ "argument": "$.a", "operator": "Exists" }] },
        ],
    });
    let gateway = json!({ "masking": { "patterns": [{ "name": "p", "regex": "(" }] }, "listener": { "trustedProxies": ["10.0.0"] } });
    let guardrail = json!([{ "name": "floor", "spec": { "rules": [{ "name": "a", "effect": "Allow", "tools": ["t"] }] } }]);
    let mistakes = compile(&sources(&gateway, &policy, &guardrail), &name()).unwrap_err();
    let told: Vec<_> = mistakes
        .iter()
        .map(|mistake| format!("{} {}", mistake.object, mistake.path))
        .collect();
    let expected = [
        "McpAccessPolicy shop/clerks spec.masking.fields[0].path",
        "McpAccessPolicy shop/clerks spec.rules[0]",
        "McpAccessPolicy shop/clerks spec.rules[1].name",
        "McpAccessPolicy shop/clerks spec.rules[1].when[0].values[1]",
        "McpAccessPolicy shop/clerks spec.rules[2].approval.approvers",
        "McpAccessPolicy shop/clerks spec.rules[3].resources[0]",
        "McpAccessPolicy shop/clerks spec.rules[4].when[0].argument",
        "McpAccessPolicy shop/clerks spec.subjects[0]",
        "McpAccessPolicy shop/clerks spec.validity.windows[0].timeZone",
        "McpGateway shop/inventory spec.listener.trustedProxies[0]",
        "McpGateway shop/inventory spec.masking.patterns[0].regex",
        "McpGuardrail floor spec.rules[0]",
    ];
    assert_eq!(told, expected);
}

#[test]
fn urls_and_forwarded_headers_are_judged_by_the_readers_that_put_them_in_force() {
    let gateway = json!({
        "publicUrl": "https://inventory.example.com/mcp?x=1",
        "additionalUrls": ["https://other.example.com/mcp", "https://u:p@h/mcp"],
        "server": { "forwardHeaders": ["X-Tenant", "Cookie", "not a name", "Mcp-Name"] },
        "authentication": { "issuers": [
            { "issuer": "https://a.example.com", "claims": { "groups": "realm..roles" } },
            { "issuer": "https://b.example.com", "jwksUri": "/keys", "claims": { "groups": "$.realm.roles" } },
        ] },
    });
    let mistakes = compile(
        &sources(&gateway, &json!({ "rules": [] }), &json!([])),
        &name(),
    );
    let mistakes = mistakes.unwrap_err();
    let told: Vec<_> = mistakes.iter().map(|found| found.path.as_str()).collect();
    let expected = [
        "spec.additionalUrls[1]",
        "spec.authentication.issuers[0].claims.groups",
        "spec.authentication.issuers[1].jwksUri",
        "spec.publicUrl",
        "spec.server.forwardHeaders[1]",
        "spec.server.forwardHeaders[2]",
        "spec.server.forwardHeaders[3]",
    ];
    assert_eq!(told, expected);
}

#[test]
fn what_masking_cannot_do_is_told_with_what_was_meant() {
    let masking = json!({
        "detectors": ["Credentials", "credential", "IBAN", "Nonsense"],
        "patterns": [
            { "name": "staff", "regex": "S-[0-9]{4}" },
            { "name": "staff", "regex": "(?=x)y" },
            { "name": "Iban", "regex": "x" },
            { "name": "huge", "regex": "[a-z]{1000}{1000}" },
            { "name": "empty", "regex": "x*" },
        ],
    });
    let policy =
        json!({ "rules": [{ "name": "a", "effect": "Deny", "tools": ["t"] }], "masking": masking });
    let mistakes = compile(&sources(&json!({}), &policy, &json!([])), &name()).unwrap_err();
    let told: Vec<_> = mistakes
        .iter()
        .map(|mistake| {
            (
                mistake.path.as_str(),
                mistake.hint.as_deref().unwrap_or_default(),
            )
        })
        .collect();
    let at = "spec.masking";
    let expected = [
        ("detectors[1]", "did you mean `Credentials`?"),
        ("detectors[2]", "did you mean `Iban`?"),
        ("detectors[3]", ""),
        ("patterns[1].name", ""),
        ("patterns[1].regex", "look-around"),
        ("patterns[2].name", ""),
        ("patterns[3].regex", "size"),
        ("patterns[4].regex", ""),
    ];
    assert_eq!(told.len(), expected.len(), "{told:?}");
    for ((path, hint), (part, says)) in told.iter().zip(expected) {
        assert_eq!(*path, format!("{at}.{part}"));
        assert!(
            hint.contains(says) && says.is_empty() == hint.is_empty(),
            "{path}: {hint}"
        );
    }
}

#[test]
fn what_recording_cannot_do_yet_is_refused_with_what_to_do() {
    let rows = [
        (
            json!({ "payloads": "Full" }),
            Some("spec.recording.payloads"),
        ),
        (json!({ "payloads": "Metadata" }), None),
        (
            json!({ "retention": "0s" }),
            Some("spec.recording.retention"),
        ),
        (
            json!({ "anchor": { "file": "/x", "every": "0s" } }),
            Some("spec.recording.anchor.every"),
        ),
        (json!({ "anchor": { "file": "/x", "every": "1m" } }), None),
    ];
    let policy = json!({ "rules": [{ "name": "a", "effect": "Deny", "tools": ["t"] }] });
    for (recording, path) in rows {
        let gateway = json!({ "recording": recording });
        let compiled = compile(&sources(&gateway, &policy, &json!([])), &name());
        let told = compiled.err().map(|mistakes| mistakes[0].path.clone());
        assert_eq!(told.as_deref(), path, "{gateway}");
    }
    for (kept, expected) in [
        (json!(["Full"]), false),
        (json!(["Full", "Metadata"]), true),
    ] {
        let floor = json!([{ "name": "floor", "spec": { "require": { "payloads": kept } } }]);
        let compiled = compile(&sources(&json!({}), &policy, &floor), &name());
        assert_eq!(compiled.is_ok(), expected, "{floor}");
        if let Ok(compiled) = compiled {
            assert_eq!(
                compiled.content.settings.recording.payloads,
                crate::source::settings::Payloads::Metadata
            );
        }
    }
}

#[test]
fn law_05_a_rule_without_targets_is_an_error() {
    let mistakes =
        compile(&rules(&json!([{ "name": "a", "effect": "Deny" }])), &name()).unwrap_err();
    assert_eq!(mistakes.len(), 1);
    assert!(
        mistakes[0]
            .to_string()
            .contains("at least one of tools, resources, prompts and methods"),
        "{}",
        mistakes[0]
    );
}

#[test]
fn law_23_empty_approvers_are_an_error() {
    let rule = json!([{ "name": "h", "effect": "RequireApproval", "tools": ["t"], "approval": { "approvers": [] } }]);
    assert!(compile(&rules(&rule), &name()).is_err());
}

#[test]
fn an_unknown_gateway_is_told() {
    let other = GatewayName {
        name: "other".to_owned(),
        ..name()
    };
    let mistakes = compile(&rules(&json!([])), &other).unwrap_err();
    assert_eq!(mistakes[0].path, "metadata.name");
}

#[test]
fn a_policy_of_another_namespace_is_not_attached() {
    let mut sources = rules(&json!([{ "name": "a", "effect": "Allow", "tools": ["*"] }]));
    sources.policies[0].namespace = "other".to_owned();
    assert!(
        compile(&sources, &name())
            .unwrap()
            .content
            .objects
            .is_empty()
    );
    assert_eq!(orphans(&sources)[0].path, "spec.targetRefs[0].name");
}

#[test]
fn what_looks_wrong_is_warned_of() {
    let rows = [
        (
            "nobody named",
            json!([{ "name": "a", "effect": "Allow", "tools": ["t"] }]),
            "spec.subjects",
        ),
        ("no rules", json!([]), "spec.rules"),
        (
            "denied by its neighbour",
            json!([{ "name": "a", "effect": "Allow", "tools": ["stock_read"] }, { "name": "d", "effect": "Deny", "tools": ["stock_*"] }]),
            "spec.rules[0]",
        ),
        (
            "unanchored",
            json!([{ "name": "a", "effect": "Allow", "tools": ["t"], "when": [{ "argument": "$.a", "operator": "Matches", "values": ["(?i)select"] }] }]),
            "spec.rules[0].when[0].values",
        ),
        (
            "method with targets",
            json!([{ "name": "a", "effect": "Allow", "methods": ["tools/*"] }]),
            "spec.rules[0].methods",
        ),
    ];
    for (case, written, path) in rows {
        let warnings = compile(&rules(&written), &name()).unwrap().warnings;
        assert!(
            warnings.iter().any(|warning| warning.path == path),
            "{case}: {warnings:?}"
        );
    }
    let calm = json!({ "subjects": [{ "groups": ["g"] }], "rules": [
        { "name": "a", "effect": "Allow", "tools": ["t"], "when": [{ "argument": "$.a", "operator": "Matches", "values": ["(?i)^select"] }] },
        { "name": "d", "effect": "Deny", "tools": ["*"], "when": [{ "argument": "$.a", "operator": "Exists" }] } ] });
    let warnings = compile(&sources(&json!({}), &calm, &json!([])), &name())
        .unwrap()
        .warnings;
    assert_eq!(warnings, []);
}

#[test]
fn content_reads_back_only_in_its_canonical_form() {
    let compiled = compile(
        &rules(&json!([{ "name": "a", "effect": "Allow", "tools": ["t"] }])),
        &name(),
    )
    .unwrap();
    let bytes = compiled.content.canonical().unwrap();
    assert_eq!(BundleContent::decode(&bytes).unwrap(), compiled.content);
    let text = String::from_utf8(bytes).unwrap();
    for (case, changed) in [
        ("space", text.replacen('{', "{ ", 1)),
        ("unknown field", text.replacen('{', "{\"aaa\":1,", 1)),
        (
            "duplicate key",
            text.replacen("\"format\":1", "\"format\":1,\"format\":1", 1),
        ),
        (
            "other format",
            text.replacen("\"format\":1", "\"format\":2", 1),
        ),
        (
            "default spelled out",
            text.replacen("\"name\":\"a\"", "\"message\":null,\"name\":\"a\"", 1),
        ),
        ("cut", text.trim_end_matches('}').to_owned()),
    ] {
        assert_ne!(changed, text, "{case}");
        assert!(BundleContent::decode(changed.as_bytes()).is_err(), "{case}");
    }
}

fn clerk_tests() -> Value {
    json!({
        "subjects": [{ "groups": ["clerks"] }],
        "validity": { "notBefore": "2026-11-01T00:00:00Z", "notAfter": "2027-01-31T00:00:00Z",
            "windows": [{ "days": ["Tue"], "from": "07:00", "to": "19:00", "timeZone": "Europe/London" }] },
        "enforcement": "Observe",
        "rules": [
            { "name": "query", "effect": "Allow", "tools": ["run_sql"], "scopes": ["sql"] },
            { "name": "never-drop", "effect": "Deny", "tools": ["*"],
              "when": [{ "argument": "$.sql", "operator": "Matches", "values": [r"(?i)\b(drop|truncate)\b"] }] },
            { "name": "price", "effect": "RequireApproval", "tools": ["update_price"], "approval": approval() } ],
        "tests": [
            { "name": "cannot drop", "as": { "groups": ["clerks"] }, "call": { "tool": "run_sql", "arguments": { "sql": "drop table stock" } }, "expect": "Deny", "rule": "never-drop" },
            { "name": "can select", "as": { "groups": ["clerks"] }, "call": { "tool": "run_sql", "arguments": { "sql": "select 1" } }, "expect": "Allow", "rule": "query" },
            { "name": "price waits", "as": { "groups": ["clerks"] }, "call": { "tool": "update_price" }, "expect": "RequireApproval" },
            { "name": "others cannot", "call": { "tool": "run_sql" }, "expect": "Deny" },
            { "name": "not on Mondays", "as": { "groups": ["clerks"] }, "call": { "tool": "run_sql" }, "expect": "Deny", "at": "2026-11-23T12:00:00Z" },
            { "name": "without its scope", "as": { "groups": ["clerks"], "scopes": [] }, "call": { "tool": "run_sql" }, "expect": "Deny", "rule": "query" },
        ],
    })
}

#[test]
fn embedded_tests_run_their_policy_alone_enforced_and_at_a_valid_time() {
    let deny_all = json!([{ "name": "floor", "spec": { "rules": [{ "name": "d", "effect": "Deny", "tools": ["*"] }] } }]);
    let results = run_tests(&sources(
        &json!({ "enforcement": "Observe" }),
        &clerk_tests(),
        &deny_all,
    ));
    assert_eq!(results.len(), 6);
    for result in &results {
        assert!(result.passed(), "{result:?}");
    }
}

#[test]
fn a_failing_test_says_what_was_found() {
    let mut policy = clerk_tests();
    policy["tests"] = json!([
        { "name": "wrong verdict", "as": { "groups": ["clerks"] }, "call": { "tool": "run_sql" }, "expect": "Deny" },
        { "name": "wrong rule", "as": { "groups": ["clerks"] }, "call": { "tool": "run_sql" }, "expect": "Allow", "rule": "price" },
        { "name": "two targets", "call": { "tool": "a", "prompt": "b" }, "expect": "Deny" },
    ]);
    let mut sources = sources(&json!({}), &policy, &json!([]));
    let bad = sources.policies[0].spec.tests.pop().unwrap();
    let results = run_tests(&sources);
    assert!(
        results
            .iter()
            .all(|result| !result.passed() && result.found == Some(Verdict::Allow)),
        "{results:?}"
    );
    assert!(!results[0].explanation.to_string().is_empty());
    sources.policies[0].spec.tests = vec![bad];
    assert!(run_tests(&sources)[0].problem.is_some());
}

fn activated(sources: &Sources) -> (BundleContent, Bundle) {
    let content = compile(sources, &name()).unwrap().content;
    (content.clone(), Bundle::activate(content).unwrap())
}

#[test]
fn a_moved_bound_is_found_by_calls_at_the_rules_boundaries() {
    let bound = |limit: i64| {
        rules(
            &json!([{ "name": "a", "effect": "Allow", "tools": ["stock_*"],
            "when": [{ "argument": "$.page.limit", "operator": "LessThanOrEqual", "values": [limit] }] }]),
        )
    };
    let (old_content, old) = activated(&bound(1000));
    let (new_content, new) = activated(&bound(999));
    let probes = boundary_probes(&[&old_content, &new_content]);
    let differences = diff(&old, &new, &probes, UnixMillis(0));
    assert_eq!(differences.len(), 1, "{differences:?}");
    let found = &differences[0];
    assert_eq!(
        found.probe.call.arguments,
        json!({ "page": { "limit": 1000 } }).as_object().cloned()
    );
    assert_eq!(
        (found.before.verdict, found.after.verdict),
        (Verdict::Allow, Verdict::Deny)
    );
    assert_eq!(diff(&old, &old, &probes, UnixMillis(0)), []);
}

#[test]
fn a_removed_group_is_found_by_callers_of_the_policies() {
    let about = |group: &str| {
        let policy = json!({ "subjects": [{ "groups": [group] }], "rules": [{ "name": "a", "effect": "Allow", "tools": ["t"] }] });
        sources(
            &json!({ "authentication": { "issuers": [{ "issuer": "https://idp" }] } }),
            &policy,
            &json!([]),
        )
    };
    let (old_content, old) = activated(&about("clerks"));
    let (new_content, new) = activated(&about("leads"));
    let probes = boundary_probes(&[&old_content, &new_content]);
    assert_eq!(
        diff(&old, &new, &probes, UnixMillis(0)).len(),
        2,
        "one difference a caller"
    );
}

#[test]
fn law_23_detectors_of_guardrails_stand_apart_from_what_authors_wrote() {
    let gateway = json!({ "masking": { "detectors": ["Financial"] } });
    let policy = json!({ "rules": [{ "name": "a", "effect": "Allow", "tools": ["t"] }] });
    let guardrail = json!([{ "name": "floor", "spec": {
        "namespaceSelector": {}, "masking": { "detectors": ["Email"] } } }]);
    let compiled = compile(&sources(&gateway, &policy, &guardrail), &name()).unwrap();
    let settings = compiled.content.settings;
    assert_eq!(settings.platform_detectors, ["Email"]);
    assert_eq!(settings.masking.detectors.unwrap(), ["Financial", "Email"]);
}

#[test]
fn law_27_a_field_that_a_known_schema_leaves_no_mask_for_is_warned_of_where_it_is_written() {
    let masking = json!({ "action": "Redact", "fields": [
        { "tool": "get_*", "path": "$.email" },
        { "tool": "get_*", "path": "$.level" },
        { "tool": "list", "path": "$.level" },
    ] });
    let policy =
        json!({ "rules": [{ "name": "a", "effect": "Deny", "tools": ["t"] }], "masking": masking });
    let sources = sources(&json!({}), &policy, &json!([]));
    let schema = json!({ "type": "object", "required": ["level"], "properties": {
        "email": { "type": "string" }, "level": { "const": "gold" } } });
    let known = [("get_customer".to_owned(), schema)];
    let found = unmaskable(&sources, &name(), &known);
    let [found] = &found[..] else {
        panic!("{found:?}")
    };
    assert_eq!(found.path, "spec.masking.fields[1]");
    assert!(found.hint.as_ref().unwrap().contains("will be withheld"));
    assert!(unmaskable(&sources, &name(), &[]).is_empty());
}
