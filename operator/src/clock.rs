//! The one place that asks the machine for the time.

use std::time::{SystemTime, UNIX_EPOCH};

use sallyport_policy::time::UnixMillis;

/// Now. A clock before 1970 reads as 1970, where every signature is too young to be believed.
#[must_use]
pub fn now() -> UnixMillis {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    UnixMillis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
