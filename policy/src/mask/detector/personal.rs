//! People: how to reach them, and the numbers that states give them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use super::chars::{before, begins_word, digits, ends_word, run, run_back};
use super::{Definition, Detector, Example, Find};

pub(super) const TABLE: &[Definition] = &[
    Definition {
        detector: Detector::BrazilCpf,
        description: "Brazilian taxpayer number (CPF) with valid check digits",
        examples: &[Example {
            text: "CPF 529.982.247-25",
            secret: "529.982.247-25",
        }],
        counter_examples: &["529.982.247-26", "111.111.111-11"],
        find: Find::Shape {
            shape: "[0-9]{3}[.][0-9]{3}[.][0-9]{3}-[0-9]{2}",
            check: cpf,
        },
    },
    Definition {
        detector: Detector::Email,
        description: "e-mail address",
        examples: &[
            Example {
                text: "write to ada.lovelace+x@example.com.",
                secret: "ada.lovelace+x@example.com",
            },
            Example {
                text: "<mailto:ada@mail.example.co.uk>",
                secret: "ada@mail.example.co.uk",
            },
        ],
        counter_examples: &[
            "@types/node@20.1.0",
            "git@github.com:org/repo",
            "redacted@example.invalid",
            "a @ b.com",
        ],
        find: Find::Words {
            words: &["@"],
            check: email,
        },
    },
    Definition {
        detector: Detector::IndiaAadhaar,
        description: "Indian Aadhaar number, grouped, with a valid check digit",
        examples: &[Example {
            text: "Aadhaar 2341 2341 2346",
            secret: "2341 2341 2346",
        }],
        counter_examples: &["2341 2341 2345", "1234 1234 1234", "4111 1111 1111 1111"],
        find: Find::Shape {
            shape: "[2-9][0-9]{3}[ -][0-9]{4}[ -][0-9]{4}",
            check: aadhaar,
        },
    },
    Definition {
        detector: Detector::IpAddress,
        description: "IPv4 or IPv6 address other than loopback and unspecified",
        examples: &[
            Example {
                text: "from 203.0.113.7:443",
                secret: "203.0.113.7",
            },
            Example {
                text: "[2001:db8::1]",
                secret: "2001:db8::1",
            },
        ],
        counter_examples: &[
            "127.0.0.1",
            "0.0.0.0",
            "version 1.2.3.4.5",
            "300.1.1.1",
            "12:30:45",
            "std::a::b",
            "::1",
        ],
        find: Find::Shape {
            shape: "[0-9]{1,3}(?:[.][0-9]{1,3}){3}|[0-9A-Fa-f]{0,4}:(?:[0-9A-Fa-f]{0,4}:){1,7}",
            check: ip,
        },
    },
    Definition {
        detector: Detector::MacAddress,
        description: "hardware address of a network interface",
        examples: &[Example {
            text: "ether 02:42:ac:11:00:02 up",
            secret: "02:42:ac:11:00:02",
        }],
        counter_examples: &[
            "02:42:ac:11:00",
            "00:00:00:00:00:00",
            "02:42:ac:11:00:02:33",
        ],
        find: Find::Shape {
            shape: "[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}",
            check: mac,
        },
    },
    Definition {
        detector: Detector::Phone,
        description: "telephone number: international with +, or North American",
        examples: &[
            Example {
                text: "call +44 20 7946 0958 today",
                secret: "+44 20 7946 0958",
            },
            Example {
                text: "(415) 555-0132",
                secret: "(415) 555-0132",
            },
        ],
        counter_examples: &["2026-11-23", "+1", "1 + 2345678", "123-456-7890"],
        find: Find::Shape {
            shape: "[+][0-9](?:[ .()-]{0,3}[0-9]){6,14}|[(]?[2-9][0-9]{2}[)]?[ .-]{1,2}[2-9][0-9]{2}[ .-][0-9]{4}",
            check: phone,
        },
    },
    Definition {
        detector: Detector::UkNationalInsurance,
        description: "UK National Insurance number",
        examples: &[Example {
            text: "NI AB 12 34 56 C",
            secret: "AB 12 34 56 C",
        }],
        counter_examples: &["BG 12 34 56 C", "AB123456E", "DQ123456A"],
        find: Find::Shape {
            shape: "[A-Za-z]{2} ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-Da-d]",
            check: national_insurance,
        },
    },
    Definition {
        detector: Detector::UsSocialSecurity,
        description: "US social security number, written with separators",
        examples: &[Example {
            text: "SSN 123-45-6789",
            secret: "123-45-6789",
        }],
        counter_examples: &[
            "000-45-6789",
            "666-45-6789",
            "900-45-6789",
            "123-00-6789",
            "123-45-0000",
            "123456789",
        ],
        find: Find::Shape {
            shape: "[0-9]{3}[ -][0-9]{2}[ -][0-9]{4}",
            check: social_security,
        },
    },
];

