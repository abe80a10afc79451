//! Money: card numbers, account numbers, wallets. Everything with a check sum is checked.

use std::ops::Range;

use aws_lc_rs::digest::{SHA256, digest};

use super::beside::{Beside, SECURITY_CODE_WORDS, value_beside};
use super::chars::{before, begins_word, ends_word, luhn, run, run_back};
use super::{Definition, Detector, Example, Find};

pub(super) const TABLE: &[Definition] = &[
    Definition {
        detector: Detector::BitcoinAddress,
        description: "Bitcoin address with a valid check sum (base58 or bech32)",
        examples: &[
            Example {
                text: "to 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa.",
                secret: "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
            },
            Example {
                text: "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
                secret: "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
            },
        ],
        counter_examples: &[
            "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb",
            "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5",
        ],
        find: Find::Shape {
            shape: "bc1[02-9ac-hj-np-z]{25,71}|[13][1-9A-HJ-NP-Za-km-z]{25,34}",
            check: bitcoin,
        },
    },
    Definition {
        detector: Detector::CardSecurityCode,
        description: "three or four digits beside cvv, cvc or security code",
        examples: &[Example {
            text: "CVV: 123",
            secret: "123",
        }],
        counter_examples: &["cvv: 12345", "the cvc is printed on the back"],
        find: Find::Words {
            words: SECURITY_CODE_WORDS,
            check: |text, lead| {
                value_beside(text, &lead, |beside| beside == Beside::CardSecurityCode)
            },
        },
    },
    Definition {
        detector: Detector::CardTrack,
        description: "magnetic stripe data of a payment card, track 1 or 2",
        examples: &[Example {
            text: "%B4111111111111111^LOVELACE/ADA^29121010000?",
            secret: "%B4111111111111111^LOVELACE/ADA^29121010000?",
        }],
        counter_examples: &["x=123456789012=5"],
        find: Find::Shape {
            shape: "[0-9]{12,19}[\\^=]",
            check: track,
        },
    },
    Definition {
        detector: Detector::CreditCard,
        description: "payment card number with a valid Luhn sum, grouped or not",
        examples: &[
            Example {
                text: "card 4111 1111 1111 1111 exp 12/29",
                secret: "4111 1111 1111 1111",
            },
            Example {
                text: "378282246310005",
                secret: "378282246310005",
            },
            Example {
                text: "4111-1111-1111-1111 12",
                secret: "4111-1111-1111-1111",
            },
        ],
        counter_examples: &[
            "4111 1111 1111 1112",
            "1234567890123456",
            "0000 0000 0000 0000",
            "94111111111111111119",
        ],
        find: Find::Shape {
            shape: "[0-9](?:[ .-]?[0-9]){11,}",
            check: card,
        },
    },
    Definition {
        detector: Detector::Iban,
        description: "international bank account number with valid check digits",
        examples: &[
            Example {
                text: "pay to GB82 WEST 1234 5698 7654 32 now",
                secret: "GB82 WEST 1234 5698 7654 32",
            },
            Example {
                text: "DE89370400440532013000",
                secret: "DE89370400440532013000",
            },
        ],
        counter_examples: &[
            "GB83 WEST 1234 5698 7654 32",
            "DE89 3704 0044",
            "XX89370400440532013000",
        ],
        find: Find::Shape {
            shape: "[A-Za-z]{2}[0-9]{2} ?[A-Za-z0-9]{4}",
            check: iban,
        },
    },
];

/// Groups of digits are kept apart: a card number begins and ends where a group does, or the expiry date behind
/// it would spoil the sum.
fn card(text: &str, lead: Range<usize>) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    if before(bytes, lead.start).is_some_and(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let groups = groups_of(bytes, &lead);
    for (place, first) in groups.iter().enumerate() {
        let mut digits: Vec<u32> = Vec::with_capacity(20);
        for group in groups.iter().skip(place) {
            digits.extend(
                bytes
                    .get(group.clone())?
                    .iter()
                    .map(|byte| u32::from(byte.wrapping_sub(b'0'))),
            );
            if digits.len() > 19 {
                break;
            }
            if is_card(&digits) {
                return Some(first.start..group.end);
            }
        }
    }
    None
}

