//! Laws 19 to 23 over the life of a request.

use std::time::Duration;

use proptest::prelude::{Strategy, any, prop, prop_assert, prop_assert_eq, proptest};

use super::{MINUTE, approver, call, claim, group, rule, says, terms};
use crate::approval::{
    Case, Claim, Closing, ConsumeRefusal, Misfit, Outcome, Refusal, Scope, Terms, Use, Verdict,
    Voice, Window,
};
use crate::name::{ClientId, Digest, Subject};
use crate::time::UnixMillis;

fn leads(required: u32) -> Terms {
    terms(vec![rule(
        "price-change",
        vec![group("stock-leads")],
        required,
    )])
}

fn window(max_uses: Option<u32>) -> Terms {
    Terms {
        scope: Scope::Tool(Window {
            max_uses,
            ..Window::default()
        }),
        ..leads(1)
    }
}

fn yes(name: &str, at: i64) -> Voice {
    says(Verdict::Approve, approver(name, &["stock-leads"]), at)
}

fn approved(terms: Terms) -> Case {
    let case = Case::open(terms).hear(yes("bob", MINUTE)).unwrap();
    assert!(matches!(case, Case::Approved(_)), "{case:?}");
    case
}

#[test]
fn law_19_each_rule_needs_its_own_number_of_distinct_people() {
    let rules = || {
        terms(vec![
            rule("price-change", vec![group("stock-leads")], 2),
            rule("weekend", vec![group("duty")], 1),
        ])
    };
    let lead = |name| says(Verdict::Approve, approver(name, &["stock-leads"]), 1);
    let duty = |name| says(Verdict::Approve, approver(name, &["duty"]), 1);
    let both = |name| {
        says(
            Verdict::Approve,
            approver(name, &["stock-leads", "duty"]),
            1,
        )
    };
    let rows = [
        ("nobody", vec![], false),
        ("two leads", vec![lead("bob"), lead("cyd")], false),
        ("one lead and duty", vec![lead("bob"), duty("dee")], false),
        (
            "two leads and duty",
            vec![lead("bob"), lead("cyd"), duty("dee")],
            true,
        ),
        (
            "duty in between",
            vec![lead("bob"), duty("dee"), lead("cyd")],
            true,
        ),
        (
            "one of the leads is on duty",
            vec![both("bob"), lead("cyd")],
            true,
        ),
        (
            "three on duty",
            vec![duty("bob"), duty("cyd"), duty("dee")],
            false,
        ),
    ];
    for (name, voices, enough) in rows {
        let case = voices
            .into_iter()
            .fold(Case::open(rules()), |case, voice| case.hear(voice).unwrap());
        assert_eq!(matches!(case, Case::Approved(_)), enough, "{name}");
    }
}

#[test]
fn a_request_without_rules_is_approved_by_nobody() {
    let (case, refusal) = Case::open(terms(vec![])).hear(yes("bob", 1)).unwrap_err();
    assert!(matches!(refusal, Refusal::NotAnApprover { .. }));
    assert!(matches!(case, Case::Pending(_)));
}

#[test]
fn law_20_one_denial_ends_it_and_keeps_refusing_until_the_request_expires() {
    let no = says(Verdict::Deny, approver("cyd", &["stock-leads"]), 2);
    let case = Case::open(leads(2))
        .hear(yes("bob", 1))
        .unwrap()
        .hear(no)
        .unwrap();
    assert_eq!(case.closing(), Some(Closing::Denied));
    let settle = Duration::ZERO;
    assert!(case.joinable(UnixMillis(60 * MINUTE - 1), settle));
    assert!(!case.joinable(UnixMillis(60 * MINUTE), settle));
    let (case, refusal) = case.hear(yes("dee", 3)).unwrap_err();
    assert_eq!(refusal, Refusal::Closed("denied"));
    let wanted = claim(case.terms());
    let (_, refusal) = case
        .consume(&wanted, call("c1"), UnixMillis(4))
        .unwrap_err();
    assert_eq!(refusal, ConsumeRefusal::Denied);
}

