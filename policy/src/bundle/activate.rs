//! Content made ready: everything compiled, ordered and indexed once, so that a call compiles nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::built_in;
use super::content::{BundleContent, FORMAT, ObjectContent, RuleContent, rule_digest};
use super::{ActiveSubject, ActiveValidity, Bundle, BundleError, Settings};
use crate::condition::glob::{Glob, GlobKind};
use crate::condition::{Predicate, Problem, uri};
use crate::decide::{
    ActiveBudget, ActiveObject, ActiveRule, DenyReason, Entry, GrantTerms, HoldRule, Index, Key,
    Keys, Posting, RuleIndex, Targets,
};
use crate::name::{Digest, GatewayName, Issuer, Revision, RuleId, RuleSource};
use crate::source::rule::{Condition, GrantScope, Preview, Reason};
use crate::source::settings::Enforcement;
use crate::source::{Effect, GatewaySpec, Rule, Subject, defaults};

impl Bundle {
    /// Makes content ready. It was compiled before, so an error here means that it was not, or was changed since.
    pub fn activate(content: BundleContent) -> Result<Self, BundleError> {
        let revision = content.revision()?;
        if content.format != FORMAT {
            return Err(BundleError::Format(content.format));
        }
        let mut parts = Parts::default();
        let observes = content.settings.enforcement == Enforcement::Observe;
        for object in &content.objects {
            parts.add_object(object, observes, &content.settings)?;
        }
        let mut bundle = Self::bare(content.gateway, revision, content.settings, content.refusal);
        bundle.has_observed = observes || parts.objects.iter().any(|object| object.observed);
        bundle.observes = observes;
        (bundle.objects, bundle.rules, bundle.index) = parts.finish();
        Ok(bundle)
    }

    /// No verified policy: denies everything.
    #[must_use]
    pub fn none(gateway: GatewayName) -> Self {
        let settings = Settings::of(&GatewaySpec::default());
        Self::bare(
            gateway,
            Digest::of(b""),
            settings,
            Some(DenyReason::NoPolicy),
        )
    }

    /// Standalone without any policy: tools that the server hints as read-only are callable, everything else is
    /// held until somebody of `issuer` approves it (law 9).
    pub fn built_in(gateway: GatewayName, issuer: &Issuer) -> Result<Self, BundleError> {
        let content = BundleContent {
            format: FORMAT,
            gateway,
            refusal: None,
            settings: Settings::of(&GatewaySpec::default()),
            objects: vec![ObjectContent {
                source: RuleSource::BuiltIn,
                name: "standalone".to_owned(),
                enforcement: Enforcement::Enforce,
                subjects: Vec::new(),
                clients: Vec::new(),
                validity: None,
                broken: false,
                rules: built_in::rules(issuer),
            }],
        };
        Ok(Self::activate(content)?.with_standalone_issuer(issuer.clone()))
    }

    /// The same refusal with settings that anything can put in force. For a bundle that denies everything because
    /// what was written does not compile: what cannot be read must not keep the refusal itself out (law 7).
    #[must_use]
    pub fn without_settings(self) -> Self {
        let mut settings = Settings::of(&GatewaySpec::default());
        settings.unreadable_masking.everything = true;
        let refusal = self.refusal.or(Some(DenyReason::NoPolicy));
        let bare = Self::bare(self.gateway, self.revision, settings, refusal);
        Self {
            expires: self.expires,
            ..bare
        }
    }

