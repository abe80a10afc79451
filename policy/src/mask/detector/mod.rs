//! The detectors: what a secret looks like, one file a family, with the examples that are their tests.
//!
//! A detector is a *lead* that is cheap to find in one pass over many texts (literal prefixes, or the shape of
//! a run of digits) and a *check* that looks at what stands round it. Checks are plain functions over text:
//! linear, without state, and never given anything but the decoded text.

mod chars;
mod credentials;
mod financial;
mod personal;
mod structure;
mod tokens;

pub(super) mod beside;

use std::fmt;
use std::ops::Range;

use std::str::FromStr;

use chars::begins_word;
pub(super) use chars::{Body, run};

/// A family of detectors that can be asked for by one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    Credentials,
    Financial,
    Personal,
}

impl Group {
    pub const ALL: [Self; 3] = [Self::Credentials, Self::Financial, Self::Personal];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Credentials => "Credentials",
            Self::Financial => "Financial",
            Self::Personal => "Personal",
        }
    }

    /// Every detector of the group.
    pub fn detectors(self) -> impl Iterator<Item = Detector> {
        Detector::ALL
            .iter()
            .copied()
            .filter(move |detector| detector.group() == self)
    }
}

/// Defines the closed set of detectors with their group.
macro_rules! detectors {
    ($($group:ident { $($name:ident),+ $(,)? })+) => {
        /// One detector, by the name that settings, marks and reports use.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Detector { $($($name),+),+ }

        impl Detector {
            pub const ALL: &[Self] = &[$($(Self::$name),+),+];

            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $($(Self::$name => stringify!($name)),+),+ }
            }

            #[must_use]
            pub const fn group(self) -> Group {
                match self { $($(Self::$name => Group::$group),+),+ }
            }
        }
    };
}

detectors! {
    Credentials {
        AgeKey, AnthropicKey, AtlassianToken, AuthorizationHeader, AwsAccessKey, AwsSecretKey, AzureSasToken,
        AzureStorageKey, ConnectionString, DatabricksToken, DigitalOceanToken, DockerToken, GithubToken,
        GitlabToken, GoogleApiKey, GoogleOauthToken, GrafanaToken, HuggingFaceToken, Jwt, MailgunKey, NpmToken,
        OpenAiKey, PasswordBeside, PrivateKey, PypiToken, SendgridKey, ShopifyToken, SlackToken, StripeKey,
        TelegramToken, TerraformToken, TwilioKey, VaultToken, WebhookUrl,
    }
    Financial { BitcoinAddress, CardSecurityCode, CardTrack, CreditCard, Iban }
    Personal {
        BrazilCpf, Email, IndiaAadhaar, IpAddress, MacAddress, Phone, UkNationalInsurance, UsSocialSecurity,
    }
}

impl fmt::Display for Detector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A word that names neither a detector nor a group.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither a detector nor a group of detectors")]
pub struct NotADetector(pub String);

impl FromStr for Detector {
    type Err = NotADetector;

    fn from_str(name: &str) -> Result<Self, NotADetector> {
        Self::ALL
            .iter()
            .copied()
            .find(|detector| detector.name() == name)
            .ok_or_else(|| NotADetector(name.to_owned()))
    }
}

/// What a word of `masking.detectors` means: a group's detectors, or the one of that name.
pub fn detectors_named(name: &str) -> Result<Vec<Detector>, NotADetector> {
    match Group::ALL.into_iter().find(|group| group.name() == name) {
        Some(group) => Ok(group.detectors().collect()),
        None => name.parse().map(|detector| vec![detector]),
    }
}

/// A text with a secret in it, and what of it is masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Example {
    pub text: &'static str,
    pub secret: &'static str,
}

/// Everything that is known about a detector.
#[derive(Clone, Copy, Debug)]
pub struct Definition {
    pub detector: Detector,
    pub description: &'static str,
    pub examples: &'static [Example],
    /// Texts that look alike and are left alone.
    pub counter_examples: &'static [&'static str],
    pub(super) find: Find,
}

/// How a detector finds: what leads to a place worth a look, and the look.
#[derive(Clone, Copy, Debug)]
pub(super) enum Find {
    /// Prefix and body.
    Tokens(&'static [Token]),
    /// Literals in any case; the check sees where one stands.
    Words {
        words: &'static [&'static str],
        check: Check,
    },
    /// A regular expression; the check sees what it matched.
    Shape { shape: &'static str, check: Check },
}

/// A credential with a prefix of its own. Its whole body is masked, however long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub(super) prefix: &'static str,
    pub(super) body: Body,
    /// Fewest bytes of body.
    pub(super) least: usize,
    /// Whether no letter or digit may stand before the prefix.
    pub(super) bounded: bool,
}

/// Looks round a lead and tells what is to be masked. Pure and linear in what it masks.
pub(super) type Check = fn(&str, Range<usize>) -> Option<Range<usize>>;

impl Token {
    /// The token whose prefix may stand at `lead`.
    pub(super) fn at(&self, text: &str, lead: &Range<usize>) -> Option<Range<usize>> {
        let bytes = text.as_bytes();
        let begins = !self.bounded || begins_word(bytes, lead.start);
        let end = run(bytes, lead.end, |byte| self.body.has(byte));
        let spelled = bytes.get(lead.clone())? == self.prefix.as_bytes();
        (begins && spelled && end - lead.end >= self.least).then_some(lead.start..end)
    }
}

/// Every detector, in the order of [`Detector::ALL`].
#[must_use]
pub fn definitions() -> Vec<&'static Definition> {
    let mut all: Vec<&Definition> = [
        tokens::TABLE,
        credentials::TABLE,
        financial::TABLE,
        personal::TABLE,
    ]
    .into_iter()
    .flatten()
    .collect();
    all.sort_by_key(|definition| definition.detector);
    all
}

/// Every detector with its group, description and examples as a Markdown table, for the docs.
#[must_use]
pub fn reference_table() -> String {
    let mut table = "| Detector | Group | Finds | Masked, for example | Left alone, for example |\n| --- | --- | --- | --- | --- |\n".to_owned();
    for definition in definitions() {
        let secrets: Vec<String> = definition
            .examples
            .iter()
            .map(|example| code(example.secret))
            .collect();
        let others: Vec<String> = definition
            .counter_examples
            .iter()
            .map(|text| code(text))
            .collect();
        let row = [
            code(definition.detector.name()),
            definition.detector.group().name().to_owned(),
            definition.description.to_owned(),
            secrets.join(", "),
            others.join(", "),
        ];
        table.push_str(&format!("| {} |\n", row.join(" | ")));
    }
    table
}

fn code(text: &str) -> String {
    format!("`{}`", text.replace('\n', "\\n").replace('|', "\\|"))
}

#[cfg(test)]
mod tests;
