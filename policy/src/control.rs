//! What sidecar and operator say to each other: one JSON object a line, over TLS (`docs/control-protocol.md`).
//!
//! The stream never carries policy. A reader passes over kinds and fields that it does not know, so that either side may
//! be the older one; a change that this does not cover takes another protocol name.

use serde::{Deserialize, Serialize};

use crate::name::{GatewayName, Revision};
use crate::time::UnixMillis;

/// The name in the TLS handshake (ALPN); it is the protocol's version.
pub const PROTOCOL: &[u8] = b"sallyport-control/1";
/// The name in the operator's certificate, whatever address it is dialled by.
pub const SERVER_NAME: &str = "control.sallyport.internal";
/// The common name of the root, which alone certifies the endpoint: sidecars know its key from their injection.
pub const ROOT_NAME: &str = "sallyport root";
/// The audience of the tokens that sidecars show.
pub const AUDIENCE: &str = "sallyport.dev/control";
/// The longest line, in bytes.
pub const LINE_BYTES: usize = 64 * 1024;
/// A sidecar says something at least so often, in seconds; silence of three times that ends the stream.
pub const ALIVE_SECONDS: u64 = 20;

/// What a sidecar says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum FromSidecar {
    /// The first line.
    Hello(Hello),
    /// What is in force, at the start and after each change.
    Enforces(Enforces),
    /// What lies in the volume is not put in force; the last good policy stays.
    Refused { reason: String },
    /// Nothing new.
    Alive,
    /// Something of a newer version.
    #[serde(other)]
    Unknown,
}

/// Who calls.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hello {
    /// A projected token of the pod, for [`AUDIENCE`].
    pub token: String,
    pub gateway: GatewayName,
    /// Uid of the gateway object, as injected.
    pub uid: String,
    /// The sidecar's version, for people.
    pub version: String,
}

/// A policy in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Enforces {
    /// None: there is no verified policy, and everything is denied.
    pub revision: Option<Revision>,
    /// The highest generation ever seen.
    pub generation: u64,
    /// When it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<UnixMillis>,
}

/// What the operator says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum FromOperator {
    /// The first line: the sidecar is known.
    Welcome {
        /// Nothing below may be put in force any more.
        minimum_generation: u64,
    },
    /// The bundle that the volume should hold.
    Announce { revision: Revision, generation: u64 },
    /// The stream ends; why, for people.
    Goodbye { reason: String },
    /// Something of a newer version.
    #[serde(other)]
    Unknown,
}

impl std::fmt::Debug for Hello {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hello")
            .field("gateway", &self.gateway)
            .field("uid", &self.uid)
            .finish_non_exhaustive()
    }
}

/// Writes a line with its end.
///
/// # Errors
/// None of these types has a form that cannot be written.
pub fn line<T: Serialize>(message: &T) -> Result<Vec<u8>, serde_json::Error> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Digest;

    #[test]
    fn lines_are_read_by_both_sides_as_they_are_written_down() {
        let enforces = FromSidecar::Enforces(Enforces {
            revision: Some(Digest::of(b"")),
            generation: 7,
            not_after: Some(UnixMillis(9)),
        });
        let golden = concat!(
            r#"{"kind":"enforces","revision":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","#,
            r#""generation":7,"notAfter":9}"#,
            "\n"
        );
        assert_eq!(line(&enforces).unwrap(), golden.as_bytes());
        assert_eq!(
            serde_json::from_str::<FromSidecar>(golden).unwrap(),
            enforces
        );
        let welcome = FromOperator::Welcome {
            minimum_generation: 3,
        };
        let golden = "{\"kind\":\"welcome\",\"minimumGeneration\":3}\n";
        assert_eq!(line(&welcome).unwrap(), golden.as_bytes());
    }

    #[test]
    fn a_word_of_a_newer_version_is_passed_over_and_a_field_too() {
        let rows = [
            (r#"{"kind":"tomorrow","a":[1]}"#, FromSidecar::Unknown),
            (r#"{"kind":"alive","since":5}"#, FromSidecar::Alive),
        ];
        for (text, expected) in rows {
            assert_eq!(
                serde_json::from_str::<FromSidecar>(text).unwrap(),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn the_token_is_not_in_what_is_logged() {
        let hello = Hello {
            token: "eyJ-secret".to_owned(),
            gateway: GatewayName {
                namespace: "shop".to_owned(),
                name: "inventory".to_owned(),
            },
            uid: "u".to_owned(),
            version: "0".to_owned(),
        };
        assert!(!format!("{:?}", FromSidecar::Hello(hello)).contains("secret"));
    }
}
