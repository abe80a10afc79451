//! Names of the files of a recording folder.
//!
//! ```text
//! recordings/
//!   lock                      held by the one process that writes
//!   checkpoint.key            Ed25519 seed, hex, 0600
//!   checkpoint.pub            its public key, hex
//!   segments/00000001.seg     lines
//!   payloads/00000001.pay     payload bytes named by the segment of the same number
//!   torn/00000001-4096.torn   what a crash left of an unfinished line
//!   audit/                    who read and what was purged: the same layout, written by the commands
//!   index.redb                rebuilt from the segments at will
//! ```

pub const LOCK: &str = "lock";
pub const SIGNING_KEY: &str = "checkpoint.key";
pub const VERIFYING_KEY: &str = "checkpoint.pub";
pub const SEGMENTS: &str = "segments";
pub const PAYLOADS: &str = "payloads";
pub const TORN: &str = "torn";
pub const AUDIT: &str = "audit";
pub const INDEX: &str = "index.redb";

/// File name of segment `number`.
#[must_use]
pub fn segment_file(number: u64) -> String {
    format!("{number:08}.seg")
}

/// File name of the payloads of segment `number`.
#[must_use]
pub fn payload_file(number: u64) -> String {
    format!("{number:08}.pay")
}

/// File name for what was torn off segment `number` at byte `offset`.
#[must_use]
pub fn torn_file(number: u64, offset: u64) -> String {
    format!("{number:08}-{offset}.torn")
}

/// The number in a segment's file name; none for any other file.
#[must_use]
pub fn segment_number(name: &str) -> Option<u64> {
    number(name, ".seg")
}

/// The number in a payload file's name; none for any other file.
#[must_use]
pub fn payload_number(name: &str) -> Option<u64> {
    number(name, ".pay")
}

fn number(name: &str, suffix: &str) -> Option<u64> {
    let digits = name.strip_suffix(suffix)?;
    let canonical = digits.len() >= 8 && digits.bytes().all(|byte| byte.is_ascii_digit());
    canonical.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_gives_its_number_back_and_other_files_give_none() {
        let rows = [
            (segment_file(7), Some(7)),
            (segment_file(123_456_789), Some(123_456_789)),
            ("7.seg".to_owned(), None),
            ("0000000x.seg".to_owned(), None),
            (payload_file(7), None),
        ];
        for (name, expected) in rows {
            assert_eq!(segment_number(&name), expected, "{name}");
        }
        assert_eq!(payload_number(&payload_file(9)), Some(9));
    }
}
