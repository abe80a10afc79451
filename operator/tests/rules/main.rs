//! The chart's admission policies on a real API server: each rule refuses what it is against, and nothing else.
//!
//! The guarded pod is made by injection itself, so that the rules and injection cannot come to differ. Where no API
//! server was built the test says so and shows nothing.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    clippy::wildcard_enum_match_arm,
    reason = "tables of cases are long, and a bed that cannot be made ends the test"
)]

mod bed;
mod cases;
mod guarded;

use bed::{Bed, programs};
use cases::{Ask, Expect};

#[test]
fn each_rule_of_the_admission_policies_holds_both_ways() {
    let Some(programs) = programs() else {
        println!("not shown here: no kube-apiserver; `cargo xtask cluster up` builds one");
        return;
    };
    let bed = Bed::up(&programs);
    bed.prepare(&guarded::pod("enforced"));
    let mut wrong = Vec::new();
    let rows = cases::all();
    for row in &rows {
        let (accepted, said) = match &row.ask {
            Ask::Create(object) => bed.create(row.user, row.namespace, object),
            Ask::Kubectl(words) => bed.kubectl_as(row.user, row.namespace, words),
        };
        let holds = match row.expect {
            Expect::Accepted => accepted,
            // Admission let it through; that there is no node to go on to is another matter.
            Expect::Passed => {
                !said.contains("sallyport:") && !said.contains("ValidatingAdmissionPolicy")
            }
            Expect::Refused(word) => {
                !accepted && said.contains("sallyport:") && said.contains(word)
            }
        };
        let mark = if holds { "shown" } else { "WRONG" };
        println!("{mark}: {} {}: {:?}", row.policy, row.name, row.expect);
        if !holds {
            wrong.push(format!(
                "{} {}: {:?}, but: {said}",
                row.policy, row.name, row.expect
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{}\n{} of {} rows are wrong",
        wrong.join("\n"),
        wrong.len(),
        rows.len()
    );
}

#[test]
fn the_twin_finds_no_difference_in_what_the_api_server_stores() {
    let Some(programs) = programs() else {
        println!("not shown here: no kube-apiserver; `cargo xtask cluster up` builds one");
        return;
    };
    let bed = Bed::up(&programs);
    bed.namespaces();
    for (name, pod, spec) in guarded::shapes() {
        // Webhooks see what the API server has completed.
        let mut complete = bed.stored("enforced", &pod);
        complete["metadata"] = pod["metadata"].clone();
        let stored = bed.stored("enforced", &guarded::inject("enforced", &complete, &spec));
        assert_eq!(guarded::twin(&stored, &spec), None, "{name}: {stored:#}");
        let token = "/var/run/secrets/kubernetes.io/serviceaccount";
        for container in guarded::ours(&stored) {
            let mounts = container["volumeMounts"].as_array().unwrap();
            let there: Vec<_> = mounts
                .iter()
                .filter(|mount| mount["mountPath"] == token)
                .collect();
            assert_eq!(there.len(), 1, "{name}");
            assert_eq!(there[0]["name"], "sallyport-no-token", "{name}");
        }
        println!("shown: {name}: stored as it was injected, and no API token in our containers");
    }
}
