//! What people write: read or refused with a place for each mistake, and what compiles can be put in force.

use sallyport_crds::yaml::{Input, Loaded, Mistake, load};
use sallyport_policy::bundle::{Bundle, BundleContent};
use sallyport_policy::compile;
use sallyport_policy::name::GatewayName;

use super::Target;
use crate::corpus;

pub(super) const TARGET: Target = Target {
    name: "yaml",
    law: "any text is loaded or refused with a place for each mistake, alike each time; what is loaded compiles or says why, and what compiles can be put in force",
    property,
    seeds,
    longest: 4096,
    words: &[
        "apiVersion: sallyport.dev/v1alpha1",
        "kind: McpGateway",
        "kind: McpAccessPolicy",
        "kind: McpGuardrail",
        "kind: Secret",
        "metadata:",
        "name: ",
        "namespace: ",
        "spec:",
        "rules:",
        "- name: ",
        "effect: Allow",
        "effect: Deny",
        "effect: RequireApproval",
        "tools: [",
        "when:",
        "argument: $.",
        "operator: In",
        "values:",
        "approval:",
        "approvers:",
        "groups:",
        "targetRefs:",
        "authentication:",
        "issuers:",
        "issuer: https://",
        "masking:",
        "limits:",
        "recording:",
        "---\n",
        "&a",
        "*a",
        "<<: ",
        "|\n",
        ">-\n",
        "!!str",
        "on",
        "010",
        "0x10",
        "~",
        "\t",
        "\u{feff}",
        "\u{85}",
        "{",
        "}",
        "# ",
    ],
};

const FILE: &str = "policy.yaml";

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = Vec::new();
    for text in corpus::examples() {
        seeds.extend(
            text.split("\n---")
                .map(|document| document.as_bytes().to_vec()),
        );
        seeds.push(text.into_bytes());
    }
    seeds.push(b"a: &x [1]\nb: *x\n<<: {c: 1}\n? [k]\n: on\n".to_vec());
    seeds.push(br#"{"apiVersion": "sallyport.dev/v1alpha1", "kind": "McpGateway", "metadata": {"name": "a"}, "spec": {}}"#.to_vec());
    seeds
}

fn read(text: &str) -> Result<Loaded, Vec<Mistake>> {
    load(&[Input::Text {
        name: FILE.to_owned(),
        text: text.to_owned(),
    }])
}

fn property(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match read(text) {
        Err(mistakes) => {
            placed(&mistakes, text);
            assert_eq!(
                read(text).err().as_ref(),
                Some(&mistakes),
                "alike each time"
            );
        }
        Ok(loaded) => compiled(&loaded),
    }
}

fn placed(mistakes: &[Mistake], text: &str) {
    assert!(!mistakes.is_empty(), "refused without a reason");
    for mistake in mistakes {
        let place = mistake
            .place
            .as_ref()
            .expect("a mistake in a text has a place");
        assert_eq!(&*place.file, FILE);
        assert!(place.line >= 1 && place.column >= 1, "{mistake}");
        assert!(
            place.line <= text.split(['\n', '\r']).count() + 1,
            "{mistake}"
        );
        assert!(!mistake.expected.is_empty(), "{mistake}");
    }
}

fn compiled(loaded: &Loaded) {
    for gateway in &loaded.sources.gateways {
        let name = GatewayName {
            namespace: gateway.namespace.clone(),
            name: gateway.name.clone(),
        };
        let strict = compile::compile(&loaded.sources, &name);
        if let Err(mistakes) = &strict {
            assert!(!mistakes.is_empty(), "refused without a reason");
        }
        let Ok(stored) = compile::compile_stored(&loaded.sources, &name) else {
            continue;
        };
        // Law 7: what no longer compiles is in force all the same, in its narrowing sense.
        let bytes = stored.content.canonical().expect("a canonical form");
        let content = BundleContent::decode(&bytes).expect("reads what was written");
        Bundle::activate(content).expect("what compiles can be put in force");
    }
    let _total = compile::run_tests(&loaded.sources);
}
