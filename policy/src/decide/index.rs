//! From an operation to the few rules that can be about it, whatever the number of rules.
//!
//! Names without a star are found by hash, globs by their literal prefixes. Within one glob, rules of policies
//! that are about named groups, users or accounts are found by these, so that ten thousand policies about
//! `*` cost what the caller's own cost.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};

use crate::bundle::ActiveSubject;
use crate::condition::glob::{Glob, GlobKind};
use crate::principal::{Principal, ServiceAccount};

/// A rule's place in the bundle's order.
pub(crate) type RuleIndex = u32;

/// All targets of a bundle.
#[derive(Debug, Default)]
pub(crate) struct Index {
    pub(crate) tools: Targets,
    pub(crate) prompts: Targets,
    pub(crate) resources: Targets,
    pub(crate) methods: Targets,
    /// Of `methods`, the Deny rules alone.
    pub(crate) denied_methods: Targets,
    /// Broken rules that match everything (law 7).
    pub(crate) always: Posting,
    pub(crate) keys: Keys,
}

/// Globs of one kind and the rules that name them.
#[derive(Debug, Default)]
pub(crate) struct Targets {
    literal: HashMap<Box<str>, Posting>,
    /// By literal prefix: which globs begin so.
    prefixes: HashMap<Box<str>, Vec<usize>>,
    /// Lengths of the prefixes in bytes.
    lengths: Vec<usize>,
    globs: Vec<(Glob, Posting)>,
}

/// The rules that name one glob.
#[derive(Debug, Default)]
pub(crate) struct Posting {
    /// Rules that anybody may be concerned by.
    open: Vec<RuleIndex>,
    /// Rules of policies about known people only, sorted by key.
    keyed: Vec<(Key, RuleIndex)>,
    /// Member names in the paths of these rules (law 4).
    pub(crate) names: Vec<Box<str>>,
}

/// One group, user or account that some policy names.
pub(crate) type Key = u32;

/// Only what policies name is ever inserted, so nobody outside can make collisions, and short names hash faster
/// than with the keyed default: a caller may have many groups.
type Names<T> = HashMap<T, Key, BuildHasherDefault<Fnv>>;

/// FNV-1a, 64 bits.
#[derive(Debug)]
pub(crate) struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

/// Numbers for everybody that policies name.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    groups: Names<String>,
    users: Names<String>,
    accounts: Names<ServiceAccount>,
    next: Key,
}

/// One rule as the index needs it.
#[derive(Debug)]
pub(crate) struct Entry<'r> {
    pub(crate) rule: RuleIndex,
    /// None: the rule may concern anybody.
    pub(crate) keys: Option<&'r [Key]>,
    pub(crate) names: Vec<&'r str>,
}

impl Keys {
    /// The keys one of which a caller must have for any of these items to fit; none where that cannot be said.
    pub(crate) fn of_subjects(&mut self, subjects: &[ActiveSubject]) -> Option<Vec<Key>> {
        let mut keys = Vec::new();
        for item in subjects {
            if !item.users.is_empty() {
                keys.extend(
                    item.users
                        .iter()
                        .map(|user| number(&mut self.users, user, &mut self.next)),
                );
            } else if !item.accounts.is_empty() {
                keys.extend(
                    item.accounts
                        .iter()
                        .map(|one| number(&mut self.accounts, one, &mut self.next)),
                );
            } else if !item.groups.is_empty() {
                keys.extend(
                    item.groups
                        .iter()
                        .map(|group| number(&mut self.groups, group, &mut self.next)),
                );
            } else {
                return None;
            }
        }
        (!subjects.is_empty()).then_some(keys)
    }

    /// The keys that this caller has.
    pub(crate) fn of_principal(&self, principal: &Principal) -> Vec<Key> {
        let groups = principal
            .groups
            .iter()
            .filter_map(|group| self.groups.get(group));
        let names = std::iter::once(principal.subject.as_str()).chain(principal.email.as_deref());
        let users = names.filter_map(|name| self.users.get(name));
        let account = principal
            .service_account
            .as_ref()
            .and_then(|one| self.accounts.get(one));
        groups.chain(users).chain(account).copied().collect()
    }
}