#[test]
fn nothing_but_an_approved_request_is_consumed() {
    let now = UnixMillis(20 * MINUTE);
    let no = says(Verdict::Deny, approver("cyd", &["stock-leads"]), 1);
    let back = says(
        Verdict::Revoke,
        approver("cyd", &["stock-leads"]),
        2 * MINUTE,
    );
    let rows = [
        ("pending", Case::open(leads(1)), ConsumeRefusal::Pending),
        (
            "half approved",
            Case::open(leads(2)).hear(yes("bob", 1)).unwrap(),
            ConsumeRefusal::Pending,
        ),
        (
            "denied",
            Case::open(leads(1)).hear(no).unwrap(),
            ConsumeRefusal::Denied,
        ),
        (
            "withdrawn",
            Case::open(leads(1)).withdraw(UnixMillis(1)).unwrap(),
            ConsumeRefusal::Withdrawn,
        ),
        (
            "revoked",
            approved(leads(1)).hear(back).unwrap(),
            ConsumeRefusal::Revoked,
        ),
        ("grant over", approved(leads(1)), ConsumeRefusal::Expired),
    ];
    for (name, case, expected) in rows {
        let wanted = claim(case.terms());
        let (after, refusal) = case.consume(&wanted, call("c1"), now).unwrap_err();
        assert_eq!(refusal, expected, "{name}");
        assert_eq!(after.uses(), [], "{name}");
    }
}

#[test]
fn law_21_a_call_is_used_once_and_the_second_hears_how_it_went() {
    let now = UnixMillis(2 * MINUTE);
    let case = approved(leads(1));
    let wanted = claim(case.terms());
    let mut case = case.consume(&wanted, call("c1"), now).unwrap();
    assert_eq!(case.closing(), Some(Closing::Consumed));
    let second = |case: &Case| {
        case.clone()
            .consume(&wanted, call("c2"), now)
            .unwrap_err()
            .1
    };
    assert_eq!(second(&case), ConsumeRefusal::Used(None));
    assert!(case.finish(&call("c1"), Outcome::Unknown, now));
    assert_eq!(second(&case), ConsumeRefusal::Used(Some(Outcome::Unknown)));
    assert!(
        !case.finish(&call("c1"), Outcome::Succeeded, now),
        "the first outcome stays"
    );
    assert_eq!(case.outcome(), Some(Outcome::Unknown));
    assert_eq!(
        case.uses()[0].revision,
        wanted.revision,
        "the revision in force is kept"
    );
    assert_ne!(case.terms().revision, wanted.revision);
}

#[test]
fn law_19_a_grant_of_a_call_covers_that_call_alone() {
    type Turn = fn(&mut Claim);
    let turns: Vec<(&str, Turn, Misfit)> = vec![
        (
            "other arguments",
            |c| c.digest = Digest::of(b"other"),
            Misfit::Call,
        ),
        (
            "another caller",
            |c| c.caller.subject = Subject::new("eve"),
            Misfit::Caller,
        ),
        (
            "another client",
            |c| c.caller.client = Some(ClientId::new("eve")),
            Misfit::Caller,
        ),
        (
            "another delegate",
            |c| c.caller.actor = Some("eve".to_owned()),
            Misfit::Caller,
        ),
        (
            "another gateway",
            |c| c.gateway.name = "orders".to_owned(),
            Misfit::Gateway,
        ),
        (
            "one more rule",
            |c| c.rules.push(Digest::of(b"new rule")),
            Misfit::Rules,
        ),
        ("no rule", |c| c.rules.clear(), Misfit::Rules),
    ];
    for (name, turn, misfit) in turns {
        let case = approved(leads(1));
        let mut wanted = claim(case.terms());
        turn(&mut wanted);
        let (case, refusal) = case
            .consume(&wanted, call("c1"), UnixMillis(2 * MINUTE))
            .unwrap_err();
        assert_eq!(refusal, ConsumeRefusal::Misfit(misfit), "{name}");
        assert!(
            matches!(case, Case::Approved(_)),
            "{name}: a misfit uses nothing up"
        );
    }
}

