//! What is sent, and what comes back: each kind of answer, each number of connections, each revision.

/// One kind of load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    pub(crate) connections: u32,
    pub(crate) kibibytes: u32,
    pub(crate) stream: bool,
    pub(crate) newest: bool,
}

/// All of them, or those whose name contains `wanted`.
pub(crate) fn all(wanted: Option<&str>) -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    for connections in [16, 1] {
        for newest in [false, true] {
            for kibibytes in [1, 64] {
                for stream in [false, true] {
                    scenarios.push(scenario(connections, newest, kibibytes, stream));
                }
            }
        }
    }
    scenarios.retain(|scenario| wanted.is_none_or(|text| scenario.name.contains(text)));
    scenarios
}

fn scenario(connections: u32, newest: bool, kibibytes: u32, stream: bool) -> Scenario {
    let revision = if newest { "2026-07-28" } else { "2025-11-25" };
    let form = if stream { "SSE" } else { "JSON" };
    let many = if connections == 1 {
        "1 connection".to_owned()
    } else {
        format!("{connections} connections")
    };
    Scenario {
        name: format!("{kibibytes} KiB {form}, {many}, {revision}"),
        connections,
        kibibytes,
        stream,
        newest,
    }
}

#[cfg(test)]
mod tests {
    use super::all;

    #[test]
    fn every_combination_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> = all(None)
            .into_iter()
            .map(|scenario| scenario.name)
            .collect();
        assert_eq!(names.len(), 16);
        assert_eq!(all(Some("64 KiB SSE, 1 connection, 2026")).len(), 1);
    }
}
