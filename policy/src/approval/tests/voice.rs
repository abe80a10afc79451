//! Law 23: whose word counts.

use super::{approver, group, rule, says, terms};
use crate::approval::person::Requester;
use crate::approval::{Case, Names, Refusal, Terms, Verdict, Voice};
use crate::name::{ClientId, Issuer, Subject};
use crate::principal::{Principal, ServiceAccount};
use crate::source::policy::{self, ServiceAccountRef};
use crate::time::UnixMillis;

fn leads() -> Terms {
    terms(vec![rule("price-change", vec![group("stock-leads")], 1)])
}

fn refusal(terms: Terms, voice: Voice) -> Option<Refusal> {
    Case::open(terms)
        .hear(voice)
        .err()
        .map(|(_, refusal)| refusal)
}

#[test]
fn law_23_the_requester_cannot_approve_or_deny_under_any_alias() {
    let principal = Principal {
        issuer: Issuer::new("https://idp.example.com"),
        subject: Subject::new("3f1c"),
        email: Some("ada@example.com".to_owned()),
        groups: ["stock-leads".to_owned()].into(),
        client: Some(ClientId::new("restocker")),
        actor: Some("night-bot".to_owned()),
        scopes: std::collections::BTreeSet::new(),
        service_account: Some(ServiceAccount {
            namespace: "agents".to_owned(),
            name: "restocker".to_owned(),
        }),
        claims: serde_json::json!({ "preferred_username": "adal", "upn": "ADA.L@corp.example" })
            .as_object()
            .unwrap()
            .clone(),
        expires_at: None,
        anonymous: false,
    };
    let mut terms = leads();
    terms.requester = Requester::of(&principal);
    let aliases = [
        ("subject", "3f1c"),
        ("e-mail", "ada@example.com"),
        ("e-mail in other case", "Ada@Example.COM"),
        ("local part of the e-mail", "ada"),
        ("with space around", "  ada@example.com "),
        ("login", "adal"),
        ("login with a domain", "adal@corp.example"),
        ("unverified claim", "ada.l@corp.example"),
        ("the agent", "restocker"),
        ("the delegate", "night-bot"),
        (
            "the service account",
            "system:serviceaccount:agents:restocker",
        ),
    ];
    for (name, alias) in aliases {
        for verdict in [Verdict::Approve, Verdict::Deny] {
            let heard = refusal(
                terms.clone(),
                says(verdict, approver(alias, &["stock-leads"]), 1),
            );
            assert!(
                matches!(heard, Some(Refusal::SelfReview(_))),
                "{name}: {heard:?}"
            );
        }
    }
    let other = says(
        Verdict::Approve,
        approver("bob@example.com", &["stock-leads"]),
        1,
    );
    assert_eq!(refusal(terms, other), None);
}

#[test]
fn law_23_each_person_has_one_voice_for_approve_and_deny() {
    let rows = [
        ("the same name", "bob@example.com", Verdict::Approve),
        (
            "the name in other case",
            "BOB@example.com",
            Verdict::Approve,
        ),
        ("the bare name", "bob", Verdict::Approve),
        ("the other verdict", "bob@example.com", Verdict::Deny),
    ];
    for (name, again, verdict) in rows {
        let terms = terms(vec![rule("price-change", vec![group("stock-leads")], 2)]);
        let first = says(
            Verdict::Approve,
            approver("bob@example.com", &["stock-leads"]),
            1,
        );
        let case = Case::open(terms).hear(first).unwrap();
        let second = says(verdict, approver(again, &["stock-leads", "other"]), 2);
        let (case, refusal) = case.hear(second).unwrap_err();
        assert!(
            matches!(refusal, Refusal::SecondVoice(_)),
            "{name}: {refusal:?}"
        );
        assert!(matches!(case, Case::Pending(_)), "{name}");
        assert_eq!(case.voices().len(), 1, "{name}");
    }
}

fn account(name: &str) -> policy::Subject {
    policy::Subject {
        service_accounts: vec![ServiceAccountRef {
            namespace: "ops".to_owned(),
            name: name.to_owned(),
        }],
        ..policy::Subject::default()
    }
}

fn leads_of(issuer: &str) -> policy::Subject {
    policy::Subject {
        issuer: Some(issuer.to_owned()),
        ..group("stock-leads")
    }
}

fn user(name: &str) -> policy::Subject {
    policy::Subject {
        users: vec![name.to_owned()],
        ..policy::Subject::default()
    }
}

fn claimed() -> policy::Subject {
    serde_json::from_value(serde_json::json!({ "claims": { "level": ["lead"] } })).unwrap()
}

/// Name of the row, approvers, who speaks, in which group, whether it is heard.
type Row = (
    &'static str,
    Vec<policy::Subject>,
    &'static str,
    &'static str,
    bool,
);