#[test]
fn law_22_a_window_binds_person_client_gateway_tool_pin_and_rules() {
    type Turn = fn(&mut Claim);
    let turns: Vec<(&str, Turn, Option<Misfit>)> = vec![
        ("other arguments", |c| c.digest = Digest::of(b"other"), None),
        (
            "another person",
            |c| c.caller.subject = Subject::new("eve"),
            Some(Misfit::Caller),
        ),
        (
            "another client",
            |c| c.caller.client = Some(ClientId::new("eve")),
            Some(Misfit::Caller),
        ),
        (
            "another gateway",
            |c| c.gateway.name = "orders".to_owned(),
            Some(Misfit::Gateway),
        ),
        (
            "another tool",
            |c| c.tool = Some("delete_all".to_owned()),
            Some(Misfit::Tool),
        ),
        ("no tool", |c| c.tool = None, Some(Misfit::Tool)),
        (
            "another pin",
            |c| c.pin = Some(Digest::of(b"drift")),
            Some(Misfit::Tool),
        ),
        ("no pin", |c| c.pin = None, Some(Misfit::Tool)),
        (
            "a rule that was not approved",
            |c| c.rules.push(Digest::of(b"new")),
            Some(Misfit::Rules),
        ),
        ("no rule at all", |c| c.rules.clear(), Some(Misfit::Rules)),
    ];
    for (name, turn, misfit) in turns {
        let terms = window(None);
        let mut wanted = claim(&terms);
        turn(&mut wanted);
        assert_eq!(terms.covers(&wanted).err(), misfit, "{name}");
    }
}

#[test]
fn law_22_any_client_means_any_client_of_the_same_person() {
    let mut terms = window(None);
    let Scope::Tool(window) = &mut terms.scope else {
        panic!("it is a window")
    };
    window.any_client = true;
    let mut wanted = claim(&terms);
    wanted.caller.client = Some(ClientId::new("another agent"));
    assert_eq!(terms.covers(&wanted), Ok(()));
    wanted.caller.subject = Subject::new("eve");
    assert_eq!(terms.covers(&wanted), Err(Misfit::Caller));
}

#[test]
fn law_22_a_window_ends_with_its_uses_or_its_time() {
    let now = UnixMillis(2 * MINUTE);
    let case = approved(window(Some(2)));
    let wanted = claim(case.terms());
    let case = case.consume(&wanted, call("c1"), now).unwrap();
    let over = case
        .clone()
        .consume(&wanted, call("c2"), UnixMillis(16 * MINUTE));
    assert_eq!(
        over.unwrap_err().1,
        ConsumeRefusal::Used(None),
        "15 minutes from the approval on"
    );
    let case = case.consume(&wanted, call("c2"), now).unwrap();
    assert_eq!(case.closing(), Some(Closing::Consumed));
    assert!(case.consume(&wanted, call("c3"), now).is_err());
    let unused = approved(window(None)).at(UnixMillis(16 * MINUTE));
    assert_eq!(unused.closing(), Some(Closing::Expired));
}

#[test]
fn law_22_a_windows_conditions_must_hold_for_each_use() {
    let mut terms = window(None);
    let Scope::Tool(window) = &mut terms.scope else {
        panic!("it is a window")
    };
    let small =
        serde_json::json!({ "argument": "$.price", "operator": "LessThan", "values": [10] });
    window.when = vec![serde_json::from_value(small).unwrap()];
    let mut wanted = claim(&terms);
    assert_eq!(terms.covers(&wanted), Err(Misfit::When));
    wanted.when_holds = true;
    assert_eq!(terms.covers(&wanted), Ok(()));
}

#[test]
fn law_22_revoking_ends_what_runs_and_the_requester_may_do_it_too() {
    let now = UnixMillis(2 * MINUTE);
    let revoke = |by: &str, groups: &[&str], at| says(Verdict::Revoke, approver(by, groups), at);
    let case = approved(leads(1));
    let wanted = claim(case.terms());
    let mut running = case.consume(&wanted, call("c1"), now).unwrap();
    let stranger = revoke("eve", &["visitors"], 3 * MINUTE);
    assert!(matches!(
        running.clone().hear(stranger),
        Err((_, Refusal::NotAnApprover { .. }))
    ));
    for by in [
        revoke("ada@example.com", &[], 3 * MINUTE),
        revoke("bob", &["stock-leads"], 3 * MINUTE),
    ] {
        let revoked = running.clone().hear(by).unwrap();
        assert_eq!(revoked.closing(), Some(Closing::Revoked));
    }
    running.finish(&call("c1"), Outcome::Succeeded, now);
    let late = running.hear(revoke("bob", &["stock-leads"], 3 * MINUTE));
    assert!(
        matches!(late, Err((_, Refusal::Closed("used")))),
        "nothing runs any more"
    );
    let pending = Case::open(leads(1)).hear(revoke("bob", &["stock-leads"], 1));
    assert!(matches!(pending, Err((_, Refusal::NothingToRevoke))));
}

