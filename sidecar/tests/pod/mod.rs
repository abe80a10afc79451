//! A pod in miniature: the real binary, a volume as the kubelet writes it, an operator's keys, an issuer, and a tiny
//! MCP server behind.

mod operator;
mod process;
mod server;
mod volume;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sallyport_policy::time::UnixMillis;

pub use operator::{Operator, Policy, token};
pub use process::Sidecar;
pub use server::Server;
pub use volume::Volume;

/// What a pod has before its first container starts.
pub struct Pod {
    pub operator: Operator,
    pub volume: Volume,
    pub state: tempfile::TempDir,
    pub server: Server,
}

impl Pod {
    pub async fn new() -> Self {
        Self {
            operator: Operator::new(),
            volume: Volume::new(),
            state: tempfile::tempdir().unwrap(),
            server: Server::start().await,
        }
    }

    /// Publishes a policy of the usual pattern.
    pub fn publish(&self, policy: &Policy) {
        self.volume
            .publish(&self.operator.sign(policy), policy.generation);
    }

    pub fn start(&self) -> Sidecar {
        Sidecar::start(self)
    }

    /// The arguments that injection would write.
    pub fn arguments(&self) -> Vec<String> {
        let path = |path: &std::path::Path| path.display().to_string();
        let pairs = [
            ("--bundle", path(self.volume.path())),
            ("--root-key", self.operator.root_key()),
            ("--gateway", "shop/inventory".to_owned()),
            ("--gateway-uid", "u1".to_owned()),
            ("--listen", "127.0.0.1:0".to_owned()),
            ("--admin", "127.0.0.1:0".to_owned()),
            ("--state", path(self.state.path())),
            ("--upstream", self.server.url()),
        ];
        pairs
            .into_iter()
            .flat_map(|(flag, value)| [flag.to_owned(), value])
            .collect()
    }
}

pub fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    UnixMillis(i64::try_from(since.as_millis()).unwrap())
}

/// Asks again and again; the time it took, or nothing if it took longer than `most`.
pub async fn within(most: Duration, mut asked: impl AsyncFnMut() -> bool) -> Option<Duration> {
    let start = Instant::now();
    loop {
        if asked().await {
            return Some(start.elapsed());
        }
        if start.elapsed() > most {
            return None;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
