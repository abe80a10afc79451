//! What the rules are made from. Facts that would make rules of no use are refused here, once.

/// Whose socket is whose, and which port is whose, in one pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    uids: Uids,
    ports: Ports,
}

/// The user ids that tell the pod's processes apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uids {
    /// Alone opens connections to the server, and alone sends from our ports.
    pub sidecar: u32,
    /// May dial what else listens in its pod, and nothing that is the server's.
    pub server: u32,
    /// Is captured like anybody else: it proves that anybody else is.
    pub validator: u32,
}

/// The TCP ports that mean something in the pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// Where the server listens.
    pub server: u16,
    /// Where the sidecar takes every connection to the pod.
    pub listener: u16,
    /// Where the sidecar answers the kubelet's probes.
    pub probes: u16,
    /// Where the sidecar gives its metrics.
    pub metrics: u16,
}

/// Why facts make no rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    #[error(
        "user id 0 is everybody's who may become root; give each of sidecar, server and validator another"
    )]
    Root,
    #[error(
        "user id `{0}` is given twice; sidecar, server and validator need one each, or rules cannot tell them apart"
    )]
    SameUid(u32),
    #[error("port 0 is no port")]
    NoPort,
    #[error("port `{0}` is given twice; the server must listen on none of the sidecar's ports")]
    SamePort(u16),
}

impl Facts {
    /// # Errors
    /// Facts by which the rules could not tell the server from the sidecar, or either from anybody.
    pub fn new(uids: Uids, ports: Ports) -> Result<Self, Unusable> {
        let Uids {
            sidecar,
            server,
            validator,
        } = uids;
        let Ports {
            server: port,
            listener,
            probes,
            metrics,
        } = ports;
        if [sidecar, server, validator].contains(&0) {
            return Err(Unusable::Root);
        }
        if let Some(twice) = twice(&[sidecar, server, validator]) {
            return Err(Unusable::SameUid(twice));
        }
        if [port, listener, probes, metrics].contains(&0) {
            return Err(Unusable::NoPort);
        }
        match twice(&[port, listener, probes, metrics]) {
            Some(twice) => Err(Unusable::SamePort(twice)),
            None => Ok(Self { uids, ports }),
        }
    }

    #[must_use]
    pub fn uids(&self) -> Uids {
        self.uids
    }

    #[must_use]
    pub fn ports(&self) -> Ports {
        self.ports
    }
}

/// The first value that stands twice in a list.
fn twice<T: Copy + PartialEq>(values: &[T]) -> Option<T> {
    let mut rest = values;
    while let Some((first, after)) = rest.split_first() {
        if after.contains(first) {
            return Some(*first);
        }
        rest = after;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const UIDS: Uids = Uids {
        sidecar: 60101,
        server: 10001,
        validator: 60102,
    };
    const PORTS: Ports = Ports {
        server: 8080,
        listener: 15101,
        probes: 15102,
        metrics: 15103,
    };

    #[test]
    fn facts_that_tell_nobody_apart_make_no_rules() {
        assert!(Facts::new(UIDS, PORTS).is_ok());
        let root = Uids { server: 0, ..UIDS };
        assert_eq!(Facts::new(root, PORTS), Err(Unusable::Root));
        let same = Uids {
            server: UIDS.sidecar,
            ..UIDS
        };
        assert_eq!(Facts::new(same, PORTS), Err(Unusable::SameUid(60101)));
        let taken = Ports {
            server: 15102,
            ..PORTS
        };
        assert_eq!(Facts::new(UIDS, taken), Err(Unusable::SamePort(15102)));
        let none = Ports { server: 0, ..PORTS };
        assert_eq!(Facts::new(UIDS, none), Err(Unusable::NoPort));
    }
}