#[test]
fn law_21_a_continuation_belongs_to_its_use_and_is_accepted_once() {
    let now = UnixMillis(2 * MINUTE);
    let case = approved(leads(1));
    let wanted = claim(case.terms());
    let mut case = case.consume(&wanted, call("leg1"), now).unwrap();
    let state = Digest::of(b"requestState");
    assert!(case.expect(&call("leg1"), state));
    assert!(case.expects(&state));
    let mut other = wanted.clone();
    other.digest = Digest::of(b"other arguments");
    assert!(case.take_up(&state, &other, call("leg2"), now).is_err());
    let wrong = case.take_up(&Digest::of(b"guess"), &wanted, call("leg2"), now);
    assert_eq!(wrong, Err(ConsumeRefusal::NoSuchLeg));
    assert_eq!(case.take_up(&state, &wanted, call("leg2"), now), Ok(()));
    let again = case.take_up(&state, &wanted, call("leg3"), now);
    assert_eq!(again, Err(ConsumeRefusal::NoSuchLeg));
    assert!(case.finish(&call("leg2"), Outcome::Succeeded, now));
    assert_eq!(case.uses().len(), 1, "all legs are one use");
}

#[test]
fn law_21_a_continuation_ends_with_the_request_and_with_a_revocation() {
    let now = UnixMillis(2 * MINUTE);
    let case = approved(leads(1));
    let wanted = claim(case.terms());
    let mut case = case.consume(&wanted, call("leg1"), now).unwrap();
    let state = Digest::of(b"requestState");
    case.expect(&call("leg1"), state);
    let late = case
        .clone()
        .take_up(&state, &wanted, call("leg2"), UnixMillis(60 * MINUTE));
    assert_eq!(late, Err(ConsumeRefusal::Expired));
    let revoke = says(
        Verdict::Revoke,
        approver("bob", &["stock-leads"]),
        3 * MINUTE,
    );
    let mut revoked = case.hear(revoke).unwrap();
    let after = revoked.take_up(&state, &wanted, call("leg2"), UnixMillis(4 * MINUTE));
    assert_eq!(after, Err(ConsumeRefusal::Revoked));
}

#[test]
fn law_22_a_call_that_is_parked_until_its_next_leg_ends_at_once_when_its_grant_is_revoked() {
    let now = UnixMillis(2 * MINUTE);
    let wanted = claim(&leads(1));
    let state = Digest::of(b"requestState");
    let mut case = approved(leads(1))
        .consume(&wanted, call("leg1"), now)
        .unwrap();
    assert!(case.expect(&call("leg1"), state));
    let mut word = yes("bob", 3 * MINUTE);
    word.verdict = Verdict::Revoke;
    let mut case = case.hear(word).unwrap();
    assert_eq!(case.closing(), Some(Closing::Revoked));
    assert_eq!(case.outcome(), Some(Outcome::Unknown), "effect unknown");
    assert!(case.expects(&state), "the leg must hear what became of it");
    let later = UnixMillis(4 * MINUTE);
    let leg = case.take_up(&state, &wanted, call("leg2"), later);
    assert_eq!(leg, Err(ConsumeRefusal::Revoked));
}

#[test]
fn law_20_a_repeat_belongs_to_the_use_for_a_while_and_longer_if_nobody_knows_how_it_went() {
    let now = UnixMillis(2 * MINUTE);
    let settle = Duration::from_secs(60);
    let rows = [
        ("still running", None, 30 * MINUTE, true),
        (
            "succeeded just now",
            Some(Outcome::Succeeded),
            3 * MINUTE - 1,
            true,
        ),
        (
            "succeeded before",
            Some(Outcome::Succeeded),
            3 * MINUTE,
            false,
        ),
        ("failed before", Some(Outcome::Failed), 3 * MINUTE, false),
        ("unknown", Some(Outcome::Unknown), 59 * MINUTE, true),
        (
            "unknown, long ago",
            Some(Outcome::Unknown),
            60 * MINUTE,
            false,
        ),
    ];
    for (name, outcome, at, joins) in rows {
        let case = approved(leads(1));
        let wanted = claim(case.terms());
        let mut case = case.consume(&wanted, call("c1"), now).unwrap();
        if let Some(outcome) = outcome {
            case.finish(&call("c1"), outcome, now);
        }
        assert_eq!(case.joinable(UnixMillis(at), settle), joins, "{name}");
    }
}