fn email(text: &str, lead: Range<usize>) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let start = run_back(bytes, lead.start, 64, |byte| {
        byte.is_ascii_alphanumeric() || byte >= 0x80 || b"._%+-!#$&*=^~".contains(&byte)
    });
    let start = (start..lead.start)
        .find(|at| text.is_char_boundary(*at) && bytes.get(*at) != Some(&b'.'))?;
    let window = bytes
        .get(..bytes.len().min(lead.end + 255))
        .unwrap_or_default();
    let end = run(window, lead.end, |byte| {
        byte.is_ascii_alphanumeric() || byte >= 0x80 || matches!(byte, b'.' | b'-')
    });
    let end = run_back(bytes, end, 255, |byte| matches!(byte, b'.' | b'-'));
    let end = (lead.end..=end)
        .rev()
        .find(|at| text.is_char_boundary(*at))?;
    let domain = text.get(lead.end..end)?;
    let (_, top) = domain.rsplit_once('.')?;
    let local = text.get(start..lead.start)?;
    // `invalid` is reserved for names that never exist (RFC 2606), our own substitutes among them.
    let meant =
        top.chars().count() >= 2 && !top.chars().any(|c| c.is_ascii_digit()) && top != "invalid";
    (meant && local != "git" && !domain.contains("..")).then_some(start..end)
}

fn ip(text: &str, lead: Range<usize>) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let six = bytes.get(lead.clone())?.contains(&b':');
    let of_address = |byte: u8| {
        byte.is_ascii_digit() || byte == b'.' || six && (byte.is_ascii_hexdigit() || byte == b':')
    };
    let start = run_back(bytes, lead.start, 40, of_address);
    let window = bytes.get(..bytes.len().min(lead.start + 64))?;
    let end = run(window, lead.start, of_address);
    let end = run_back(bytes, end, 1, |byte| byte == b'.');
    let address: IpAddr = match six {
        false => text.get(start..end)?.parse::<Ipv4Addr>().ok()?.into(),
        true => text.get(start..end)?.parse::<Ipv6Addr>().ok()?.into(),
    };
    let groups = text
        .get(start..end)?
        .split(':')
        .filter(|group| !group.is_empty())
        .count();
    // `a::b` is a path in several languages; an address of two groups has a digit.
    let path = six && groups < 3 && !bytes.get(start..end)?.iter().any(u8::is_ascii_digit);
    let told = !(address.is_loopback() || address.is_unspecified() || path);
    (told && begins_word(bytes, start) && ends_word(bytes, end)).then_some(start..end)
}

fn mac(text: &str, lead: Range<usize>) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let joins = |byte: Option<u8>| {
        byte.is_some_and(|byte| matches!(byte, b':' | b'-') || byte.is_ascii_alphanumeric())
    };
    let alone = !joins(before(bytes, lead.start)) && !joins(bytes.get(lead.end).copied());
    let zero = text
        .get(lead.clone())?
        .bytes()
        .all(|byte| matches!(byte, b'0' | b':' | b'-'));
    (alone && !zero).then_some(lead)
}