    fn bare(
        gateway: GatewayName,
        revision: Revision,
        settings: Settings,
        refusal: Option<DenyReason>,
    ) -> Self {
        let own_rule = |rule: &str| {
            Arc::new(RuleId {
                source: RuleSource::BuiltIn,
                object: "sallyport".to_owned(),
                rule: rule.to_owned(),
            })
        };
        Self {
            gateway,
            revision,
            issuers: settings.issuer_context(None),
            budgets: settings
                .limits
                .budgets
                .iter()
                .map(ActiveBudget::new)
                .collect(),
            unreadable: settings
                .unreadable_masking
                .tools
                .iter()
                .map(|glob| Glob::new(glob, GlobKind::Name))
                .collect(),
            settings,
            refusal,
            expires: None,
            objects: Vec::new(),
            rules: Vec::new(),
            index: Index::default(),
            observes: false,
            has_observed: false,
            open_rule: own_rule("open"),
            observe_rule: own_rule("observe"),
        }
    }
}

/// A bundle while it is put together.
#[derive(Default)]
struct Parts {
    objects: Vec<ActiveObject>,
    rules: Vec<ActiveRule>,
    keys: Keys,
    targets: BTreeMap<Kind, BTreeMap<String, Posting>>,
    always: Posting,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Tools,
    Prompts,
    Resources,
    Methods,
    DeniedMethods,
}

impl Parts {
    fn add_object(
        &mut self,
        object: &ObjectContent,
        gateway_observes: bool,
        settings: &Settings,
    ) -> Result<(), BundleError> {
        let active = active_object(object, gateway_observes)?;
        let keys = if active.broken {
            None
        } else {
            self.keys.of_subjects(&active.subjects)
        };
        let place = self.objects.len();
        self.objects.push(active);
        for rule in &object.rules {
            self.add_rule(object, rule, place, keys.as_deref(), settings)?;
        }
        Ok(())
    }

    fn add_rule(
        &mut self,
        object: &ObjectContent,
        content: &RuleContent,
        place: usize,
        keys: Option<&[Key]>,
        settings: &Settings,
    ) -> Result<(), BundleError> {
        let rule = &content.rule;
        let active = active_rule(object, content, place, settings)?;
        let too_many = |_| BundleError::Unreadable("too many rules".to_owned());
        let entry = Entry {
            rule: RuleIndex::try_from(self.rules.len()).map_err(too_many)?,
            keys,
            names: active
                .when
                .iter()
                .flat_map(Predicate::member_names)
                .collect(),
        };
        if active.broken {
            self.always.add(&entry);
        } else {
            add_targets(&mut self.targets, rule, &entry);
        }
        self.rules.push(active);
        Ok(())
    }

    fn finish(mut self) -> (Vec<ActiveObject>, Vec<ActiveRule>, Index) {
        self.always.finish();
        let mut build =
            |kind, globs| Targets::build(self.targets.remove(&kind).unwrap_or_default(), globs);
        let index = Index {
            tools: build(Kind::Tools, GlobKind::Name),
            prompts: build(Kind::Prompts, GlobKind::Name),
            resources: build(Kind::Resources, GlobKind::Path),
            methods: build(Kind::Methods, GlobKind::Name),
            denied_methods: build(Kind::DeniedMethods, GlobKind::Name),
            always: self.always,
            keys: self.keys,
        };
        (self.objects, self.rules, index)
    }
}

fn add_targets(
    targets: &mut BTreeMap<Kind, BTreeMap<String, Posting>>,
    rule: &Rule,
    entry: &Entry<'_>,
) {
    let mut add = |kind, glob: &str| {
        let postings = targets.entry(kind).or_default();
        postings.entry(glob.to_owned()).or_default().add(entry);
    };
    rule.tools.iter().for_each(|glob| add(Kind::Tools, glob));
    rule.prompts
        .iter()
        .for_each(|glob| add(Kind::Prompts, glob));
    for glob in &rule.resources {
        // Compiling has refused what has no plain form; the glob as written can then match nothing plain.
        add(
            Kind::Resources,
            &uri::plain_glob(glob).unwrap_or(glob.into()),
        );
    }
    for glob in &rule.methods {
        add(Kind::Methods, glob);
        if rule.effect == Effect::Deny {
            add(Kind::DeniedMethods, glob);
        }
    }
}