/// Anything that can happen to a request.
#[derive(Clone, Debug)]
enum Step {
    Hear(Voice),
    Withdraw,
    Consume,
    Finish,
    Pass,
}

fn steps() -> impl Strategy<Value = Vec<(i64, Step)>> {
    let people = prop::sample::select(vec!["ada@example.com", "bob", "cyd", "dee", "BOB"]);
    let groups = prop::sample::select(vec!["stock-leads", "visitors"]);
    let verdicts = prop::sample::select(vec![
        Verdict::Approve,
        Verdict::Approve,
        Verdict::Deny,
        Verdict::Revoke,
    ]);
    let word = (people, groups, verdicts)
        .prop_map(|(name, group, verdict)| Step::Hear(says(verdict, approver(name, &[group]), 0)));
    let step = proptest::prop_oneof![
        6 => word,
        1 => any::<bool>().prop_map(|_| Step::Withdraw),
        4 => any::<bool>().prop_map(|_| Step::Consume),
        1 => any::<bool>().prop_map(|_| Step::Finish),
        1 => any::<bool>().prop_map(|_| Step::Pass),
    ];
    prop::collection::vec((1_i64..8 * MINUTE, step), 0..24)
}

/// Runs the steps; says how often a call was let through, and the case at the end.
fn run(terms: Terms, steps: Vec<(i64, Step)>) -> (usize, Case, Option<UnixMillis>, UnixMillis) {
    let wanted = claim(&terms);
    let (mut case, mut now, mut uses, mut withdrawn) = (Case::open(terms), UnixMillis(0), 0, None);
    for (wait, step) in steps {
        now = UnixMillis(now.0 + wait);
        case = match step {
            Step::Hear(voice) => case
                .hear(Voice { at: now, ..voice })
                .unwrap_or_else(|(case, _)| case),
            Step::Withdraw => case.withdraw(now).map_or_else(
                |(case, _)| case,
                |case| {
                    withdrawn = Some(now);
                    case
                },
            ),
            Step::Consume => case
                .consume(&wanted, call(&format!("c{uses}")), now)
                .map_or_else(
                    |(case, _)| case,
                    |case| {
                        uses += 1;
                        case
                    },
                ),
            Step::Finish => {
                case.finish(&call("c0"), Outcome::Succeeded, now);
                case
            }
            Step::Pass => case.at(now),
        };
    }
    (uses, case.at(now), withdrawn, now)
}

proptest! {
    #[test]
    fn law_21_no_history_lets_a_call_through_twice(steps in steps()) {
        let (uses, case, _, _) = run(leads(2), steps);
        prop_assert!(uses <= 1);
        prop_assert_eq!(case.uses().len(), uses);
        if uses == 1 {
            let people: std::collections::BTreeSet<_> = case
                .voices()
                .iter()
                .filter(|voice| voice.verdict == Verdict::Approve)
                .map(|voice| voice.by.username.to_lowercase())
                .collect();
            prop_assert!(people.len() >= 2, "two people, not {people:?}");
            prop_assert!(!people.contains("ada@example.com"));
        }
    }

    #[test]
    fn law_22_no_history_lets_more_calls_through_than_the_window_has_uses(steps in steps()) {
        let (uses, _, _, _) = run(window(Some(3)), steps);
        prop_assert!(uses <= 3);
    }

    /// What is read back from the facts is the state that was: a restart changes nothing.
    #[test]
    fn the_facts_alone_give_the_state(steps in steps(), many in any::<bool>()) {
        let terms = if many { window(Some(3)) } else { leads(2) };
        let (_, case, withdrawn, now) = run(terms, steps);
        let voices = case.voices().to_vec();
        let uses: Vec<Use> = case.uses().to_vec();
        let (replayed, refusals) = Case::replay(case.terms().clone(), voices, uses, withdrawn, now);
        prop_assert_eq!(refusals, vec![]);
        prop_assert_eq!(replayed.closing(), case.closing());
        prop_assert_eq!(replayed.edge(), case.edge());
        prop_assert_eq!(replayed.uses(), case.uses());
        prop_assert_eq!(matches!(replayed, Case::Approved(_)), matches!(case, Case::Approved(_)));
    }
}
