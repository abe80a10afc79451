//! A compiled policy made ready for the data path: masks compiled, verifier set up, names known. Built whole or not
//! at all, so a policy that cannot be used never replaces one that can.

use std::sync::Arc;

use http::{HeaderName, Uri};
use ipnet::IpNet;
use sallyport_policy::bundle::{Bundle, Settings};
use sallyport_policy::endpoint::{NotAResource, NotForwarded, forwarded_header};
use sallyport_policy::mask::{MaskError, MaskKey, Masker, MaskingSettings};
use sallyport_policy::record::event::{Capture, Mode};
use sallyport_policy::source::masking::Masking;
use sallyport_policy::source::settings::{OnPinChange, Payloads, RecordingMode};
use zeroize::Zeroizing;

use crate::clock::Clock;
use crate::gateway::{InForce, PinMode};
use crate::identity::challenge::ResourceFacts;
use crate::identity::fetch::Fetcher;
use crate::identity::{IdentityConfig, IssuerConfig, Resources, Verifier};
use crate::inbound::head::Names;
use crate::record::Terms;

/// What a policy needs from the process to become ready; the same for every policy of its life.
#[derive(Clone, Debug)]
pub struct Kit {
    /// The standalone issuer, trusted beside the policy's own.
    pub local_issuer: Option<IssuerConfig>,
    /// Values of injected credentials, masked wherever they occur (law 25).
    pub literals: Vec<Zeroizing<Vec<u8>>>,
    pub mask_key: MaskKey,
    pub fetcher: Fetcher,
    pub clock: Arc<dyn Clock>,
    /// Host names of the listener itself, accepted beside the policy's.
    pub hosts: Vec<String>,
    /// The resource URL where the policy names none.
    pub own_url: Option<String>,
}

/// Why a policy cannot be put in force: the fault of who wrote it.
#[derive(Debug, thiserror::Error)]
pub enum NotReady {
    #[error("masking: {0}")]
    Mask(#[from] MaskError),
    #[error("authentication: {0}")]
    Identity(String),
    #[error("server.forwardHeaders: {0}")]
    Header(#[from] NotForwarded),
    #[error("`{0}` is not a network (CIDR)")]
    Network(String),
    #[error("publicUrl, additionalUrls: {0}")]
    Url(#[from] NotAResource),
    #[error(
        "`recording.payloads: Full` needs the recorder service and an auditor's key; use `Masked` or `Metadata`"
    )]
    FullPayloads,
}

impl Kit {
    /// Makes `bundle` ready. Keys that `before` has fetched are kept.
    ///
    /// A bundle that denies everything is put in force whatever else it holds: what cannot be read in it is why it
    /// denies, and must not keep an older policy in force that allowed (law 7).
    pub fn ready(&self, bundle: Bundle, before: Option<&InForce>) -> Result<InForce, NotReady> {
        match self.parts(&bundle, before) {
            Ok(parts) => Ok(parts.with(bundle)),
            Err(error) if bundle.refusal().is_some() => {
                tracing::warn!(%error, "everything is denied; the rest of this policy cannot be read");
                let bare = bundle.without_settings();
                Ok(self.parts(&bare, before)?.with(bare))
            }
            Err(error) => Err(error),
        }
    }

    fn parts(&self, bundle: &Bundle, before: Option<&InForce>) -> Result<Ready, NotReady> {
        let settings = bundle.settings();
        let platform = Masking {
            detectors: Some(settings.platform_detectors.clone()),
            ..Masking::default()
        };
        let mut masking = MaskingSettings::gather(&settings.masking, &[], &[&platform])?;
        masking.unreadable = settings.unreadable_masking.clone();
        let trusted_proxies = settings
            .listener
            .trusted_proxies
            .iter()
            .map(|text| text.parse().map_err(|_| NotReady::Network(text.clone())))
            .collect::<Result<_, _>>()?;
        let resources = self.resources(settings)?;
        Ok(Ready {
            masker: Masker::new(&masking, &self.literals, &self.mask_key)?,
            verifier: self.verifier(bundle, before)?,
            names: self.names(settings),
            resources,
            forward: headers(&settings.server.forward_headers)?,
            recording: recording(settings)?,
            pins: pins(settings.tool_pins.on_change),
            trusted_proxies,
        })
    }

