//! Requests and reviews as objects, and back.

use super::{MINUTE, approver, call, claim, group, rule, says, terms};
use crate::approval::object::{Ledger, ObjectError, RequestObject, ReviewObject, restore};
use crate::approval::{Case, Closing, Outcome, Scope, Verdict, Window};
use crate::name::{Digest, Issuer, RequestId};
use crate::source::access::Phase;
use crate::time::UnixMillis;

fn id() -> RequestId {
    RequestId::new("req-1")
}

fn leads() -> super::Terms {
    terms(vec![rule("price-change", vec![group("stock-leads")], 1)])
}

/// Through the text of a file.
fn reread<T: serde::Serialize + for<'de> serde::Deserialize<'de>>(value: &T) -> T {
    serde_json::from_str(&serde_json::to_string_pretty(value).unwrap()).unwrap()
}

#[test]
fn a_request_reads_back_as_it_was_written() {
    let window = super::Terms {
        scope: Scope::Tool(Window {
            any_client: false,
            max_uses: Some(3),
            when: Vec::new(),
        }),
        reason: Some("sale".to_owned()),
        ..leads()
    };
    for terms in [leads(), window] {
        let object = RequestObject::of_case(&id(), &Case::open(terms.clone()), 1).unwrap();
        let (case, refusals) = restore(&reread(&object), vec![], UnixMillis(1)).unwrap();
        assert_eq!(*case.terms(), terms);
        assert_eq!(refusals, []);
    }
}

#[test]
fn a_request_is_the_kind_that_people_know() {
    let object = RequestObject::of_case(&id(), &Case::open(leads()), 1).unwrap();
    let json = serde_json::to_value(&object).unwrap();
    let rows = [
        ("/apiVersion", "sallyport.dev/v1alpha1"),
        ("/kind", "McpAccessRequest"),
        ("/metadata/name", "req-1"),
        ("/metadata/namespace", "shop"),
        ("/spec/gatewayName", "inventory"),
        ("/spec/requester/subject", "ada@example.com"),
        ("/spec/client", "https://agents.example.com/restocker"),
        ("/spec/call/tool", "update_price"),
        ("/spec/rules/0/rule", "price-change"),
        ("/spec/grant/scope", "Call"),
        ("/spec/grant/duration", "15m"),
        ("/spec/expiresAt", "1970-01-01T01:00:00Z"),
        ("/status/phase", "Pending"),
    ];
    for (pointer, expected) in rows {
        let found = json.pointer(pointer).and_then(serde_json::Value::as_str);
        assert_eq!(found, Some(expected), "{pointer}");
    }
}

#[test]
fn a_phase_that_somebody_wrote_gives_nothing() {
    let mut object = RequestObject::of_case(&id(), &Case::open(leads()), 1).unwrap();
    let status = object.status.as_mut().unwrap();
    status.phase = Some(Phase::Approved);
    status.reviews.approvals = 9;
    let (case, _) = restore(&object, vec![], UnixMillis(1)).unwrap();
    assert!(matches!(case, Case::Pending(_)));
}

#[test]
fn a_stored_review_that_does_not_count_is_told_and_gives_nothing() {
    let object = RequestObject::of_case(&id(), &Case::open(leads()), 1).unwrap();
    let own = says(
        Verdict::Approve,
        approver("ada@example.com", &["stock-leads"]),
        1,
    );
    let (case, refusals) = restore(&object, vec![own], UnixMillis(2)).unwrap();
    assert!(matches!(case, Case::Pending(_)));
    assert_eq!(refusals.len(), 1);
}

#[test]
fn a_used_request_stays_used_when_it_is_read_back() {
    let yes = says(Verdict::Approve, approver("bob", &["stock-leads"]), MINUTE);
    let case = Case::open(leads()).hear(yes.clone()).unwrap();
    let wanted = claim(case.terms());
    let mut case = case
        .consume(&wanted, call("c1"), UnixMillis(2 * MINUTE))
        .unwrap();
    case.finish(&call("c1"), Outcome::Unknown, UnixMillis(2 * MINUTE));
    let object = reread(&RequestObject::of_case(&id(), &case, 3).unwrap());
    assert_eq!(object.status.as_ref().unwrap().phase, Some(Phase::Consumed));
    let (restored, _) = restore(&object, vec![yes], UnixMillis(3 * MINUTE)).unwrap();
    assert_eq!(restored.closing(), Some(Closing::Consumed));
    assert_eq!(restored.uses(), case.uses());
    let without = restore(&object, vec![], UnixMillis(3 * MINUTE)).unwrap().0;
    assert!(
        matches!(without, Case::Pending(_)),
        "lost reviews approve nothing"
    );
}

#[test]
fn a_withdrawal_is_read_back() {
    let case = Case::open(leads()).withdraw(UnixMillis(5)).unwrap();
    let object = reread(&RequestObject::of_case(&id(), &case, 2).unwrap());
    let late = says(Verdict::Approve, approver("bob", &["stock-leads"]), 9);
    let (restored, _) = restore(&object, vec![late], UnixMillis(10)).unwrap();
    assert_eq!(restored.closing(), Some(Closing::Withdrawn));
}

#[test]
fn law_24_a_review_says_that_its_name_is_asserted_and_by_which_account() {
    let voice = says(Verdict::Approve, approver("bob", &["stock-leads"]), 7);
    let review = ReviewObject::of_voice("req-1-001", &id(), &super::gateway(), &voice);
    let json = serde_json::to_value(&review).unwrap();
    assert_eq!(json["kind"], "McpAccessReview");
    assert_eq!(json["spec"]["by"]["assurance"], "Asserted");
    assert_eq!(json["spec"]["by"]["uid"], 1000);
    assert_eq!(
        json["spec"]["previewDigest"],
        Digest::of(br#"{"price":5}"#).to_string()
    );
    let issuers = [Issuer::new("https://idp.example.com")].into();
    assert_eq!(reread(&review).to_voice(&issuers), Ok(voice));
}

#[test]
fn what_is_not_a_whole_request_is_refused() {
    let whole = RequestObject::of_case(&id(), &Case::open(leads()), 1).unwrap();
    let mut kind = whole.clone();
    kind.kind = "ConfigMap".to_owned();
    let mut ledger = whole.clone();
    ledger.metadata.annotations.clear();
    let mut digest = whole.clone();
    digest.spec.call.digest = None;
    for (name, object) in [("kind", kind), ("ledger", ledger), ("digest", digest)] {
        assert!(restore(&object, vec![], UnixMillis(1)).is_err(), "{name}");
    }
    let mut unknown = whole;
    let text = r#"{"opened":0,"names":[],"phase":"Approved"}"#.to_owned();
    unknown
        .metadata
        .annotations
        .insert(crate::approval::object::LEDGER.to_owned(), text);
    assert!(matches!(
        Ledger::from_object(&unknown),
        Err(ObjectError::Annotation { .. })
    ));
}
