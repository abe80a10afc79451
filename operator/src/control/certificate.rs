//! The endpoint's certificate: issued by the root key, which every sidecar knows from its injection. So there is nothing
//! to rotate in pods, and no other authority of the cluster can pass itself off as the operator.

use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ED25519,
};
use rustls::sign::CertifiedKey;
use rustls_pki_types::PrivatePkcs8KeyDer;
use sallyport_policy::control::{ROOT_NAME, SERVER_NAME};
use sallyport_policy::time::UnixMillis;

use crate::certs::{CertError, certified, valid};
use crate::distribute::Root;

/// How long one certificate is good; a new one is made with every day.
const LIFE: Duration = Duration::from_secs(7 * 24 * 3600);

/// A new certificate with a new key.
pub fn issue(root: &Root, now: UnixMillis) -> Result<Arc<CertifiedKey>, CertError> {
    let seed = root.pkcs8();
    let der = PrivatePkcs8KeyDer::from(seed.as_slice());
    let key = KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_ED25519)?;
    let issuer = Issuer::new(root_params(), key);
    let mut params = CertificateParams::new([SERVER_NAME.to_owned()])?;
    valid(&mut params, now, LIFE);
    params
        .distinguished_name
        .push(DnType::CommonName, SERVER_NAME);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = false;
    let own = KeyPair::generate()?;
    let certificate = params.signed_by(&own, &issuer)?;
    certified(vec![certificate.der().clone()], &own)
}

fn root_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let mut name = rcgen::DistinguishedName::new();
    name.push(DnType::CommonName, ROOT_NAME);
    params.distinguished_name = name;
    params
}