    fn verifier(&self, bundle: &Bundle, before: Option<&InForce>) -> Result<Verifier, NotReady> {
        let settings = bundle.settings();
        let urls: Vec<String> = settings.urls().map(str::to_owned).collect();
        let mut config =
            IdentityConfig::of(&settings.authentication, bundle.gateway(), &urls, None)
                .map_err(|mistakes| NotReady::Identity(joined(&mistakes)))?;
        config.issuers.extend(self.local_issuer.clone());
        let verifier = match before {
            Some(before) => before.verifier.successor(config),
            None => Verifier::new(config, self.fetcher.clone(), Arc::clone(&self.clock)),
        };
        verifier.map_err(|error| NotReady::Identity(error.to_string()))
    }

    /// Names under which the gateway may be addressed: the listener's own, the policy's, and those of its URLs.
    fn names(&self, settings: &Settings) -> Names {
        let mut names = Names {
            hosts: self.hosts.clone(),
            origins: Vec::new(),
        };
        names.hosts.extend(
            settings
                .listener
                .hosts
                .iter()
                .map(|host| host.to_ascii_lowercase()),
        );
        for url in settings.urls() {
            let Ok(uri) = url.parse::<Uri>() else {
                continue;
            };
            if let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) {
                names.hosts.push(authority.host().to_ascii_lowercase());
                names
                    .origins
                    .push(format!("{scheme}://{authority}").to_ascii_lowercase());
            }
        }
        names
    }

    fn resources(&self, settings: &Settings) -> Result<Resources, NotReady> {
        let public = settings.public_url.as_deref().or(self.own_url.as_deref());
        let more = settings.additional_urls.iter().map(String::as_str);
        let facts = ResourceFacts {
            authorization_servers: settings
                .authentication
                .issuers
                .iter()
                .map(|issuer| issuer.issuer.clone())
                .collect(),
            ..ResourceFacts::default()
        };
        Ok(Resources::new(public.into_iter().chain(more), &facts)?)
    }
}

/// A policy made ready, but for the bundle itself.
struct Ready {
    masker: Masker,
    verifier: Verifier,
    names: Names,
    resources: Resources,
    forward: Vec<HeaderName>,
    recording: Terms,
    pins: PinMode,
    trusted_proxies: Vec<IpNet>,
}

impl Ready {
    fn with(self, bundle: Bundle) -> InForce {
        InForce {
            bundle,
            masker: self.masker,
            verifier: self.verifier,
            names: self.names,
            resources: self.resources,
            forward: self.forward,
            recording: self.recording,
            pins: self.pins,
            trusted_proxies: self.trusted_proxies,
        }
    }
}

fn headers(names: &[String]) -> Result<Vec<HeaderName>, NotReady> {
    let read = names.iter().map(|name| forwarded_header(name));
    Ok(read.collect::<Result<_, _>>()?)
}

fn recording(settings: &Settings) -> Result<Terms, NotReady> {
    let mode = match settings.recording.mode {
        RecordingMode::Strict => Mode::Strict,
        RecordingMode::BestEffort => Mode::BestEffort,
        RecordingMode::Disabled => Mode::Disabled,
    };
    let capture = match settings.recording.payloads {
        Payloads::Masked => Capture::Masked,
        Payloads::Metadata => Capture::Metadata,
        Payloads::Full => return Err(NotReady::FullPayloads),
    };
    Ok(Terms { mode, capture })
}

fn pins(on_change: OnPinChange) -> PinMode {
    match on_change {
        OnPinChange::Quarantine => PinMode::Quarantine,
        OnPinChange::Alert => PinMode::Alert,
        OnPinChange::Disabled => PinMode::Disabled,
    }
}

fn joined(mistakes: &[impl ToString]) -> String {
    mistakes
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}