fn phone(text: &str, lead: Range<usize>) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let count = digits(text.get(lead.clone())?).len();
    let next = bytes.get(lead.end).is_some_and(u8::is_ascii_digit);
    let behind = before(bytes, lead.start)
        .is_some_and(|byte| byte.is_ascii_alphanumeric() || b"-+.".contains(&byte));
    ((8..=15).contains(&count) && !next && !behind).then_some(lead)
}

fn alone(text: &str, range: &Range<usize>) -> bool {
    let bytes = text.as_bytes();
    let grouped = |byte: u8| matches!(byte, b'-' | b'.');
    let digit = |at: Option<usize>| {
        at.and_then(|at| bytes.get(at))
            .is_some_and(u8::is_ascii_digit)
    };
    let left = before(bytes, range.start).is_some_and(grouped) && digit(range.start.checked_sub(2));
    let right =
        bytes.get(range.end).copied().is_some_and(grouped) && digit(range.end.checked_add(1));
    begins_word(bytes, range.start) && ends_word(bytes, range.end) && !left && !right
}

fn social_security(text: &str, lead: Range<usize>) -> Option<Range<usize>> {
    let number = text.get(lead.clone())?;
    let (area, rest) = number.split_at_checked(3)?;
    let group = rest.get(1..3)?;
    let serial = rest.get(4..)?;
    let issued = area != "000"
        && area != "666"
        && !area.starts_with('9')
        && group != "00"
        && serial != "0000";
    (issued && alone(text, &lead)).then_some(lead)
}

fn national_insurance(text: &str, lead: Range<usize>) -> Option<Range<usize>> {
    let number = text.get(lead.clone())?.to_ascii_uppercase();
    let mut letters = number.chars();
    let (first, second) = (letters.next()?, letters.next()?);
    let never = ["BG", "GB", "NK", "KN", "TN", "NT", "ZZ"]
        .iter()
        .any(|pair| number.starts_with(pair));
    let valid = !"DFIQUV".contains(first) && !"DFIOQUV".contains(second) && !never;
    (valid && alone(text, &lead)).then_some(lead)
}

fn cpf(text: &str, lead: Range<usize>) -> Option<Range<usize>> {
    let number = digits(text.get(lead.clone())?);
    let check = |count: usize| {
        let weights = (2..).take(count).collect::<Vec<u32>>();
        let sum: u32 = number
            .iter()
            .take(count)
            .zip(weights.iter().rev())
            .map(|(digit, weight)| digit * weight)
            .sum();
        number.get(count) == Some(&(sum * 10 % 11 % 10))
    };
    let varied = number.iter().any(|digit| Some(digit) != number.first());
    (varied && check(9) && check(10) && alone(text, &lead)).then_some(lead)
}

/// The Verhoeff check: multiplication in the dihedral group of order ten.
fn aadhaar(text: &str, lead: Range<usize>) -> Option<Range<usize>> {
    const PERMUTATION: [u32; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let permuted = |digit: u32, times: usize| {
        (0..times % 8).fold(digit, |value, _| {
            usize::try_from(value)
                .ok()
                .and_then(|value| PERMUTATION.get(value))
                .copied()
                .unwrap_or(value)
        })
    };
    let number = digits(text.get(lead.clone())?);
    let sum = number
        .iter()
        .rev()
        .enumerate()
        .fold(0, |sum, (place, digit)| {
            dihedral(sum, permuted(*digit, place))
        });
    let bytes = text.as_bytes();
    let digit = |at: Option<usize>| {
        at.and_then(|at| bytes.get(at))
            .is_some_and(u8::is_ascii_digit)
    };
    let grouped = digit(lead.start.checked_sub(2)) || digit(lead.end.checked_add(1));
    (sum == 0 && !grouped && alone(text, &lead)).then_some(lead)
}

/// Rotations are 0 to 4, reflections 5 to 9.
fn dihedral(a: u32, b: u32) -> u32 {
    match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => (a + b - 5) % 5 + 5,
        (false, true) => (a - 5 + 5 - b) % 5 + 5,
        (false, false) => (a + 5 - b) % 5,
    }
}
