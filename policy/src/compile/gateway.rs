//! What a schema cannot say about gateways and about sections that others share with them.

use std::collections::BTreeSet;
use std::time::Duration;

use ipnet::IpNet;

use super::masking;
use super::mistake::{Mistake, ObjectId};
use crate::condition::claim::ClaimPath;
use crate::endpoint::{ResourceUrl, forwarded_header};
use crate::source::authentication::{ClaimMapping, TokenIssuer};
use crate::source::guardrail::Require;
use crate::source::settings::{Limits, Payloads, Recording};
use crate::source::{GatewaySpec, consistency};

const FULL_PAYLOADS: &str = "unmasked copies need the recorder service and an auditor's key, and there is neither yet; \
     with `Masked` everything but secrets is kept";

/// Every mistake of a gateway's spec.
pub(super) fn mistakes(object: &ObjectId, spec: &GatewaySpec) -> Vec<Mistake> {
    let disagreements = consistency::of_gateway(spec);
    let mut found: Vec<_> = disagreements
        .iter()
        .map(|d| Mistake::of_disagreement(object, d))
        .collect();
    found.extend(masking::mistakes(object, &spec.masking));
    found.extend(recording_mistakes(object, &spec.recording));
    found.extend(budget_mistakes(object, &spec.limits));
    found.extend(issuer_mistakes(object, spec));
    found.extend(url_mistakes(object, spec));
    found.extend(header_mistakes(object, spec));
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

/// What of an issuer only its readers on the data path would find.
fn reading_mistakes(object: &ObjectId, path: &str, issuer: &TokenIssuer) -> Vec<Mistake> {
    let mut found = Vec::new();
    let ClaimMapping {
        subject,
        groups,
        client,
        actor,
        scopes,
    } = &issuer.claims;
    let mapped = [
        ("subject", subject),
        ("groups", groups),
        ("client", client),
        ("actor", actor),
        ("scopes", scopes),
    ];
    for (claim, text) in mapped {
        let text = text
            .as_deref()
            .map(|text| text.strip_prefix("$.").unwrap_or(text));
        let Some(Err(error)) = text.map(ClaimPath::parse) else {
            continue;
        };
        found.push(Mistake::new(
            object,
            &format!("{path}.claims.{claim}"),
            "a claim such as `sub` or `realm_access.roles`",
            error.to_string(),
        ));
    }
    let address = issuer.jwks_uri.as_ref();
    let whole = |text: &&String| {
        let uri = text.parse::<http::Uri>();
        uri.is_ok_and(|uri| uri.scheme().is_some() && uri.authority().is_some())
    };
    if let Some(text) = address.filter(|text| !whole(text)) {
        let expected = "a URL such as `https://idp.example.com/keys`";
        let path = format!("{path}.jwksUri");
        found.push(Mistake::new(object, &path, expected, format!("`{text}`")));
    }
    found
}

fn url_mistakes(object: &ObjectId, spec: &GatewaySpec) -> Vec<Mistake> {
    let public = spec.public_url.iter();
    let public = public.map(|url| ("spec.publicUrl".to_owned(), url));
    let more = spec.additional_urls.iter().enumerate();
    let more = more.map(|(index, url)| (format!("spec.additionalUrls[{index}]"), url));
    let wrong = public.chain(more).filter_map(|(path, url)| {
        let error = ResourceUrl::parse(url).err()?;
        let expected =
            "a URL that can name a resource, such as `https://inventory.example.com/mcp`";
        Some(Mistake::new(object, &path, expected, format!("`{url}`")).with_hint(error.why))
    });
    wrong.collect()
}

fn header_mistakes(object: &ObjectId, spec: &GatewaySpec) -> Vec<Mistake> {
    let names = spec.server.forward_headers.iter().enumerate();
    let wrong = names.filter_map(|(index, name)| {
        let error = forwarded_header(name).err()?;
        let path = format!("spec.server.forwardHeaders[{index}]");
        let expected = "a header of the caller that the server may see";
        Some(
            Mistake::new(object, &path, expected, format!("`{name}`")).with_hint(error.to_string()),
        )
    });
    wrong.collect()
}

fn issuer_mistakes(object: &ObjectId, spec: &GatewaySpec) -> Vec<Mistake> {
    let mut seen = BTreeSet::new();
    let issuers = spec.authentication.issuers.iter().enumerate();
    let again = issuers
        .clone()
        .filter(|(_, issuer)| !seen.insert(&issuer.issuer));
    let unread = issuers.flat_map(|(index, issuer)| {
        let path = format!("spec.authentication.issuers[{index}]");
        reading_mistakes(object, &path, issuer)
    });
    let again = again.map(|(index, issuer)| {
        let path = format!("spec.authentication.issuers[{index}].issuer");
        Mistake::new(
            object,
            &path,
            "an issuer that is not listed yet",
            format!("`{}` again", issuer.issuer),
        )
    });
    again.chain(unread).collect()
}

/// What of recording can be read and yet not be done.
fn recording_mistakes(object: &ObjectId, recording: &Recording) -> Vec<Mistake> {
    let mut found = Vec::new();
    if recording.payloads == Some(Payloads::Full) {
        let path = "spec.recording.payloads";
        found.push(
            Mistake::new(object, path, "`Masked` or `Metadata`", "`Full`").with_hint(FULL_PAYLOADS),
        );
    }
    let every = recording.anchor.as_ref().and_then(|anchor| anchor.every);
    for (path, time) in [
        ("spec.recording.retention", recording.retention),
        ("spec.recording.anchor.every", every),
    ] {
        if let Some(time) = time.filter(|time| time.get() < Duration::from_secs(1)) {
            found.push(Mistake::new(
                object,
                path,
                "at least `1s`",
                format!("`{time}`"),
            ));
        }
    }
    found
}

/// A floor that only unmasked copies would meet cannot be met.
pub(super) fn floor_mistakes(object: &ObjectId, require: &Require) -> Vec<Mistake> {
    let path = "spec.require.payloads";
    let kept = &require.payloads;
    if kept.is_empty() || kept.iter().any(|kept| *kept != Payloads::Full) {
        return Vec::new();
    }
    let expected = "`Masked` or `Metadata` among them";
    vec![Mistake::new(object, path, expected, "only `Full`").with_hint(FULL_PAYLOADS)]
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