fn active_object(
    object: &ObjectContent,
    gateway_observes: bool,
) -> Result<ActiveObject, BundleError> {
    let wrong = |what: String| BundleError::Object {
        object: object.name.clone(),
        what,
    };
    let observed = object.source != RuleSource::Guardrail
        && (gateway_observes || object.enforcement == Enforcement::Observe);
    let mut active = ActiveObject {
        source: object.source,
        subjects: Vec::new(),
        clients: Vec::new(),
        validity: ActiveValidity::default(),
        observed,
        broken: object.broken,
    };
    if object.broken {
        return Ok(active);
    }
    active.clients = object
        .clients
        .iter()
        .map(|glob| Glob::new(glob, GlobKind::Path))
        .collect();
    for subject in &object.subjects {
        if subject.is_empty() {
            return Err(wrong("an empty subject item".to_owned()));
        }
        active
            .subjects
            .push(ActiveSubject::new(subject).map_err(|error| wrong(error.to_string()))?);
    }
    if let Some(validity) = &object.validity {
        active.validity =
            ActiveValidity::new(validity).map_err(|error| wrong(error.to_string()))?;
    }
    Ok(active)
}

fn active_rule(
    object: &ObjectContent,
    content: &RuleContent,
    place: usize,
    settings: &Settings,
) -> Result<ActiveRule, BundleError> {
    let rule = &content.rule;
    let id = Arc::new(object.rule_id(rule));
    let broken = content.broken || object.broken;
    let (when, hold) = if broken {
        (Vec::new(), hold_rule(&id, rule, settings).ok().flatten())
    } else {
        (
            predicates(&id, &rule.when, rule.effect)?,
            hold_rule(&id, rule, settings)?,
        )
    };
    Ok(ActiveRule {
        id,
        object: place,
        effect: rule.effect,
        when,
        scopes: rule.scopes.clone(),
        message: rule.message.clone(),
        hold: hold.map(Arc::new),
        broken,
    })
}

fn predicates(
    id: &RuleId,
    conditions: &[Condition],
    effect: Effect,
) -> Result<Vec<Predicate>, BundleError> {
    conditions
        .iter()
        .map(|condition| {
            Predicate::compile(condition, effect).map_err(|problems| {
                let unknown = Problem::new("when", "a condition", "none");
                BundleError::rule(id, problems.first().unwrap_or(&unknown))
            })
        })
        .collect()
}

/// What the desk needs of a RequireApproval; none for other effects.
fn hold_rule(
    id: &Arc<RuleId>,
    rule: &Rule,
    settings: &Settings,
) -> Result<Option<HoldRule>, BundleError> {
    if rule.effect != Effect::RequireApproval {
        return Ok(None);
    }
    let wrong = |expected: &str| BundleError::rule(id, &Problem::new("approval", expected, "none"));
    let approval = rule
        .approval
        .as_ref()
        .ok_or_else(|| wrong("an approval section"))?;
    if approval.approvers.is_empty() || approval.approvers.iter().any(Subject::is_empty) {
        return Err(wrong("approvers, none of them empty"));
    }
    let grant = &approval.grant;
    let duration = grant.duration.unwrap_or(defaults::GRANT_DURATION).get();
    Ok(Some(HoldRule {
        id: Arc::clone(id),
        digest: rule_digest(id, rule)?,
        approvers: approval.approvers.clone(),
        required: approval
            .required
            .unwrap_or(defaults::REQUIRED_APPROVALS)
            .max(1),
        reason_required: approval.reason == Some(Reason::Required),
        preview: approval.preview.unwrap_or(Preview::Masked),
        grant: GrantTerms {
            scope: grant.scope.unwrap_or(GrantScope::Call),
            duration: duration.min(settings.approvals.max_grant),
            max_uses: grant.max_uses,
            when: grant.when.clone(),
        },
        message: rule.message.clone(),
        // A window is given by its conditions as an Allow is.
        when: predicates(id, &grant.when, Effect::Allow)?,
    }))
}
