//! The keys of a cluster under test: one authority, a certificate for each component, the key of service accounts.
//!
//! They are made anew each time a cluster starts and end with it; nothing of them is kept or used elsewhere.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
};

/// Who a component is to the API server, and under which names it is dialled.
pub(super) struct Identity {
    /// The name of its files.
    pub(super) file: &'static str,
    /// The user name: `CN`.
    pub(super) user: &'static str,
    /// The group: `O`.
    pub(super) group: &'static str,
    pub(super) names: &'static [&'static str],
}

/// Signs what belongs to one cluster.
pub(super) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
}

impl Authority {
    /// Makes the authority and the key that signs service account tokens.
    pub(super) fn new(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let mut params = CertificateParams::default();
        params.distinguished_name = named("sallyport-cluster-under-test", None);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        fs::write(folder.join("ca.key"), key.serialize_pem())?;
        let issuer = CertifiedIssuer::self_signed(params, key)?;
        fs::write(folder.join("ca.crt"), issuer.pem())?;
        let accounts = KeyPair::generate()?;
        fs::write(folder.join("sa.key"), accounts.serialize_pem())?;
        fs::write(folder.join("sa.pub"), accounts.public_key_pem())?;
        Ok(Self {
            issuer,
            folder: folder.to_owned(),
        })
    }

    /// Writes certificate and key of one component.
    pub(super) fn issue(&self, identity: &Identity) -> Result<()> {
        let names: Vec<String> = identity.names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = named(identity.user, Some(identity.group));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        self.write(identity.file, "crt", &certificate.pem())?;
        self.write(identity.file, "key", &key.serialize_pem())
    }

    fn write(&self, name: &str, kind: &str, text: &str) -> Result<()> {
        let path = self.folder.join(format!("{name}.{kind}"));
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }
}

fn named(common: &str, organization: Option<&str>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    if let Some(organization) = organization {
        name.push(DnType::OrganizationName, organization);
    }
    name.push(DnType::CommonName, common);
    name
}
