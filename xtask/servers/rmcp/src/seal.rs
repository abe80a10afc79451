//! State that a client carries for the server between two rounds, sealed: a client may read it and may not change it.

use anyhow::{Result, anyhow};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use rmcp::ErrorData;

/// A key of this process alone.
#[derive(Debug)]
pub(crate) struct Seal {
    key: hmac::Key,
}

impl Seal {
    pub(crate) fn new() -> Result<Self> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
            .map_err(|_| anyhow!("no key: the system gives no random bytes"))?;
        Ok(Self { key })
    }

    /// `STEP.TAG`; a step has no full stop in it.
    pub(crate) fn close(&self, step: &str) -> String {
        let tag = hmac::sign(&self.key, step.as_bytes());
        format!("{step}.{}", hex::encode(tag))
    }

    /// The step, if nobody changed anything.
    pub(crate) fn open<'a>(&self, sealed: &'a str) -> Result<&'a str, ErrorData> {
        let changed = || ErrorData::invalid_params("this requestState is not one of ours", None);
        let (step, tag) = sealed.split_once('.').ok_or_else(changed)?;
        let tag = hex::decode(tag).map_err(|_| changed())?;
        hmac::verify(&self.key, step.as_bytes(), &tag).map_err(|_| changed())?;
        Ok(step)
    }
}

#[cfg(test)]
mod tests {
    use super::Seal;

    #[test]
    fn only_what_was_sealed_here_and_is_unchanged_opens() {
        let seal = Seal::new().unwrap();
        let sealed = seal.close("one");
        assert_eq!(seal.open(&sealed).unwrap(), "one");
        assert!(seal.open(&format!("{sealed}-changed")).is_err());
        assert!(seal.open(&sealed.replace("one", "two")).is_err());
        assert!(Seal::new().unwrap().open(&sealed).is_err());
    }
}
