//! Puts an engine together: every lead of every detector, every pattern, every form of every credential.

use aho_corasick::{AhoCorasickBuilder, AhoCorasickKind, MatchKind};
use regex::{Regex, RegexBuilder};
use zeroize::Zeroizing;

use crate::source::masking::MaskAction;

use super::{Engine, FIELD, INJECTED, Kind, Lead, UNSETTLED};
use crate::mask::detector::{Body, Check, Detector, Find, definitions};
use crate::mask::literal::{Form, forms_of};
use crate::mask::settings::{MaskError, Pattern};
use crate::mask::skim::Skim;

/// An engine in the making.
pub(super) struct Parts {
    kinds: Vec<Kind>,
    words: Vec<Vec<u8>>,
    leads: Vec<Lead>,
    shapes: Vec<(usize, Regex, Check)>,
    shape_texts: Vec<&'static str>,
    patterns: Vec<(usize, Regex)>,
    literals: Vec<Form>,
}

impl Parts {
    pub(super) fn new(literals: &[Zeroizing<Vec<u8>>]) -> Self {
        let mut parts = Self {
            kinds: vec![Kind {
                name: INJECTED.to_owned(),
                action: MaskAction::Redact,
                keep_last: 0,
                rank: 0,
            }],
            words: Vec::new(),
            leads: Vec::new(),
            shapes: Vec::new(),
            shape_texts: Vec::new(),
            patterns: Vec::new(),
            literals: literals
                .iter()
                .flat_map(|secret| forms_of(secret))
                .collect(),
        };
        for form in 0..parts.literals.len() {
            let word = parts.literals.get(form).map(|form| form.lead().to_vec());
            parts.word(word.unwrap_or_default(), Lead::Literal(form));
        }
        for escape in ["\\u00", "\\x", "\\/", "\"blob\""] {
            parts.word(escape.into(), Lead::Raw);
        }
        // Escapes and percent signs hide a credential only where there is one that they can spell.
        let odd = |byte: &u8| !byte.is_ascii_graphic() || matches!(byte, b'"' | b'\\');
        if literals.iter().any(|secret| secret.iter().any(odd)) {
            parts.word(b"\\".to_vec(), Lead::Raw);
        }
        if !literals.is_empty() {
            parts.word(b"%".to_vec(), Lead::Raw);
        }
        parts.word(b";base64,".to_vec(), Lead::Data);
        parts
    }

    fn word(&mut self, word: Vec<u8>, lead: Lead) {
        self.words.push(word);
        self.leads.push(lead);
    }

    fn kind(&mut self, name: &str, action: MaskAction, keep_last: u8, rank: u8) -> usize {
        self.kinds.push(Kind {
            name: name.to_owned(),
            action,
            keep_last,
            rank,
        });
        self.kinds.len() - 1
    }

    pub(super) fn detector(
        &mut self,
        detector: Detector,
        action: MaskAction,
    ) -> Result<(), MaskError> {
        // What only says "something secret" names a span last.
        let vague = [
            Detector::ConnectionString,
            Detector::AuthorizationHeader,
            Detector::PasswordBeside,
        ];
        let place = vague.iter().position(|own| *own == detector);
        let rank = place.map_or(1, |place| if place == 2 { 4 } else { 3 });
        let kind = self.kind(detector.name(), action, 4, rank);
        for definition in definitions()
            .into_iter()
            .filter(|own| own.detector == detector)
        {
            match definition.find {
                Find::Tokens(tokens) => {
                    for token in tokens {
                        self.word(token.prefix.into(), Lead::Token(kind, token));
                    }
                }
                Find::Words { words, check } => {
                    for word in words {
                        self.word((*word).into(), Lead::Word(kind, check));
                    }
                }
                Find::Shape { shape, check } => {
                    let compiled =
                        Regex::new(shape).map_err(|why| MaskError::Automaton(why.to_string()))?;
                    self.shapes.push((kind, compiled, check));
                    self.shape_texts.push(shape);
                }
            }
        }
        Ok(())
    }

    pub(super) fn pattern(&mut self, pattern: &Pattern) -> Result<(), MaskError> {
        let compiled = compiled(&pattern.name, &pattern.regex)?;
        let kind = self.kind(&pattern.name, pattern.action, pattern.keep_last, 2);
        self.patterns.push((kind, compiled));
        Ok(())
    }

    pub(super) fn build(self) -> Result<Engine, MaskError> {
        let automaton = AhoCorasickBuilder::new()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .kind(Some(AhoCorasickKind::DFA))
            .build(&self.words)
            .map_err(|why| MaskError::Automaton(why.to_string()))?;
        let skim = Skim::new(&self.words).map_err(|why| MaskError::Automaton(why.to_string()))?;
        let any = self
            .shape_texts
            .iter()
            .map(|shape| format!("(?:{shape})"))
            .collect::<Vec<_>>()
            .join("|");
        let any_shape = (!any.is_empty())
            .then(|| regex::bytes::Regex::new(&any))
            .transpose()
            .map_err(|why| MaskError::Automaton(why.to_string()))?;
        Ok(Engine {
            kinds: self.kinds,
            automaton,
            skim,
            leads: self.leads,
            shapes: self.shapes,
            any_shape,
            patterns: self.patterns,
            literals: self.literals,
        })
    }
}

/// A user's pattern, if its name can stand in marks and its expression can be run.
pub(in crate::mask) fn compiled(name: &str, regex: &str) -> Result<Regex, MaskError> {
    let fits = name.len() <= 63
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|byte| Body::AlnumDashDot.has(byte));
    if !fits {
        return Err(MaskError::PatternName(name.chars().take(80).collect()));
    }
    let name = name.to_owned();
    if name.parse::<Detector>().is_ok() || [FIELD, INJECTED, UNSETTLED].contains(&name.as_str()) {
        return Err(MaskError::PatternShadows { name });
    }
    // A mebibyte of program is plenty for what a secret looks like, and bounds what a policy costs.
    let compiled = RegexBuilder::new(regex).size_limit(1 << 20).build();
    let compiled = match compiled {
        Ok(compiled) => compiled,
        Err(why) => {
            let why = why.to_string();
            return Err(MaskError::Regex { name, why });
        }
    };
    if compiled.is_match("") {
        return Err(MaskError::RegexEmpty { name });
    }
    Ok(compiled)
}
