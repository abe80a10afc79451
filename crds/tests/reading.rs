//! Reading files: what is accepted, what is said of what is not, and where.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail loudly")]

use std::fs;
use std::path::{Path, PathBuf};

use sallyport_crds::yaml::{Input, Loaded, Mistake, ObjectName, load};
use sallyport_policy::compile::{compile, run_tests};
use sallyport_policy::name::GatewayName;
use sallyport_policy::source::gateway::{CredentialTarget, Transport};
use sallyport_policy::source::rule::Operand;
use sallyport_policy::source::settings::RecordingMode;
use sallyport_policy::source::{Effect, SecretValue};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(name)
}

fn text(text: &str) -> Input {
    Input::Text {
        name: "test.yaml".to_owned(),
        text: text.to_owned(),
    }
}

fn read(yaml: &str) -> Result<Loaded, Vec<Mistake>> {
    load(&[text(yaml)])
}

fn lines(mistakes: &[Mistake]) -> String {
    mistakes
        .iter()
        .map(|mistake| format!("{mistake}\n"))
        .collect()
}

#[test]
fn the_examples_read_and_say_what_they_seem_to_say() {
    let loaded = load(&[Input::Path(folder("examples"))])
        .unwrap_or_else(|found| panic!("{}", lines(&found)));
    let name = GatewayName {
        namespace: "shop".to_owned(),
        name: "inventory".to_owned(),
    };
    let gateway = &loaded.sources.gateway(&name).unwrap().spec;
    assert_eq!(gateway.server.transport, Some(Transport::StreamableHttp));
    assert_eq!(gateway.recording.mode, Some(RecordingMode::Strict));
    assert_eq!(
        gateway.credentials[0].target(),
        Some(CredentialTarget::Header("Authorization"))
    );
    assert_eq!(gateway.credentials[0].prefix.as_deref(), Some("Bearer "));
    let limits = &gateway.limits;
    assert_eq!(limits.request_bytes.map(|size| size.get()), Some(4 << 20));
    assert_eq!(limits.budgets[0].calls, 600);

    let policy = &loaded.sources.policies[0].spec;
    assert_eq!(policy.rules.len(), 7);
    assert_eq!(
        policy.rules[0].when[0].operand(),
        Some(Operand::Argument("$.limit"))
    );
    assert_eq!(
        policy.rules[2].when[0].values[0].to_string(),
        r"(?i)^\s*select\b"
    );
    assert_eq!(policy.rules[3].effect, Effect::RequireApproval);
    assert_eq!(policy.tests[0].caller.groups, ["stock-clerks"]);

    let guardrail = &loaded.sources.guardrails[0];
    assert_eq!(guardrail.namespace, "");
    assert_eq!(guardrail.spec.require.capture.len(), 2);
    // The request and the review, which live in the state folder.
    assert_eq!(loaded.notes.len(), 2);
    assert_eq!(loaded.files.len(), 4);
}

#[test]
fn what_is_printed_reads_back_the_same() {
    let loaded = load(&[Input::Path(folder("examples"))]).unwrap();
    let policy = &loaded.sources.policies[0];
    let yaml = serde_yaml::to_string(&serde_json::json!({
        "apiVersion": "sallyport.dev/v1alpha1",
        "kind": "McpAccessPolicy",
        "metadata": { "name": policy.name, "namespace": policy.namespace },
        "spec": policy.spec,
    }))
    .unwrap();
    assert_eq!(
        read(&yaml).unwrap().sources.policies,
        loaded.sources.policies
    );
}

#[test]
fn every_mistake_of_a_file_is_told_at_once_with_its_place() {
    for name in ["policy", "gateway", "documents", "secret"] {
        let yaml = fs::read_to_string(folder("mistakes").join(format!("{name}.yaml"))).unwrap();
        let input = Input::Text {
            name: format!("{name}.yaml"),
            text: yaml,
        };
        let told = lines(&load(&[input]).unwrap_err());
        let golden = folder("mistakes").join(format!("{name}.txt"));
        if std::env::var_os("UPDATE_GOLDENS").is_some() {
            fs::write(&golden, &told).unwrap();
        }
        assert_eq!(told, fs::read_to_string(&golden).unwrap(), "{name}");
        assert!(
            !told.contains("hunter2") && !told.contains("31337"),
            "a secret is shown in {name}"
        );
    }
}