fn groups_of(bytes: &[u8], lead: &Range<usize>) -> Vec<Range<usize>> {
    let mut groups = Vec::new();
    let mut at = lead.start;
    while at < lead.end {
        let end = run(bytes, at, |byte| byte.is_ascii_digit());
        if end > at {
            groups.push(at..end);
        }
        at = end.max(at) + 1;
    }
    groups
}

/// Lengths and leading digits that issuers use (ISO/IEC 7812 ranges of the large networks), and the Luhn sum.
fn is_card(digits: &[u32]) -> bool {
    let lead = |count: usize| {
        digits
            .iter()
            .take(count)
            .fold(0, |number, digit| number * 10 + digit)
    };
    let length = digits.len();
    let known = match length {
        13 | 19 => lead(1) == 4 || lead(1) == 6,
        14 => matches!(lead(2), 30 | 36 | 38 | 39),
        15 => matches!(lead(2), 34 | 37),
        16 => matches!(lead(1), 3..=6) || matches!(lead(4), 2221..=2720),
        17 | 18 => lead(1) == 6,
        _ => false,
    };
    known && luhn(digits)
}

fn track(text: &str, lead: Range<usize>) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let start = lead.start;
    let first = bytes.get(lead.end - 1) == Some(&b'^');
    let sentinel = if first {
        start.checked_sub(2)?
    } else {
        start.checked_sub(1)?
    };
    let opened = match bytes.get(sentinel..start)? {
        b"%B" | b"%b" => first,
        b";" => !first,
        _ => false,
    };
    let window = bytes.get(..bytes.len().min(lead.end + 96))?;
    let end = run(window, lead.end, |byte| {
        byte != b'?' && (0x20..0x7f).contains(&byte)
    });
    (opened && window.get(end) == Some(&b'?')).then_some(sentinel..end + 1)
}

/// Length by country (the IBAN registry).
const IBAN_LENGTHS: &[(&str, usize)] = &[
    ("AD", 24),
    ("AE", 23),
    ("AL", 28),
    ("AT", 20),
    ("AZ", 28),
    ("BA", 20),
    ("BE", 16),
    ("BG", 22),
    ("BH", 22),
    ("BR", 29),
    ("BY", 28),
    ("CH", 21),
    ("CR", 22),
    ("CY", 28),
    ("CZ", 24),
    ("DE", 22),
    ("DK", 18),
    ("DO", 28),
    ("EE", 20),
    ("EG", 29),
    ("ES", 24),
    ("FI", 18),
    ("FO", 18),
    ("FR", 27),
    ("GB", 22),
    ("GE", 22),
    ("GI", 23),
    ("GL", 18),
    ("GR", 27),
    ("GT", 28),
    ("HR", 21),
    ("HU", 28),
    ("IE", 22),
    ("IL", 23),
    ("IQ", 23),
    ("IS", 26),
    ("IT", 27),
    ("JO", 30),
    ("KW", 30),
    ("KZ", 20),
    ("LB", 28),
    ("LC", 32),
    ("LI", 21),
    ("LT", 20),
    ("LU", 20),
    ("LV", 21),
    ("LY", 25),
    ("MC", 27),
    ("MD", 24),
    ("ME", 22),
    ("MK", 19),
    ("MR", 27),
    ("MT", 31),
    ("MU", 30),
    ("NL", 18),
    ("NO", 15),
    ("PK", 24),
    ("PL", 28),
    ("PS", 29),
    ("PT", 25),
    ("QA", 29),
    ("RO", 24),
    ("RS", 22),
    ("SA", 24),
    ("SC", 31),
    ("SE", 24),
    ("SI", 19),
    ("SK", 24),
    ("SM", 27),
    ("ST", 25),
    ("SV", 28),
    ("TL", 23),
    ("TN", 24),
    ("TR", 26),
    ("UA", 29),
    ("VA", 22),
    ("VG", 24),
    ("XK", 20),
];

