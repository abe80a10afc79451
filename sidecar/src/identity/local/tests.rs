//! The standalone issuer through a real folder and a real verifier.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::clock::Clock;
use crate::clock::hand::HandClock;
use crate::identity::tests::support::fetcher;
use crate::identity::{IdentityConfig, TokenError, Verifier};

const NOON: UnixMillis = UnixMillis(1_795_435_200_000);

fn mint() -> Mint {
    Mint {
        user: "ada@example.com".to_owned(),
        groups: vec!["stock-clerks".to_owned()],
        client: Some("desk".to_owned()),
        scopes: vec!["customers.read".to_owned()],
        ttl: Duration::from_secs(900),
        ..Mint::default()
    }
}

fn verifier(issuer: &LocalIssuer, clock: &Arc<HandClock>) -> Verifier {
    let config = IdentityConfig {
        issuers: vec![
            issuer
                .issuer_config(["https://inventory.example.com/mcp".to_owned()])
                .unwrap(),
        ],
        anonymous: None,
    };
    Verifier::new(config, fetcher(), Arc::clone(clock) as Arc<dyn Clock>).unwrap()
}

#[tokio::test]
async fn a_local_token_is_accepted_until_its_lifetime_ends() {
    let state = tempfile::tempdir().unwrap();
    let issuer = LocalIssuer::open(state.path(), None).unwrap();
    let clock = Arc::new(HandClock::at(NOON));
    let verifier = verifier(&issuer, &clock);
    let token = issuer.mint(&mint(), clock.now()).unwrap();
    let verified = verifier.verify(&token.token).await.unwrap();
    let principal = verified.principal();
    assert_eq!(principal.issuer.as_str(), LOCAL_ISSUER);
    assert_eq!(principal.subject.as_str(), "ada@example.com");
    assert_eq!(principal.groups, ["stock-clerks".to_owned()].into());
    assert_eq!(
        principal.client.as_ref().map(|client| client.as_str()),
        Some("desk")
    );
    assert_eq!(principal.scopes, ["customers.read".to_owned()].into());
    assert_eq!(principal.expires_at, Some(token.expires_at));
    clock.pass(Duration::from_secs(900));
    assert_eq!(
        verifier.verify(&token.token).await,
        Err(TokenError::Expired)
    );
}

#[tokio::test]
async fn a_token_of_another_state_folder_is_refused() {
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let ours = LocalIssuer::open(ours.path(), None).unwrap();
    let theirs = LocalIssuer::open(theirs.path(), None).unwrap();
    let clock = Arc::new(HandClock::at(NOON));
    let token = theirs.mint(&mint(), NOON).unwrap();
    let refused = verifier(&ours, &clock).verify(&token.token).await;
    assert_eq!(refused, Err(TokenError::UnknownKey));
}

#[tokio::test]
async fn the_key_stays_when_the_folder_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("new/state");
    let first = LocalIssuer::open(&state, None).unwrap();
    let again = LocalIssuer::open(&state, None).unwrap();
    assert_eq!(first.jwks(), again.jwks());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&state), 0o700);
    assert_eq!(mode(&state.join(KEY_FILE)), 0o600);
    assert_eq!(
        fs::read_dir(&state).unwrap().count(),
        1,
        "no drafts are left behind"
    );
}

#[test]
fn those_who_open_a_new_folder_at_once_get_one_key() {
    let folder = tempfile::tempdir().unwrap();
    let open = || LocalIssuer::open(folder.path(), None).unwrap().jwks();
    let all: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(all.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn a_key_that_others_can_reach_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    LocalIssuer::open(folder.path(), None).unwrap();
    let path = folder.path().join(KEY_FILE);
    let gid = fs::metadata(&path).unwrap().gid();
    let rows = [
        ("its owner alone", 0o600, None, true),
        ("its owner may only read", 0o400, None, true),
        ("its group, unasked", 0o640, None, false),
        ("its group, as asked", 0o640, Some(gid), true),
        ("its group may write", 0o660, Some(gid), false),
        ("another group is meant", 0o640, Some(gid + 1), false),
        ("everybody", 0o644, Some(gid), false),
    ];
    for (name, mode, group, fine) in rows {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(
            LocalIssuer::open(folder.path(), group).is_ok(),
            fine,
            "{name}"
        );
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&path, b"nonsense").unwrap();
    assert!(matches!(
        LocalIssuer::open(folder.path(), None),
        Err(LocalIssuerError::NotAKey { .. })
    ));
}

#[test]
fn law_24_the_key_is_handed_to_the_approvers_group_and_to_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let first = LocalIssuer::open(folder.path(), None).unwrap();
    let path = folder.path().join(KEY_FILE);
    let gid = fs::metadata(&path).unwrap().gid();
    let given = LocalIssuer::open(folder.path(), Some(gid)).unwrap();
    assert_eq!(first.jwks(), given.jwks(), "tokens stay good");
    let metadata = fs::metadata(&path).unwrap();
    assert_eq!((metadata.mode() & 0o777, metadata.gid()), (0o640, gid));
    let without = LocalIssuer::open(folder.path(), None);
    assert!(matches!(without, Err(LocalIssuerError::Exposed { .. })));
    // The guard opens the folder to the group as well, and then nobody has to name it again.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o710)).unwrap();
    let again = LocalIssuer::open(folder.path(), None).unwrap();
    assert_eq!(again.jwks(), given.jwks());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let everybody = LocalIssuer::open(folder.path(), None);
    assert!(matches!(everybody, Err(LocalIssuerError::Exposed { .. })));
}

#[test]
fn what_cannot_be_minted_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let issuer = LocalIssuer::open(folder.path(), None).unwrap();
    let claim = |name: &str| [(name.to_owned(), json!("x"))].into_iter().collect();
    let with = |adjust: fn(&mut Mint)| {
        let mut changed = mint();
        adjust(&mut changed);
        changed
    };
    let mut rows = vec![
        ("no user", with(|mint| mint.user.clear())),
        ("no lifetime", with(|mint| mint.ttl = Duration::ZERO)),
        ("two years", with(|mint| mint.ttl = LONGEST_TTL * 2)),
    ];
    for name in [
        "sub",
        "iss",
        "aud",
        "exp",
        "nbf",
        "azp",
        "client_id",
        "act",
        "cnf",
    ] {
        let claims = claim(name);
        rows.push((name, Mint { claims, ..mint() }));
    }
    for (name, mint) in rows {
        assert!(issuer.mint(&mint, NOON).is_err(), "{name}");
    }
    assert!(
        issuer
            .mint(
                &Mint {
                    claims: claim("department"),
                    ..mint()
                },
                NOON
            )
            .is_ok()
    );
}

#[test]
fn debug_output_shows_neither_key_nor_token() {
    let folder = tempfile::tempdir().unwrap();
    let issuer = LocalIssuer::open(folder.path(), None).unwrap();
    let token = issuer.mint(&mint(), NOON).unwrap();
    let said = format!("{issuer:?} {token:?}");
    assert!(
        !said.contains(token.token.as_str()) && said.len() < 200,
        "{said}"
    );
}