#[test]
fn mistakes_of_several_files_are_told_together() {
    let directory = tempfile::tempdir().unwrap();
    let bad = "apiVersion: sallyport.dev/v1alpha1\nkind: McpGateway\nmetadata: { name: a }\nspec: { servr: {} }\n";
    fs::create_dir(directory.path().join("sub")).unwrap();
    fs::create_dir(directory.path().join(".git")).unwrap();
    for file in ["b.yaml", "a.yml", "sub/c.json", ".git/d.yaml", "notes.txt"] {
        fs::write(
            directory.path().join(file),
            bad.replace("name: a", &format!("name: n{}", file.len())),
        )
        .unwrap();
    }
    let missing = Input::Path(directory.path().join("missing.yaml"));
    let mistakes = load(&[Input::Path(directory.path().to_owned()), missing]).unwrap_err();
    let files: Vec<String> = mistakes
        .iter()
        .map(|mistake| {
            mistake
                .place
                .as_ref()
                .map_or("", |place| &place.file)
                .rsplit('/')
                .next()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(
        files,
        ["", "a.yml", "b.yaml", "c.json"],
        "{}",
        lines(&mistakes)
    );
}

#[test]
fn json_is_read_too() {
    let json = "{\n\t\"apiVersion\": \"sallyport.dev/v1alpha1\",\n\t\"kind\": \"McpGateway\",\n\t\"metadata\": {\"name\": \"a\"},\n\t\"spec\": {\"server\": {\"path\": \"\\/mcp\", \"port\": 1}}\n}\n";
    let loaded = read(json).unwrap_or_else(|found| panic!("{}", lines(&found)));
    assert_eq!(
        loaded.sources.gateways[0].spec.server.path.as_deref(),
        Some("/mcp")
    );
    assert_eq!(loaded.sources.gateways[0].namespace, "default");
}

#[test]
fn a_list_is_its_items() {
    let yaml = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: sallyport.dev/v1alpha1\n  kind: McpGateway\n  metadata: { name: a, uid: x, resourceVersion: '3' }\n  spec: {}\n  status: { anything: 1 }\n";
    assert_eq!(read(yaml).unwrap().sources.gateways.len(), 1);
}

#[test]
fn labels_of_namespaces_are_known_to_guardrails() {
    let loaded = read("apiVersion: v1\nkind: Namespace\nmetadata: { name: shop, labels: { sallyport.dev/tier: production } }\n").unwrap();
    let labels = loaded.sources.labels_of("shop");
    assert_eq!(labels["sallyport.dev/tier"], "production");
    assert_eq!(labels["kubernetes.io/metadata.name"], "shop");
}

#[test]
fn secrets_are_read_and_never_shown() {
    let loaded = read("apiVersion: v1\nkind: Secret\nmetadata: { name: up, namespace: shop }\ndata: { a: aHVudGVyMg==, b: eA== }\nstringData: { b: plain }\n").unwrap();
    let value = |key| {
        loaded
            .secrets
            .value("shop", "up", key)
            .map(SecretValue::expose)
    };
    assert_eq!(value("a"), Some(b"hunter2".as_slice()));
    assert_eq!(value("b"), Some(b"plain".as_slice()), "stringData wins");
    assert!(!format!("{loaded:?}").contains("hunter2"));
}

#[test]
fn a_field_path_leads_to_its_place() {
    let loaded = load(&[Input::Path(folder("examples"))]).unwrap();
    let object = ObjectName {
        kind: "McpAccessPolicy".to_owned(),
        namespace: "shop".to_owned(),
        name: "stock-clerks".to_owned(),
    };
    let at = |path: &str| {
        let place = loaded.places.locate(&object, path).unwrap();
        (place.line, place.column)
    };
    assert_eq!(at("spec.rules[2].when[0].values[0]"), (29, 54));
    assert_eq!(at("spec.rules[2].name"), (25, 11));
    assert_eq!(
        at("spec.rules[2].nothing.there[3]"),
        at("spec.rules[2]"),
        "the section around it"
    );
    assert_eq!(loaded.places.of(&object).unwrap().line, 1);
}

#[test]
fn the_examples_compile_without_a_warning() {
    let loaded = load(&[Input::Path(folder("examples"))]).unwrap();
    let gateway = loaded.sources.gateways[0].gateway_name();
    let compiled = compile(&loaded.sources, &gateway).unwrap();
    assert!(compiled.warnings.is_empty(), "{:?}", compiled.warnings);
    for result in run_tests(&loaded.sources) {
        assert!(result.passed(), "{result:?}");
    }
}

#[test]
fn a_mistake_of_the_compiler_has_a_place_in_its_file() {
    let yaml = format!(
        "{GATEWAY}spec: {{}}\n---\n{POLICY}  rules:\n  - name: a\n    effect: Deny\n    tools: [a]\n    when: [{{ argument: $.a, operator: Matches, values: ['('] }}]\n"
    );
    let loaded = read(&yaml).unwrap();
    let gateway = loaded.sources.gateways[0].gateway_name();
    let mistakes = compile(&loaded.sources, &gateway).unwrap_err();
    let told: Vec<String> = mistakes
        .into_iter()
        .map(|mistake| Mistake::of_compiler(mistake, &loaded.places).to_string())
        .collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with(
            "test.yaml:15:57: McpAccessPolicy default/a: spec.rules[0].when[0].values[0]: "
        ),
        "{told:?}"
    );
}

#[test]
fn a_deeply_nested_file_is_refused() {
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let mistakes = read(&format!("{GATEWAY}spec: {deep}\n")).unwrap_err();
    assert_eq!(mistakes.len(), 1);
}

#[test]
fn a_file_of_nothing_but_mistakes_is_told_in_full_and_costs_little() {
    let wide: String = (0..20_000).map(|key| format!("  k{key}: 1\n")).collect();
    let mistakes = read(&format!("{GATEWAY}spec:\n{wide}")).unwrap_err();
    assert_eq!(mistakes.len(), 20_000);
}

const GATEWAY: &str =
    "apiVersion: sallyport.dev/v1alpha1\nkind: McpGateway\nmetadata: { name: a }\n";

const POLICY: &str = "apiVersion: sallyport.dev/v1alpha1\nkind: McpAccessPolicy\nmetadata: { name: a }\nspec:\n  targetRefs: [{ kind: McpGateway, name: a }]\n";

/// What is said of one text.
fn told(yaml: &str) -> String {
    lines(&read(yaml).unwrap_err())
}

#[test]
fn law_05_a_rule_without_tools_resources_prompts_or_methods_is_an_error() {
    let told = told(&format!(
        "{POLICY}  rules: [{{ name: a, effect: Allow }}]\n"
    ));
    assert!(
        told.contains(
            "spec.rules[0]: expected at least one of tools, resources, prompts and methods"
        ),
        "{told}"
    );
}

#[test]
fn law_06_a_guardrail_that_allows_is_refused() {
    let told = told(
        "apiVersion: sallyport.dev/v1alpha1\nkind: McpGuardrail\nmetadata: { name: a }\nspec: { rules: [{ name: a, effect: Allow, tools: [a] }] }\n",
    );
    assert!(
        told.contains("spec.rules[0]: expected Deny or RequireApproval"),
        "{told}"
    );
}

#[test]
fn law_12_a_header_condition_never_allows() {
    let told = told(&format!(
        "{POLICY}  rules: [{{ name: a, effect: Allow, tools: [a], when: [{{ header: X-A, operator: Exists }}] }}]\n"
    ));
    assert!(
        told.contains("spec.rules[0]: expected no header condition with effect Allow"),
        "{told}"
    );
}

#[test]
fn law_23_empty_approvers_are_an_error() {
    for approvers in ["[]", "[{}]"] {
        let told = told(&format!(
            "{POLICY}  rules: [{{ name: a, effect: RequireApproval, tools: [a], approval: {{ approvers: {approvers} }} }}]\n"
        ));
        assert!(told.contains("spec.rules[0].approval.approvers"), "{told}");
    }
}

#[test]
fn what_only_a_types_own_reader_sees_has_its_place_too() {
    let told = told(&format!(
        "{GATEWAY}spec:\n  recording:\n    retention: 99999h99999m\n"
    ));
    assert!(
        told.starts_with("test.yaml:6:16: McpGateway default/a: spec.recording.retention: "),
        "{told}"
    );
}

proptest::proptest! {
    #[test]
    fn no_text_whatever_brings_the_reader_down(yaml in "[ -~\\n\\t]{0,200}") {
        drop(read(&yaml));
    }

    /// One wrong stroke anywhere: the file reads, or every mistake says where it is.
    #[test]
    fn one_wrong_character_never_goes_unplaced(at in 0_usize..2600, stroke in "[ -~\\n]") {
        let mut yaml = fs::read_to_string(folder("examples").join("policy.yaml")).unwrap();
        let at = at % yaml.len();
        yaml.replace_range(at..=at, &stroke);
        for mistake in read(&yaml).err().unwrap_or_default() {
            proptest::prop_assert!(mistake.place.is_some(), "{}", mistake);
            proptest::prop_assert!(!mistake.expected.is_empty());
        }
    }
}
