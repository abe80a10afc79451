//! The operator `Within`: addresses in networks, paths under prefixes. A path is normalised by names alone;
//! symbolic links are the server's and cannot be seen from here.

use std::net::IpAddr;

use ipnet::IpNet;

/// An address as policy sees it: IPv4 wrapped in IPv6 is IPv4, or a list of networks would miss it.
#[must_use]
pub fn canonical_address(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// A network or a single address.
#[must_use]
pub fn network(text: &str) -> Option<IpNet> {
    text.parse::<IpNet>().ok().or_else(|| {
        text.parse::<IpAddr>()
            .ok()
            .map(|address| IpNet::from(address.to_canonical()))
    })
}

/// A path of names after its root; `root` is empty for a relative path, `/`, or a URI's scheme and authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlainPath {
    root: String,
    names: Vec<String>,
}

impl PlainPath {
    /// None for what two programs could resolve differently: a step above the root, backslashes, controls,
    /// encoded dots and slashes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty()
            || text.starts_with('~')
            || text.chars().any(|c| c == '\\' || c.is_control())
        {
            return None;
        }
        let lower = text.to_ascii_lowercase();
        if ["%2e", "%2f", "%5c", "%00", "%25"]
            .iter()
            .any(|hidden| lower.contains(hidden))
        {
            return None;
        }
        let (root, rest) = split_root(text);
        let mut names: Vec<String> = Vec::new();
        for name in rest.split('/') {
            match name {
                "" | "." => {}
                ".." => {
                    names.pop()?;
                }
                _ => names.push(name.to_owned()),
            }
        }
        Some(Self {
            root: root.to_owned(),
            names,
        })
    }

    /// Whether this path is `prefix` or lies under it.
    #[must_use]
    pub fn is_within(&self, prefix: &Self) -> bool {
        self.root == prefix.root && self.names.starts_with(&prefix.names)
    }
}

fn split_root(text: &str) -> (&str, &str) {
    if let Some(scheme) = text.find("://") {
        let authority = scheme.saturating_add(3);
        let end = text
            .get(authority..)
            .and_then(|rest| rest.find('/'))
            .map_or(text.len(), |slash| authority.saturating_add(slash));
        return text.split_at(end);
    }
    match text.strip_prefix('/') {
        Some(rest) => ("/", rest),
        None => ("", text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn within_compares_whole_names_of_normalised_paths() {
        let rows = [
            ("/srv/data", "/srv/data/x", Some(true)),
            ("/srv/data/", "/srv/data", Some(true)),
            ("/srv/data", "/srv/database", Some(false)),
            ("/srv/data", "/srv/data/../etc", Some(false)),
            ("/srv/data", "/srv//data/./x", Some(true)),
            ("/srv/data", "srv/data/x", Some(false)),
            ("data", "data/x", Some(true)),
            ("data", "../data/x", None),
            ("/srv", "/../srv/x", None),
            ("/srv", "/srv/%2e%2e/etc", None),
            ("/srv", "/srv\\..\\etc", None),
            ("/srv", "~/srv", None),
            ("file:///srv", "file:///srv/x", Some(true)),
            ("file:///srv", "file://host/srv/x", Some(false)),
        ];
        for (prefix, path, expected) in rows {
            let prefix = PlainPath::parse(prefix).unwrap();
            let found = PlainPath::parse(path).map(|path| path.is_within(&prefix));
            assert_eq!(found, expected, "{path} in {prefix:?}");
        }
    }

    #[test]
    fn a_wrapped_ipv4_address_is_in_its_ipv4_network() {
        let wrapped: IpAddr = "::ffff:10.1.2.3".parse().unwrap();
        assert!(
            network("10.0.0.0/8")
                .unwrap()
                .contains(&canonical_address(wrapped))
        );
        assert!(
            network("10.1.2.3")
                .unwrap()
                .contains(&canonical_address(wrapped))
        );
        assert_eq!(network("10.0.0"), None);
    }
}
