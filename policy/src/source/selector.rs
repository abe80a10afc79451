//! Label selectors, with the meaning that Kubernetes gives them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::consistency;

/// Which objects are meant, by their labels. Every part must match; an empty selector matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LabelSelector {
    /// Labels that must be there with exactly these values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub match_labels: BTreeMap<String, String>,
    /// Further conditions on labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub match_expressions: Vec<LabelExpression>,
}

/// One condition on one label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "self.operator in ['In', 'NotIn'] == (has(self.values) && size(self.values) > 0)",
    "message": consistency::LABEL_VALUES
}]))]
pub struct LabelExpression {
    /// The key of the label.
    #[schemars(length(min = 1, max = 317))]
    pub key: String,
    /// How the label is compared.
    pub operator: LabelOperator,
    /// The values to compare with, for `In` and `NotIn`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 63)))]
    pub values: Vec<String>,
}

/// How a label is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LabelOperator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

impl LabelSelector {
    #[must_use]
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let exact = self
            .match_labels
            .iter()
            .all(|(key, value)| labels.get(key) == Some(value));
        exact
            && self
                .match_expressions
                .iter()
                .all(|part| part.matches(labels))
    }

    /// Every label key that the selector reads.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        let exact = self.match_labels.keys().map(String::as_str);
        exact.chain(self.match_expressions.iter().map(|part| part.key.as_str()))
    }
}

impl LabelExpression {
    fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.key);
        let listed = value.is_some_and(|value| self.values.contains(value));
        match self.operator {
            LabelOperator::In => listed,
            LabelOperator::NotIn => !listed,
            LabelOperator::Exists => value.is_some(),
            LabelOperator::DoesNotExist => value.is_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn expression(operator: LabelOperator, values: &[&str]) -> LabelSelector {
        LabelSelector {
            match_labels: BTreeMap::new(),
            match_expressions: vec![LabelExpression {
                key: "tier".to_owned(),
                operator,
                values: values.iter().map(|value| (*value).to_owned()).collect(),
            }],
        }
    }

    #[test]
    fn selectors_mean_what_kubernetes_means() {
        use LabelOperator::{DoesNotExist, Exists, In, NotIn};
        let production = labels(&[("tier", "production")]);
        let none = labels(&[]);
        for (name, selector, on_production, on_none) in [
            ("empty selects all", LabelSelector::default(), true, true),
            ("in", expression(In, &["production"]), true, false),
            ("in another", expression(In, &["test"]), false, false),
            (
                "not in takes the absent",
                expression(NotIn, &["production"]),
                false,
                true,
            ),
            ("exists", expression(Exists, &[]), true, false),
            ("does not exist", expression(DoesNotExist, &[]), false, true),
        ] {
            assert_eq!(selector.matches(&production), on_production, "{name}");
            assert_eq!(selector.matches(&none), on_none, "{name}");
        }
    }
}
