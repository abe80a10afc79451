//! What a schema cannot say about gateways and about sections that others share with them.

use std::collections::BTreeSet;

use ipnet::IpNet;

use super::mistake::{Mistake, ObjectId};
use crate::json::path::Path;
use crate::source::masking::Masking;
use crate::source::settings::Limits;
use crate::source::{GatewaySpec, consistency};

/// Every mistake of a gateway's spec.
pub(super) fn mistakes(object: &ObjectId, spec: &GatewaySpec) -> Vec<Mistake> {
    let disagreements = consistency::of_gateway(spec);
    let mut found: Vec<_> = disagreements
        .iter()
        .map(|d| Mistake::of_disagreement(object, d))
        .collect();
    found.extend(masking_mistakes(object, &spec.masking));
    found.extend(budget_mistakes(object, &spec.limits));
    found.extend(issuer_mistakes(object, spec));
    for (index, network) in spec.listener.trusted_proxies.iter().enumerate() {
        if network.parse::<IpNet>().is_err() {
            let path = format!("spec.listener.trustedProxies[{index}]");
            found.push(Mistake::new(
                object,
                &path,
                "a network such as `10.0.0.0/8`",
                format!("`{network}`"),
            ));
        }
    }
    found
}

fn issuer_mistakes(object: &ObjectId, spec: &GatewaySpec) -> Vec<Mistake> {
    let mut seen = BTreeSet::new();
    let issuers = spec.authentication.issuers.iter().enumerate();
    let again = issuers.filter(|(_, issuer)| !seen.insert(&issuer.issuer));
    again
        .map(|(index, issuer)| {
            let path = format!("spec.authentication.issuers[{index}].issuer");
            Mistake::new(
                object,
                &path,
                "an issuer that is not listed yet",
                format!("`{}` again", issuer.issuer),
            )
        })
        .collect()
}

/// Patterns that do not compile and paths that cannot be read.
pub(super) fn masking_mistakes(object: &ObjectId, masking: &Masking) -> Vec<Mistake> {
    let mut found = Vec::new();
    for (index, pattern) in masking.patterns.iter().enumerate() {
        let path = format!("spec.masking.patterns[{index}].regex");
        match regex::Regex::new(&pattern.regex) {
            Ok(compiled) if compiled.is_match("") => {
                let expected = "a regular expression that does not match the empty text";
                found.push(Mistake::new(
                    object,
                    &path,
                    expected,
                    format!("`{}`", pattern.regex),
                ));
            }
            Ok(_) => {}
            Err(_) => found.push(Mistake::new(
                object,
                &path,
                "a regular expression (RE2-like)",
                format!("`{}`", pattern.regex),
            )),
        }
    }
    for (index, field) in masking.fields.iter().enumerate() {
        if let Err(error) = Path::parse(&field.path) {
            let path = format!("spec.masking.fields[{index}].path");
            found.push(Mistake::new(
                object,
                &path,
                "a path such as `$.card.number`",
                error.to_string(),
            ));
        }
    }
    found
}

/// A budget over no time is no budget.
pub(super) fn budget_mistakes(object: &ObjectId, limits: &Limits) -> Vec<Mistake> {
    let budgets = limits.budgets.iter().enumerate();
    let wrong = budgets.filter(|(_, budget)| {
        budget.per.get().is_zero() || budget.calls == 0 || budget.tools.is_empty()
    });
    wrong
        .map(|(index, _)| {
            let path = format!("spec.limits.budgets[{index}]");
            Mistake::new(
                object,
                &path,
                "tools, at least one call, and a time longer than nothing",
                "",
            )
        })
        .collect()
}
