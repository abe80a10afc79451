//! Values of `kind: Secret`: wiped on drop, never printed, never part of a bundle.

use std::collections::BTreeMap;
use std::fmt;

use zeroize::Zeroizing;

/// One secret value.
#[derive(Clone)]
pub struct SecretValue(Zeroizing<Vec<u8>>);

impl SecretValue {
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The value itself. Whoever calls this sends it to the server or masks it; nothing else.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretValue")
    }
}

/// The Secrets that were given, by namespace, name and key.
#[derive(Clone, Debug, Default)]
pub struct Secrets(BTreeMap<(String, String), BTreeMap<String, SecretValue>>);

impl Secrets {
    pub fn insert(&mut self, namespace: &str, name: &str, key: &str, value: SecretValue) {
        self.0
            .entry((namespace.to_owned(), name.to_owned()))
            .or_default()
            .insert(key.to_owned(), value);
    }

    #[must_use]
    pub fn value(&self, namespace: &str, name: &str, key: &str) -> Option<&SecretValue> {
        self.0
            .get(&(namespace.to_owned(), name.to_owned()))?
            .get(key)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Namespace, name and key of every value, in order.
    pub fn names(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.0.iter().flat_map(|((namespace, name), keys)| {
            keys.keys()
                .map(move |key| (namespace.as_str(), name.as_str(), key.as_str()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_shows_in_debug_output() {
        let mut secrets = Secrets::default();
        secrets.insert(
            "shop",
            "upstream",
            "token",
            SecretValue::new(b"hunter2".to_vec()),
        );
        assert!(!format!("{secrets:?}").contains("hunter2"));
        assert!(
            !format!("{secrets:#?}").contains("104"),
            "not as bytes either"
        );
        let value = secrets
            .value("shop", "upstream", "token")
            .map(SecretValue::expose);
        assert_eq!(value, Some(b"hunter2".as_slice()));
        assert!(secrets.value("other", "upstream", "token").is_none());
    }
}