fn iban(text: &str, lead: Range<usize>) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let country = text.get(lead.start..lead.start + 2)?.to_ascii_uppercase();
    let length = IBAN_LENGTHS.iter().find(|(code, _)| *code == country)?.1;
    let mut taken = Vec::with_capacity(length);
    let mut at = lead.start;
    while taken.len() < length {
        let byte = *bytes.get(at)?;
        match byte {
            b' ' | b'-' if before(bytes, at) != Some(byte) => {}
            _ if byte.is_ascii_alphanumeric() => taken.push(byte.to_ascii_uppercase()),
            _ => return None,
        }
        at += 1;
    }
    (begins_word(bytes, lead.start) && ends_word(bytes, at) && mod_97(&taken) == 1)
        .then_some(lead.start..at)
}

/// ISO 13616: the first four characters go to the end, letters count from ten.
fn mod_97(account: &[u8]) -> u32 {
    let moved = account.iter().cycle().skip(4).take(account.len());
    moved.fold(0, |rest, byte| match byte.is_ascii_digit() {
        true => (rest * 10 + u32::from(byte - b'0')) % 97,
        false => (rest * 100 + u32::from(byte - b'A') + 10) % 97,
    })
}

fn bitcoin(text: &str, lead: Range<usize>) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let start = run_back(bytes, lead.start, 1, |byte| byte.is_ascii_alphanumeric());
    let address = text.get(lead.clone())?;
    let valid = if address.starts_with("bc1") {
        bech32(address)
    } else {
        base58_check(address)
    };
    (start == lead.start && ends_word(bytes, lead.end) && valid).then_some(lead)
}

/// Payload and the first four bytes of its double SHA-256.
fn base58_check(address: &str) -> bool {
    const ALPHABET: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let mut number = [0_u8; 25];
    for byte in address.bytes() {
        let Some(value) = ALPHABET.iter().position(|own| *own == byte) else {
            return false;
        };
        let mut carry = u32::try_from(value).unwrap_or(0);
        for digit in number.iter_mut().rev() {
            let sum = u32::from(*digit) * 58 + carry;
            [.., *digit] = sum.to_be_bytes();
            carry = sum >> 8;
        }
        if carry != 0 {
            return false;
        }
    }
    let (payload, sum) = number.split_at(21);
    digest(&SHA256, digest(&SHA256, payload).as_ref())
        .as_ref()
        .starts_with(sum)
}

/// BIP 173 and BIP 350.
fn bech32(address: &str) -> bool {
    const ALPHABET: &[u8] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    const GENERATOR: [u32; 5] = [
        0x3b6a_57b2,
        0x2650_8e6d,
        0x1ea1_19fa,
        0x3d42_33dd,
        0x2a14_62b3,
    ];
    let step = |sum: u32, value: u32| {
        let top = sum >> 25;
        let shifted = (sum & 0x01ff_ffff) << 5 ^ value;
        GENERATOR
            .iter()
            .enumerate()
            .filter(|(bit, _)| top >> bit & 1 == 1)
            .fold(shifted, |sum, (_, part)| sum ^ part)
    };
    // The human-readable part `bc`, expanded.
    let prefix = [3, 3, 0, 2, 3].into_iter().fold(1, step);
    let data = address.strip_prefix("bc1").unwrap_or_default();
    let mut sum = prefix;
    for byte in data.bytes() {
        let Some(value) = ALPHABET.iter().position(|own| *own == byte) else {
            return false;
        };
        sum = step(sum, u32::try_from(value).unwrap_or(0));
    }
    sum == 1 || sum == 0x2bc8_30a3
}