fn people() -> Vec<Row> {
    let (here, there) = ("https://idp.example.com", "https://other.example.com");
    let leads = || vec![group("stock-leads")];
    vec![
        ("in the group", leads(), "bob", "stock-leads", true),
        ("in another group", leads(), "bob", "clerks", false),
        (
            "the group in other case",
            leads(),
            "bob",
            "Stock-Leads",
            false,
        ),
        ("named", vec![user("bob")], "bob", "", true),
        ("not named", vec![user("bob")], "eve", "bob", false),
        (
            "in the second item",
            vec![group("a"), group("b")],
            "bob",
            "b",
            true,
        ),
        (
            "of the gateway's issuer",
            vec![leads_of(here)],
            "bob",
            "stock-leads",
            true,
        ),
        (
            "of another issuer",
            vec![leads_of(there)],
            "bob",
            "stock-leads",
            false,
        ),
        (
            "claims that nobody vouches for",
            vec![claimed()],
            "bob",
            "lead",
            false,
        ),
        (
            "an empty item",
            vec![policy::Subject::default()],
            "bob",
            "stock-leads",
            false,
        ),
    ]
}

fn accounts() -> Vec<Row> {
    let bot = "system:serviceaccount:ops:bot";
    vec![
        (
            "an account by its group",
            vec![group("ops")],
            bot,
            "ops",
            false,
        ),
        (
            "an account that is named",
            vec![account("bot")],
            bot,
            "",
            true,
        ),
        ("another account", vec![account("bat")], bot, "", false),
        (
            "a person where an account is named",
            vec![account("bot")],
            "bot",
            "",
            false,
        ),
    ]
}

#[test]
fn law_23_only_approvers_of_a_rule_are_heard() {
    for (name, approvers, username, group, heard) in [people(), accounts()].concat() {
        let terms = terms(vec![rule("price-change", approvers, 1)]);
        let voice = says(Verdict::Approve, approver(username, &[group]), 1);
        let refused = refusal(terms, voice);
        if heard {
            assert_eq!(refused, None, "{name}");
        } else {
            let stranger = matches!(refused, Some(Refusal::NotAnApprover { .. }));
            assert!(stranger, "{name}: {refused:?}");
        }
    }
}

#[test]
fn law_23_a_rule_without_approvers_is_an_error_and_approved_by_nobody() {
    let terms = terms(vec![
        rule("price-change", vec![group("stock-leads")], 1),
        rule("empty", vec![], 1),
    ]);
    let refused = refusal(
        terms,
        says(Verdict::Approve, approver("bob", &["stock-leads"]), 1),
    );
    assert_eq!(
        refused,
        Some(Refusal::NoApprovers("stock-clerks/empty".to_owned()))
    );
}

#[test]
fn law_23_an_approval_carries_the_digest_of_the_preview_that_was_seen() {
    let mut blind = says(Verdict::Approve, approver("bob", &["stock-leads"]), 1);
    blind.preview = None;
    assert_eq!(
        refusal(leads(), blind.clone()),
        Some(Refusal::PreviewDiffers)
    );
    blind.preview = Some(crate::name::Digest::of(b"something else"));
    assert_eq!(
        refusal(leads(), blind.clone()),
        Some(Refusal::PreviewDiffers)
    );
    blind.verdict = Verdict::Deny;
    assert_eq!(
        refusal(leads(), blind),
        None,
        "who says no need not have looked"
    );
}

#[test]
fn a_required_reason_must_say_something() {
    let mut terms = leads();
    terms.rules[0].reason_required = true;
    for (reason, missing) in [
        (None, true),
        (Some("  "), true),
        (Some("sale of the week"), false),
    ] {
        let mut voice = says(Verdict::Approve, approver("bob", &["stock-leads"]), 1);
        voice.reason = reason.map(ToOwned::to_owned);
        let refused = refusal(terms.clone(), voice);
        assert_eq!(refused.is_some(), missing, "{reason:?}: {refused:?}");
    }
}

#[test]
fn a_nameless_reviewer_is_not_heard() {
    let nameless = says(Verdict::Approve, approver("  ", &["stock-leads"]), 1);
    assert_eq!(refusal(leads(), nameless), Some(Refusal::NoName));
}

#[test]
fn names_are_compared_as_people_write_them() {
    let rows = [
        ("ada", "ADA", true),
        ("ada", "ada@example.com", true),
        ("ada@example.com", "ada@example.org", false),
        ("ada", "adam", false),
        ("STRASSE", "straße", true),
        ("", "", false),
    ];
    for (a, b, same) in rows {
        assert_eq!(
            Names::new([a]).may_be(&Names::new([b])),
            same,
            "`{a}` and `{b}`"
        );
        assert_eq!(
            Names::new([b]).may_be(&Names::new([a])),
            same,
            "`{b}` and `{a}`"
        );
    }
}

#[test]
fn a_review_after_the_end_is_not_heard() {
    let late = Voice {
        at: UnixMillis(60 * super::MINUTE),
        ..says(Verdict::Approve, approver("bob", &["stock-leads"]), 0)
    };
    assert_eq!(refusal(leads(), late), Some(Refusal::Closed("expired")));
}
