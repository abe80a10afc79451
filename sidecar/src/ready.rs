//! A compiled policy made ready for the data path: masks compiled, verifier set up, names known. Built whole or not
//! at all, so a policy that cannot be used never replaces one that can.

use std::sync::Arc;

use http::{HeaderName, Uri};
use sallyport_policy::bundle::{Bundle, Settings};
use sallyport_policy::mask::{MaskError, MaskKey, Masker, MaskingSettings};
use sallyport_policy::record::event::{Capture, Mode};
use sallyport_policy::source::masking::Masking;
use sallyport_policy::source::settings::{OnPinChange, Payloads, RecordingMode};
use zeroize::Zeroizing;

use crate::clock::Clock;
use crate::gateway::{InForce, PinMode};
use crate::identity::challenge::ResourceFacts;
use crate::identity::fetch::Fetcher;
use crate::identity::{IdentityConfig, IssuerConfig, ProtectedResource, Verifier};
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
    #[error("`{0}` is not a header name")]
    Header(String),
    #[error("`{0}` is not a network (CIDR)")]
    Network(String),
    #[error("publicUrl: {0}")]
    Url(String),
    #[error(
        "`recording.payloads: Full` needs the recorder service and an auditor's key; use `Masked` or `Metadata`"
    )]
    FullPayloads,
}

impl Kit {
    /// Makes `bundle` ready. Keys that `before` has fetched are kept.
    pub fn ready(&self, bundle: Bundle, before: Option<&InForce>) -> Result<InForce, NotReady> {
        let settings = bundle.settings();
        let platform = Masking {
            detectors: Some(settings.platform_detectors.clone()),
            ..Masking::default()
        };
        let masking = MaskingSettings::gather(&settings.masking, &[], &[&platform])?;
        let masker = Masker::new(&masking, &self.literals, &self.mask_key)?;
        let verifier = self.verifier(&bundle, before)?;
        let forward = headers(&settings.server.forward_headers)?;
        let trusted_proxies = settings
            .listener
            .trusted_proxies
            .iter()
            .map(|text| text.parse().map_err(|_| NotReady::Network(text.clone())))
            .collect::<Result<_, _>>()?;
        Ok(InForce {
            names: self.names(settings),
            resource: self.resource(settings)?,
            recording: recording(settings)?,
            pins: pins(settings.tool_pins.on_change),
            forward,
            trusted_proxies,
            masker,
            verifier,
            bundle,
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

    fn resource(&self, settings: &Settings) -> Result<Option<ProtectedResource>, NotReady> {
        let Some(url) = settings.public_url.clone().or_else(|| self.own_url.clone()) else {
            return Ok(None);
        };
        let facts = ResourceFacts {
            authorization_servers: settings
                .authentication
                .issuers
                .iter()
                .map(|issuer| issuer.issuer.clone())
                .collect(),
            ..ResourceFacts::default()
        };
        ProtectedResource::new(&url, &facts)
            .map(Some)
            .map_err(|error| NotReady::Url(error.to_string()))
    }
}

fn headers(names: &[String]) -> Result<Vec<HeaderName>, NotReady> {
    names
        .iter()
        .map(|name| HeaderName::try_from(name.as_str()).map_err(|_| NotReady::Header(name.clone())))
        .collect()
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
