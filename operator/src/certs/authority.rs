//! What authorities there should be. Pure, but for the keys that it draws.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::sign::CertifiedKey;
use sallyport_policy::time::UnixMillis;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

use super::{CertError, certified, valid};

/// How long an authority is good, and when the next one is made.
pub const LIFE: Duration = Duration::from_secs(90 * 24 * 3600);
pub const RENEW_BEFORE: Duration = Duration::from_secs(30 * 24 * 3600);
/// How long a new authority is published before anything is signed by it.
pub const PUBLISHED_FIRST: Duration = Duration::from_secs(3600);
/// How long a certificate of a server is good.
pub const LEAF_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);

/// All authorities that are believed, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorities(Vec<Authority>);

/// One authority with its private key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Authority {
    /// In its name, so that two are never taken for one.
    id: String,
    made: UnixMillis,
    ends: UnixMillis,
    /// PEM.
    certificate: String,
    key: String,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority")
            .field("id", &self.id)
            .field("ends", &self.ends)
            .finish_non_exhaustive()
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.key);
    }
}

impl Authorities {
    /// What there should be at `now`; none where it is so already.
    pub fn next(&self, now: UnixMillis, id: &str) -> Result<Option<Self>, CertError> {
        let mut next = self.clone();
        next.0.retain(|authority| now < authority.ends);
        let youngest = next.0.last();
        if youngest.is_none_or(|youngest| now.after(RENEW_BEFORE) >= youngest.ends) {
            next.0.push(Authority::make(now, id)?);
        }
        Ok((next != *self).then_some(next))
    }

    /// All certificates, PEM: what the API server should believe.
    #[must_use]
    pub fn bundle(&self) -> String {
        self.0
            .iter()
            .map(|authority| authority.certificate.as_str())
            .collect()
    }

    /// The one that signs: the youngest that was published long enough, else the oldest.
    #[must_use]
    pub fn signing(&self, now: UnixMillis) -> Option<&Authority> {
        let settled = |authority: &&Authority| authority.made.after(PUBLISHED_FIRST) <= now;
        self.0.iter().rev().find(settled).or(self.0.first())
    }
}

impl Authority {
    fn make(now: UnixMillis, id: &str) -> Result<Self, CertError> {
        let key = KeyPair::generate()?;
        let certificate = params(id, now).self_signed(&key)?;
        Ok(Self {
            id: id.to_owned(),
            made: now,
            ends: now.after(LIFE),
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }

    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// A certificate with a new key, for a server of these names.
    pub fn issue(
        &self,
        names: Vec<String>,
        now: UnixMillis,
    ) -> Result<Arc<CertifiedKey>, CertError> {
        let issuer = Issuer::new(params(&self.id, self.made), KeyPair::from_pem(&self.key)?);
        let mut leaf = CertificateParams::new(names)?;
        valid(&mut leaf, now, LEAF_LIFE);
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        leaf.distinguished_name
            .push(DnType::CommonName, "sallyport-operator");
        let own = KeyPair::generate()?;
        let certificate = leaf.signed_by(&own, &issuer)?;
        certified(vec![certificate.der().clone()], &own)
    }
}

/// The same for the same authority, whenever it signs.
fn params(id: &str, made: UnixMillis) -> CertificateParams {
    let mut params = CertificateParams::default();
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, format!("sallyport webhooks {id}"));
    params.distinguished_name = name;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    valid(&mut params, made, LIFE);
    params
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(days: i64) -> UnixMillis {
        UnixMillis(1_780_000_000_000 + days * 24 * 3_600_000)
    }

    #[test]
    fn a_new_authority_is_published_before_it_signs_and_the_old_one_goes_when_it_has_ended() {
        let first = Authorities::default().next(days(0), "a").unwrap().unwrap();
        assert_eq!(first.signing(days(0)).unwrap().id(), "a");
        assert_eq!(first.next(days(59), "b").unwrap(), None);
        let both = first.next(days(60), "b").unwrap().unwrap();
        assert_eq!(both.bundle().matches("BEGIN CERTIFICATE").count(), 2);
        assert_eq!(both.signing(days(60)).unwrap().id(), "a");
        assert_eq!(both.signing(days(61)).unwrap().id(), "b");
        let later = both.next(days(91), "c").unwrap().unwrap();
        assert_eq!(later.bundle().matches("BEGIN CERTIFICATE").count(), 1);
        assert_eq!(later.signing(days(91)).unwrap().id(), "b");
    }

    #[test]
    fn what_an_authority_issues_is_believed_by_whoever_believes_the_bundle() {
        use rustls::client::WebPkiServerVerifier;
        use rustls::client::danger::ServerCertVerifier as _;
        use rustls_pki_types::pem::PemObject as _;
        use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

        let authorities = Authorities::default().next(days(0), "a").unwrap().unwrap();
        let other = Authorities::default().next(days(0), "a").unwrap().unwrap();
        let names = vec!["sallyport-operator.sallyport-system.svc".to_owned()];
        for (name, issuer, believed) in [("own", &authorities, true), ("another's", &other, false)]
        {
            let leaf = issuer
                .signing(days(0))
                .unwrap()
                .issue(names.clone(), days(3))
                .unwrap();
            let mut roots = rustls::RootCertStore::empty();
            let pem = authorities.bundle();
            for root in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                roots.add(root.unwrap()).unwrap();
            }
            let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
            let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider)
                .build()
                .unwrap();
            let now = UnixTime::since_unix_epoch(Duration::from_millis(days(4).0 as u64));
            let server = ServerName::try_from(names[0].clone()).unwrap();
            let verdict = verifier.verify_server_cert(&leaf.cert[0], &[], &server, &[], now);
            assert_eq!(verdict.is_ok(), believed, "{name}: {verdict:?}");
        }
    }
}