fn number<T: Clone + Eq + std::hash::Hash>(map: &mut Names<T>, item: &T, next: &mut Key) -> Key {
    *map.entry(item.clone()).or_insert_with(|| {
        *next = next.saturating_add(1);
        *next
    })
}

impl Posting {
    pub(crate) fn add(&mut self, entry: &Entry<'_>) {
        match entry.keys {
            Some(keys) => self.keyed.extend(keys.iter().map(|key| (*key, entry.rule))),
            None => self.open.push(entry.rule),
        }
        self.names
            .extend(entry.names.iter().map(|name| Box::from(*name)));
    }

    pub(crate) fn finish(&mut self) {
        self.keyed.sort_unstable();
        self.keyed.dedup();
        self.names.sort_unstable();
        self.names.dedup();
    }

    fn collect(&self, keys: &[Key], into: &mut Vec<RuleIndex>) {
        into.extend_from_slice(&self.open);
        for key in keys {
            let start = self.keyed.partition_point(|(other, _)| other < key);
            let same = self
                .keyed
                .iter()
                .skip(start)
                .take_while(|(other, _)| other == key);
            into.extend(same.map(|(_, rule)| *rule));
        }
    }
}

/// The rules in these postings that may concern a caller with these keys, in the bundle's order.
pub(crate) fn candidates(postings: &[&Posting], keys: &[Key]) -> Vec<RuleIndex> {
    let mut found = Vec::new();
    for posting in postings {
        posting.collect(keys, &mut found);
    }
    found.sort_unstable();
    found.dedup();
    found
}

impl Targets {
    pub(crate) fn build(entries: BTreeMap<String, Posting>, kind: GlobKind) -> Self {
        let mut targets = Self::default();
        for (text, mut posting) in entries {
            posting.finish();
            let glob = Glob::new(&text, kind);
            if glob.literal().is_some() {
                targets.literal.insert(text.into(), posting);
                continue;
            }
            let prefix = glob.prefix();
            targets.lengths.push(prefix.len());
            targets
                .prefixes
                .entry(prefix.into())
                .or_default()
                .push(targets.globs.len());
            targets.globs.push((glob, posting));
        }
        targets.lengths.sort_unstable();
        targets.lengths.dedup();
        targets
    }

    /// Adds the postings of every glob that matches `name`.
    pub(crate) fn find<'i>(&'i self, name: &str, into: &mut Vec<&'i Posting>) {
        into.extend(self.literal.get(name));
        let prefixes = self
            .lengths
            .iter()
            .map_while(|length| (*length <= name.len()).then_some(*length));
        // A length inside a character is no prefix of this name.
        for prefix in prefixes.filter_map(|length| name.get(..length)) {
            let globs = self.prefixes.get(prefix).into_iter().flatten();
            let matching = globs
                .filter_map(|at| self.globs.get(*at))
                .filter(|(glob, _)| glob.matches(name));
            into.extend(matching.map(|(_, posting)| posting));
        }
    }

    /// Postings of globs that some name beginning with `prefix` can match, and of those that every such name does.
    pub(crate) fn find_prefix<'i>(&'i self, prefix: &str) -> (Vec<&'i Posting>, Vec<&'i Posting>) {
        let literal = self
            .literal
            .iter()
            .filter(|(name, _)| name.starts_with(prefix));
        let possible = self
            .globs
            .iter()
            .filter(|(glob, _)| glob.may_match_prefix(prefix));
        let certain = self
            .globs
            .iter()
            .filter(|(glob, _)| glob.covers_prefix(prefix));
        (
            literal
                .map(|(_, posting)| posting)
                .chain(possible.map(|(_, posting)| posting))
                .collect(),
            certain.map(|(_, posting)| posting).collect(),
        )
    }
}
