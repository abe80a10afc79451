//! The policy workbench as people and build servers run it: output and exit codes of the built program.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

const GATEWAY: &str = "\
apiVersion: sallyport.dev/v1alpha1
kind: McpGateway
metadata: { name: inventory, namespace: shop }
spec:
  publicUrl: https://inventory.example.com/mcp
  authentication:
    issuers: [{ issuer: https://idp.example.com }]
";

const POLICY: &str = "\
apiVersion: sallyport.dev/v1alpha1
kind: McpAccessPolicy
metadata: { name: stock-clerks, namespace: shop }
spec:
  targetRefs: [{ kind: McpGateway, name: inventory }]
  subjects: [{ groups: [stock-clerks] }]
  rules:
  - name: read-stock
    effect: Allow
    tools: [\"stock_*\"]
    when: [{ argument: $.limit, operator: LessThanOrEqual, values: [1000] }]
  - name: price-change
    effect: RequireApproval
    tools: [update_price]
    approval: { approvers: [{ groups: [stock-leads] }], required: 2, reason: Required }
  - name: never-drop
    effect: Deny
    tools: [\"*\"]
    when: [{ argument: $.sql, operator: Matches, values: ['(?i)\\bdrop\\b'] }]
    message: Schema changes go through the migration pipeline.
  tests:
  - { name: a clerk reads stock, as: { groups: [stock-clerks] }, call: { tool: stock_list, arguments: { limit: 10 } }, expect: Allow, rule: read-stock }
  - { name: a clerk cannot drop, as: { groups: [stock-clerks] }, call: { tool: run_sql, arguments: { sql: drop table stock } }, expect: Deny, rule: never-drop }
";

/// A folder with files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

struct Said {
    code: i32,
    out: String,
    err: String,
}

fn sallyport(folder: &Path, arguments: &[&str]) -> Said {
    let output: Output = Command::new(env!("CARGO_BIN_EXE_sallyport"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    Said {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[track_caller]
fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no `{part}` in:\n{text}");
    }
}

#[test]
fn check_accepts_what_is_right_and_tells_the_revision() {
    let folder = folder(&[("gateway.yaml", GATEWAY), ("policy.yaml", POLICY)]);
    let said = sallyport(folder.path(), &["policy", "check", "."]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    has(
        &said.out,
        &[
            "ok: 1 gateway, 1 access policy, 0 guardrails",
            "gateway shop/inventory: 3 rules, revision sha256:",
        ],
    );
}

#[test]
fn law_27_check_warns_of_fields_that_a_known_schema_leaves_no_mask_for() {
    let masking =
        "\x20 masking: { fields: [{ tool: get_customer, path: $.level, action: Redact }] }\n";
    let policy = format!("{POLICY}{masking}");
    let tools = r#"{"tools":[{"name":"get_customer","inputSchema":{"type":"object"},"outputSchema":
        {"type":"object","required":["level"],"properties":{"level":{"const":"gold"}}}}]}"#;
    let nonsense = r#"{"tool":"get_customer"}"#;
    let folder = folder(&[
        ("gateway.yaml", GATEWAY),
        ("policy.yaml", &policy),
        ("tools.list", tools),
        ("nonsense.list", nonsense),
    ]);
    let without = sallyport(folder.path(), &["policy", "check", "."]);
    assert_eq!(without.code, 0, "{}{}", without.out, without.err);
    assert!(!without.out.contains("withheld"), "{}", without.out);
    let with = ["policy", "check", ".", "--schema", "tools.list"];
    let said = sallyport(folder.path(), &with);
    assert_eq!(said.code, 0, "a warning is no mistake");
    has(&said.out, &["fields[0]", "will be withheld", "policy.yaml"]);
    let with = ["policy", "check", ".", "--schema", "nonsense.list"];
    let said = sallyport(folder.path(), &with);
    assert_eq!(said.code, 3, "{}{}", said.out, said.err);
    has(&said.err, &["nonsense.list", "tools/list"]);
}

#[test]
fn check_tells_every_mistake_of_every_file_with_place_field_and_what_was_meant() {
    let misspelt = POLICY.replace("effect: Deny", "effect: Deni");
    let regex = POLICY
        .replace("name: stock-clerks", "name: other")
        .replace("drop\\b'", "drop('");
    let field = GATEWAY.replace("publicUrl", "publicUrI");
    let folder = folder(&[("a.yaml", &misspelt), ("b.yaml", &field)]);
    let said = sallyport(folder.path(), &["policy", "check", "a.yaml", "b.yaml"]);
    assert_eq!(said.code, 3, "{}{}", said.out, said.err);
    has(
        &said.out,
        &[
            "--> a.yaml:17:13",
            "spec.rules[2].effect",
            "did you mean `Deny`?",
            "17 |     effect: Deni",
        ],
    );
    has(
        &said.out,
        &["--> b.yaml:5:3", "did you mean `publicUrl`?", "2 mistakes"],
    );

    std::fs::write(folder.path().join("c.yaml"), regex).unwrap();
    let said = sallyport(folder.path(), &["policy", "check", "-o", "json", "c.yaml"]);
    assert_eq!(said.code, 3, "{}", said.out);
    let found = json(&said.out);
    let mistake = &found["mistakes"][0];
    assert_eq!(
        mistake["path"], "spec.rules[2].when[0].values[0]",
        "a regex is compiled without its gateway too"
    );
    assert_eq!(
        (&mistake["file"], &mistake["line"]),
        (&Value::from("c.yaml"), &Value::from(19)),
        "{found}"
    );
}

#[test]
fn check_warns_and_still_accepts() {
    let observing = format!("{GATEWAY}  enforcement: Observe\n");
    let folder = folder(&[("gateway.yaml", &observing), ("policy.yaml", POLICY)]);
    let said = sallyport(
        folder.path(),
        &["policy", "check", "gateway.yaml", "policy.yaml"],
    );
    assert_eq!(said.code, 0, "{}", said.out);
    has(
        &said.out,
        &[
            "warning: spec.enforcement",
            "--> gateway.yaml:8:16",
            "1 warning",
        ],
    );
    let alone = sallyport(folder.path(), &["policy", "check", "policy.yaml"]);
    assert_eq!(alone.code, 0, "{}", alone.out);
    has(
        &alone.out,
        &["warning: spec.targetRefs[0].name", "found `inventory`"],
    );
}

#[test]
fn check_refuses_a_gateway_below_its_guardrail_and_a_guardrail_of_nobody() {
    let guardrail = "\
apiVersion: sallyport.dev/v1alpha1
kind: McpGuardrail
metadata: { name: production }
spec:
  require: { enforcement: Enforce }
";
    let broken = "\
apiVersion: sallyport.dev/v1alpha1
kind: McpGuardrail
metadata: { name: elsewhere }
spec:
  namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: nowhere } }
  rules:
  - { name: bad, effect: Deny, tools: [\"*\"], when: [{ argument: $.sql, operator: Matches, values: ['('] }] }
";
    let observing = format!("{GATEWAY}  enforcement: Observe\n");
    let folder = folder(&[
        ("a.yaml", guardrail),
        ("b.yaml", broken),
        ("c.yaml", &observing),
    ]);
    let said = sallyport(
        folder.path(),
        &["policy", "check", "a.yaml", "b.yaml", "c.yaml"],
    );
    assert_eq!(said.code, 3, "{}", said.out);
    has(
        &said.out,
        &[
            "--> b.yaml:7:",
            "in McpGuardrail elsewhere",
            "--> c.yaml:8:16",
            "2 mistakes",
        ],
    );
}

#[test]
fn no_secret_shows_in_what_check_tells() {
    let secret = "\
apiVersion: v1
kind: Secret
metadata: { name: upstream, namespace: shop }
data: { token: hunter2-is-not-base64! }
strinData: { other: hunter3 }
";
    let folder = folder(&[("secret.yaml", secret)]);
    for output in ["table", "json"] {
        let said = sallyport(
            folder.path(),
            &["policy", "check", "-o", output, "secret.yaml"],
        );
        assert_eq!(said.code, 3, "{}", said.out);
        let all = said.out + &said.err;
        assert!(!all.contains("hunter"), "{all}");
    }
}

#[test]
fn tests_pass_and_fail_with_expected_found_and_why() {
    let folder = folder(&[("policy.yaml", POLICY)]);
    let said = sallyport(folder.path(), &["policy", "test", "policy.yaml"]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    has(
        &said.out,
        &[
            "ok   shop/stock-clerks: a clerk reads stock",
            "2 tests: 2 passed, 0 failed",
        ],
    );

    let failing = POLICY.replace("limit: 10 }", "limit: 1001 }");
    std::fs::write(folder.path().join("failing.yaml"), failing).unwrap();
    let said = sallyport(folder.path(), &["policy", "test", "failing.yaml"]);
    assert_eq!(said.code, 1, "{}{}", said.out, said.err);
    has(
        &said.out,
        &[
            "FAIL shop/stock-clerks: a clerk reads stock",
            "at failing.yaml:22",
            "expected Allow by rule `read-stock`",
            "found    Deny (no_rule)",
            "stock-clerks/read-stock: not matched: ",
            "2 tests: 1 passed, 1 failed",
        ],
    );
}

#[test]
fn test_results_come_in_the_formats_of_build_servers() {
    let failing = POLICY.replace("limit: 10 }", "limit: 1001 }");
    let folder = folder(&[("policy.yaml", &failing)]);
    let run = |format: &str| {
        let said = sallyport(
            folder.path(),
            &["policy", "test", "--format", format, "policy.yaml"],
        );
        assert_eq!(said.code, 1, "{}", said.out);
        said.out
    };
    has(
        &run("tap"),
        &[
            "TAP version 14\n1..2\nnot ok 1 - shop/stock-clerks: a clerk reads stock\n  ---",
            "\nok 2 - ",
        ],
    );
    has(
        &run("junit"),
        &[
            "<testsuites tests=\"2\" failures=\"1\">",
            "<failure message=\"expected Allow by rule `read-stock`;",
            "a clerk cannot drop\" classname=\"shop/stock-clerks\" file=\"policy.yaml\" line=\"23\"/>",
        ],
    );
    let results = json(&run("json"));
    assert_eq!(results[0]["passed"], false);
    assert_eq!(
        results[1]["found"],
        "Deny by stock-clerks/never-drop (denied_by_rule)"
    );
}

/// What a clerk's call meets.
fn explain(folder: &Path, arguments: &[&str]) -> String {
    let clerk = [
        "policy",
        "explain",
        "--as-user",
        "ada@example.com",
        "--group",
        "stock-clerks",
    ];
    let all = [&clerk, arguments, &["gateway.yaml", "policy.yaml"]].concat();
    let said = sallyport(folder, &all);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    said.out
}

#[test]
fn explain_tells_the_verdict_the_rules_and_the_obligations() {
    let folder = folder(&[("gateway.yaml", GATEWAY), ("policy.yaml", POLICY)]);
    let explain = |arguments: &[&str]| explain(folder.path(), arguments);
    let held = explain(&["--tool", "update_price", "--args", r#"{"price": 3}"#]);
    has(
        &held,
        &[
            "RequireApproval by stock-clerks/price-change\n",
            "+ stock-clerks/price-change: matched",
        ],
    );
    has(
        &held,
        &[
            "2 of groups stock-leads must approve; a reason is required",
            "the caller waits 45s",
            "recording: Strict",
        ],
    );
    has(
        &held,
        &[
            "- stock-clerks/never-drop: not matched: ",
            "in lists  shown to this caller",
        ],
    );
}

#[test]
fn explain_tells_denials_allows_and_what_needs_no_rule() {
    let folder = folder(&[("gateway.yaml", GATEWAY), ("policy.yaml", POLICY)]);
    let explain = |arguments: &[&str]| explain(folder.path(), arguments);
    let denied = explain(&["--tool", "run_sql", "--args", r#"{"sql": "DROP TABLE x"}"#]);
    has(
        &denied,
        &[
            "Deny by stock-clerks/never-drop (denied_by_rule)",
            "told to the caller: Schema changes",
        ],
    );

    let json = json(&explain(&[
        "-o",
        "json",
        "--tool",
        "stock_list",
        "--args",
        r#"{"limit": 1000}"#,
    ]));
    assert_eq!(json["verdict"], "Allow");
    assert_eq!(json["rule"], "stock-clerks/read-stock");
    assert_eq!(json["caller"]["issuer"], "https://idp.example.com");
    has(
        &explain(&["--method", "ping"]),
        &["Allow by built-in:", "which needs no rule"],
    );
    has(
        &explain(&["--method", "sampling/createMessage"]),
        &["Deny (no_rule)"],
    );
}

#[test]
fn explain_follows_claims_time_address_and_scopes() {
    let policy = "\
apiVersion: sallyport.dev/v1alpha1
kind: McpAccessPolicy
metadata: { name: night, namespace: shop }
spec:
  targetRefs: [{ kind: McpGateway, name: inventory }]
  subjects: [{ claims: { department: [warehouse] } }]
  clients: [\"https://agents.example.com/*\"]
  validity: { windows: [{ days: [Mon], from: \"07:00\", to: \"19:00\" }] }
  rules:
  - { name: read, effect: Allow, tools: [read], scopes: [stock.read], when: [{ source: address, operator: Within, values: [10.0.0.0/8] }] }
";
    let folder = folder(&[("policy.yaml", policy)]);
    let right = [
        "--claim",
        "department=warehouse",
        "--client",
        "https://agents.example.com/a",
        "--scope",
        "stock.read",
        "--source",
        "10.1.2.3",
        "--at",
        "2026-11-02T09:00:00Z",
    ];
    let explain = |arguments: &[&str]| {
        let all = [
            &["policy", "explain", "--tool", "read", "-o", "json"],
            arguments,
            &["policy.yaml"],
        ]
        .concat();
        let said = sallyport(folder.path(), &all);
        assert_eq!(said.code, 0, "{}{}", said.out, said.err);
        let found = json(&said.out);
        (found["verdict"].clone(), found["reason"].clone())
    };
    assert_eq!(explain(&right).0, "Allow");
    let rows = [
        ("department=warehouse", "department=sales", "no_rule"),
        (
            "https://agents.example.com/a",
            "https://evil.example.com/a",
            "no_rule",
        ),
        ("stock.read", "other.read", "insufficient_scope"),
        ("10.1.2.3", "11.1.2.3", "no_rule"),
        ("2026-11-02T09:00:00Z", "2026-11-02T19:00:00Z", "no_rule"),
    ];
    for (from, to, reason) in rows {
        let changed: Vec<&str> = right
            .iter()
            .map(|text| if *text == from { to } else { text })
            .collect();
        assert_eq!(
            explain(&changed),
            (Value::from("Deny"), Value::from(reason)),
            "{to}"
        );
    }
}

#[test]
fn wrong_usage_and_wrong_files_have_their_own_exit_codes() {
    let two = format!(
        "{GATEWAY}---\n{}",
        GATEWAY.replace("name: inventory", "name: orders")
    );
    let folder = folder(&[("two.yaml", &two), ("wrong.yaml", "kind: [")]);
    let rows: [(&[&str], i32, &str); 6] = [
        (&["policy", "explain", "two.yaml"], 2, "--tool"),
        (
            &["policy", "explain", "--tool", "x", "two.yaml"],
            2,
            "choose with --gateway",
        ),
        (
            &[
                "policy", "explain", "--tool", "x", "--args", "[]", "two.yaml",
            ],
            2,
            "expected a JSON object",
        ),
        (
            &[
                "policy",
                "explain",
                "--tool",
                "x",
                "--gateway",
                "nobody",
                "two.yaml",
            ],
            2,
            "`shop/inventory`",
        ),
        (
            &["policy", "explain", "--tool", "x", "wrong.yaml"],
            3,
            "--> wrong.yaml:",
        ),
        (&["policy", "test", "absent.yaml"], 3, "absent.yaml"),
    ];
    for (arguments, code, part) in rows {
        let said = sallyport(folder.path(), arguments);
        assert_eq!(said.code, code, "{arguments:?}: {}{}", said.out, said.err);
        has(&said.err, &[part]);
        assert!(said.out.is_empty(), "{arguments:?}: {}", said.out);
    }
    let one = sallyport(
        folder.path(),
        &[
            "policy",
            "explain",
            "--tool",
            "x",
            "--gateway",
            "shop/orders",
            "two.yaml",
        ],
    );
    assert_eq!(one.code, 0, "{}", one.err);
}

#[test]
fn diff_tells_what_is_decided_differently_and_nothing_else() {
    let stricter = POLICY.replace("values: [1000]", "values: [500]");
    let reworded = POLICY.replace(
        "LessThanOrEqual, values: [1000]",
        "LessThan, values: [1001]",
    );
    let folder = folder(&[
        ("old.yaml", POLICY),
        ("new.yaml", &stricter),
        ("same.yaml", &reworded),
    ]);
    let said = sallyport(folder.path(), &["policy", "diff", "old.yaml", "new.yaml"]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    has(
        &said.out,
        &[
            "gateway shop/inventory",
            "Allow by stock-clerks/read-stock\n    becomes Deny (no_rule)",
            r#"tool `stock_x` {"limit":1000} as groups stock-clerks"#,
        ],
    );
    let judged = sallyport(
        folder.path(),
        &["policy", "diff", "--exit-code", "old.yaml", "new.yaml"],
    );
    assert_eq!(judged.code, 1);
    let same = sallyport(
        folder.path(),
        &["policy", "diff", "--exit-code", "old.yaml", "same.yaml"],
    );
    assert_eq!(same.code, 0, "{}", same.out);
    has(&same.out, &["  0 of "]);
    let json = json(
        &sallyport(
            folder.path(),
            &["policy", "diff", "-o", "json", "old.yaml", "new.yaml"],
        )
        .out,
    );
    let first = &json[0]["differences"][0];
    assert_eq!(first["call"]["tool"], "stock_x");
    assert_eq!(first["after"], "Deny (no_rule)");
}
