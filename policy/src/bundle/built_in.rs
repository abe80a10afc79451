//! The policy of a standalone run without files (law 9): the server's own hints are trusted, and said to be.

use super::content::RuleContent;
use crate::name::Issuer;
use crate::source::rule::{ApprovalRule, Condition, GrantSpec, Operator};
use crate::source::{Effect, Literal, Rule, Subject};

/// Tools hinted as read-only are callable; everything else waits for somebody of `issuer`.
pub(super) fn rules(issuer: &Issuer) -> Vec<RuleContent> {
    let every = || vec!["*".to_owned()];
    let rules = [
        Rule {
            tools: every(),
            when: vec![read_only(Operator::Equals)],
            ..rule("read-only-hint", Effect::Allow)
        },
        Rule {
            tools: every(),
            when: vec![read_only(Operator::NotEquals)],
            approval: Some(approval(issuer)),
            ..rule("other-tools", Effect::RequireApproval)
        },
        Rule {
            resources: vec!["**".to_owned()],
            prompts: every(),
            methods: every(),
            approval: Some(approval(issuer)),
            ..rule("everything-else", Effect::RequireApproval)
        },
    ];
    let whole = |rule| RuleContent {
        rule,
        broken: false,
    };
    rules.into_iter().map(whole).collect()
}

fn rule(name: &str, effect: Effect) -> Rule {
    Rule {
        name: name.to_owned(),
        effect,
        tools: Vec::new(),
        resources: Vec::new(),
        prompts: Vec::new(),
        methods: Vec::new(),
        when: Vec::new(),
        scopes: Vec::new(),
        approval: None,
        message: None,
    }
}

fn read_only(operator: Operator) -> Condition {
    Condition {
        argument: None,
        principal: None,
        source: None,
        tool: Some("annotations.readOnlyHint".to_owned()),
        header: None,
        operator,
        values: vec![Literal::Bool(true)],
    }
}

fn approval(issuer: &Issuer) -> ApprovalRule {
    ApprovalRule {
        approvers: vec![Subject {
            issuer: Some(issuer.as_str().to_owned()),
            ..Subject::default()
        }],
        required: None,
        reason: None,
        preview: None,
        grant: GrantSpec::default(),
    }
}
