//! The operator's own certificate authority: keys that serve the webhooks, rotated before they end.
//!
//! `authority` decides, purely, what there should be; `keeper` keeps it in a Secret that both replicas read and puts it
//! into the webhook configurations; `serving` is what the servers show. A new authority is believed by the API server
//! long before anything is signed by it.

pub mod authority;
pub mod keeper;
pub mod serving;

use std::sync::Arc;
use std::time::Duration;

use jiff::civil::Date;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::crypto::aws_lc_rs;
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sallyport_policy::time::UnixMillis;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Why there is no certificate. Ours to mend.
#[derive(Debug, thiserror::Error)]
pub enum CertError {
    #[error("a certificate cannot be made: {0}")]
    Make(#[from] rcgen::Error),
    #[error("a certificate cannot be used: {0}")]
    Use(#[from] rustls::Error),
}

/// Good from yesterday on, so that no clock is too early, and until the day after its life.
pub(crate) fn valid(params: &mut CertificateParams, now: UnixMillis, life: Duration) {
    let yesterday = now
        .0
        .saturating_sub(i64::try_from(DAY.as_millis()).unwrap_or(0));
    let (year, month, day) = date(UnixMillis(yesterday));
    params.not_before = date_time_ymd(year, month, day);
    let (year, month, day) = date(now.after(life + DAY));
    params.not_after = date_time_ymd(year, month, day);
}

fn date(at: UnixMillis) -> (i32, u8, u8) {
    let date = jiff::Timestamp::from_millisecond(at.0)
        .map_or(Date::constant(1970, 1, 1), |stamp| {
            stamp.to_zoned(jiff::tz::TimeZone::UTC).date()
        });
    let positive = |number: i8| u8::try_from(number).unwrap_or(1);
    (
        i32::from(date.year()),
        positive(date.month()),
        positive(date.day()),
    )
}

/// A chain with its key, as rustls serves it.
pub(crate) fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: &KeyPair,
) -> Result<Arc<CertifiedKey>, CertError> {
    let der = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let key = aws_lc_rs::sign::any_supported_type(&der)?;
    Ok(Arc::new(CertifiedKey::new(chain, key)))
}
