//! What an envelope refuses.

use super::*;
use crate::bundle::{FORMAT, Settings};
use crate::source::GatewaySpec;

fn gateway(name: &str) -> GatewayName {
    GatewayName {
        namespace: "shop".to_owned(),
        name: name.to_owned(),
    }
}

fn content(name: &str) -> BundleContent {
    BundleContent {
        format: FORMAT,
        gateway: gateway(name),
        refusal: None,
        settings: Settings::of(&GatewaySpec::default()),
        objects: Vec::new(),
    }
}

fn pair(seed: u8) -> KeyPair {
    KeyPair::from_seed(&Zeroizing::new([seed; 32])).unwrap()
}

fn header() -> Header {
    Header {
        gateway: gateway("inventory"),
        uid: "u1".to_owned(),
        generation: 7,
        not_after: UnixMillis(1000),
    }
}

fn sealed(header: Header, content: BundleContent) -> Vec<u8> {
    let (root, bundle) = (pair(1), pair(2));
    let key = root
        .vouch(bundle.public(), UnixMillis(0), UnixMillis(500))
        .unwrap();
    Envelope::seal(header, content, &bundle, key).unwrap()
}

/// What a sidecar demands, owned.
struct Demand {
    root: KeyPair,
    gateway: GatewayName,
    uid: &'static str,
    generation: u64,
    now: UnixMillis,
}

fn open(bytes: &[u8], change: impl FnOnce(&mut Demand)) -> Result<Opened, EnvelopeError> {
    let mut demand = Demand {
        root: pair(1),
        gateway: gateway("inventory"),
        uid: "u1",
        generation: 7,
        now: UnixMillis(100),
    };
    change(&mut demand);
    let expected = Expected {
        root: demand.root.public(),
        gateway: &demand.gateway,
        uid: demand.uid,
        generation: demand.generation,
        now: demand.now,
    };
    Envelope::open(bytes, &expected)
}

#[test]
fn a_good_envelope_opens_and_its_bundle_expires_with_it() {
    let opened = open(&sealed(header(), content("inventory")), |_| {}).unwrap();
    assert_eq!(opened.header, header());
    assert_eq!(opened.bundle.expires(), Some(UnixMillis(1000)));
    assert_eq!(
        Ok(opened.bundle.revision()),
        content("inventory").revision()
    );
}

#[test]
fn signing_anew_changes_no_revision() {
    let later = Header {
        generation: 8,
        not_after: UnixMillis(2000),
        ..header()
    };
    let (first, second) = (
        sealed(header(), content("inventory")),
        sealed(later, content("inventory")),
    );
    assert_ne!(first, second);
    let revision = |bytes: &[u8]| open(bytes, |_| {}).unwrap().bundle.revision();
    assert_eq!(revision(&first), revision(&second));
}

#[test]
fn each_forgery_is_refused_by_its_own_name() {
    let good = sealed(header(), content("inventory"));
    let error = |result: Result<Opened, EnvelopeError>| result.unwrap_err();
    assert_eq!(
        error(open(&good, |e| e.now = UnixMillis(500))),
        EnvelopeError::KeyNotValidNow
    );
    assert_eq!(
        error(open(&good, |e| e.generation = 8)),
        EnvelopeError::Older { found: 7, seen: 8 }
    );
    assert_eq!(
        error(open(&good, |e| e.uid = "u2")),
        EnvelopeError::OtherUid
    );
    assert_eq!(
        error(open(&good, |e| e.gateway = gateway("other"))),
        EnvelopeError::OtherGateway("shop/inventory".to_owned())
    );
    let foreign = sealed(header(), content("other"));
    assert_eq!(
        error(open(&foreign, |_| {})),
        EnvelopeError::OtherGateway("shop/other".to_owned())
    );
    let expired = sealed(
        Header {
            not_after: UnixMillis(50),
            ..header()
        },
        content("inventory"),
    );
    assert_eq!(error(open(&expired, |_| {})), EnvelopeError::Expired);
    assert_eq!(
        error(open(&good, |e| e.root = pair(9))),
        EnvelopeError::KeyNotTrusted
    );
    let (self_made, thief) = (pair(2), pair(3));
    let key = pair(1)
        .vouch(self_made.public(), UnixMillis(0), UnixMillis(500))
        .unwrap();
    let stolen = Envelope::seal(header(), content("inventory"), &thief, key).unwrap();
    assert_eq!(error(open(&stolen, |_| {})), EnvelopeError::BadSignature);
}

#[test]
fn no_changed_byte_of_an_envelope_goes_unnoticed() {
    let good = sealed(header(), content("inventory"));
    let mut step = 0;
    for at in (0..good.len()).step_by(7) {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert!(open(&bad, |_| {}).is_err(), "byte {at}");
        step += 1;
    }
    assert!(step > 100);
}

#[test]
fn a_signing_key_prints_nothing() {
    assert_eq!(format!("{:?}", pair(1)), "KeyPair");
}
