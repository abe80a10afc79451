//! The detectors: what a secret looks like, one file a family, with the examples that are their tests.
//!
//! A detector is a *lead* that is cheap to find in one pass over many texts (literal prefixes, or the shape of
//! a run of digits) and a *check* that looks at what stands round it. Checks are plain functions over text:
//! linear, without state, and never given anything but the decoded text.

// families follow


use std::fmt;

use std::str::FromStr;

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

}

/// Every detector with its group, description and examples as a Markdown table, for the docs.
#[must_use]
pub fn reference_table() -> String {
    todo!()
}
