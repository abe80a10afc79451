//! From arguments to what the process needs, with everything read that will be needed: a pod that cannot work should
//! say all of why at once, before it serves.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::Uri;
use sallyport_policy::name::GatewayName;
use sallyport_sidecar::bundle::Demand;
use sallyport_sidecar::credential::{Credential, HeaderCredential, Secret};
use sallyport_sidecar::pod::probes::{Endpoint, Probes};
use sallyport_sidecar::run::Target;
use sallyport_sidecar::tls::{ListenerTls, TlsFiles};
use tracing_subscriber::filter::Targets;

use crate::args::Args;

/// What the process does.
pub(crate) struct Config {
    pub(crate) bundle: PathBuf,
    pub(crate) demand: Demand,
    pub(crate) minimum_generation: u64,
    /// Where the operator is, and the file of the token to show there.
    pub(crate) control: Option<(String, PathBuf)>,
    pub(crate) listen: SocketAddr,
    pub(crate) admin: Option<SocketAddr>,
    pub(crate) probes: Option<(SocketAddr, Probes)>,
    pub(crate) proof: Option<Proof>,
    pub(crate) state: PathBuf,
    /// Most bytes of recordings.
    pub(crate) recordings: Option<u64>,
    pub(crate) path: String,
    pub(crate) target: Target,
    pub(crate) credentials: Vec<Credential>,
    pub(crate) tls: Option<Arc<ListenerTls>>,
    /// PEM text.
    pub(crate) ca: Option<Vec<u8>>,
    pub(crate) log: Targets,
}

/// Where the validator reports, and as whom.
pub(crate) struct Proof {
    pub(crate) socket: PathBuf,
    pub(crate) validator: u32,
}

impl Config {
    /// Makes sense of the arguments, or tells every mistake in them.
    #[expect(clippy::too_many_lines, reason = "a line or two for each flag")]
    pub(crate) fn of(args: Args) -> Result<Self, Vec<String>> {
        let Args {
            bundle,
            root_key,
            gateway,
            gateway_uid,
            minimum_generation,
            control,
            control_token,
            listen,
            admin,
            probes,
            recorded,
            proof,
            validator_uid,
            state,
            recordings,
            path,
            upstream,
            sse,
            credentials,
            prefixes,
            tls_cert,
            tls_key,
            ca,
            log,
            command,
        } = args;
        let mut mistakes = Mistakes::default();
        let credentials = mistakes.take_all(read_credentials(&credentials, &prefixes));
        let bundle = mistakes.needed("--bundle DIR", bundle);
        let state = mistakes.needed("--state DIR", state);
        let demand = mistakes.demand(root_key.as_deref(), gateway.as_deref(), gateway_uid);
        let listen = mistakes.given("--listen ADDR", listen.as_deref(), address);
        let admin = mistakes.take(admin.as_deref().map(|text| address("--admin", text)));
        let generation = mistakes.take(Some(number("--minimum-generation", &minimum_generation)));
        let recordings = mistakes.take(
            recordings
                .as_deref()
                .map(|text| number("--recordings", text)),
        );
        let path = mistakes.take(Some(path_of(path)));
        let target = mistakes.take(Some(target(upstream.as_deref(), sse, &command)));
        let probes = mistakes.take_all(probes_of(
            probes.as_deref(),
            &recorded,
            target.as_ref(),
            path.as_deref(),
        ));
        let proof = proof.map(|socket| Proof {
            socket,
            validator: validator_uid,
        });
        let tls = mistakes.take(tls_of(tls_cert, tls_key));
        let ca = mistakes.take(ca.map(|file| readable("--ca", &file)));
        let log = mistakes.take(Some(levels(&log)));
        let whole = || {
            Some(Self {
                bundle: bundle?,
                demand: demand?,
                minimum_generation: generation?,
                control: control.zip(control_token),
                listen: listen?,
                admin,
                probes: probes?,
                proof,
                state: state?,
                recordings,
                path: path?,
                target: target?,
                credentials: credentials?,
                tls,
                ca,
                log: log?,
            })
        };
        mistakes.unless_none(whole())
    }
}

/// Mistakes as they are found.
#[derive(Default)]
struct Mistakes(Vec<String>);

impl Mistakes {
    fn take<T>(&mut self, read: Option<Result<T, String>>) -> Option<T> {
        read?.map_err(|mistake| self.0.push(mistake)).ok()
    }

    fn take_all<T>(&mut self, read: Result<T, Vec<String>>) -> Option<T> {
        read.map_err(|mistakes| self.0.extend(mistakes)).ok()
    }

    fn needed<T>(&mut self, usage: &str, value: Option<T>) -> Option<T> {
        if value.is_none() {
            self.0.push(format!("`{usage}` is missing"));
        }
        value
    }

    /// A needed argument with its reader, which is told the flag's name.
    fn given<T>(
        &mut self,
        usage: &str,
        text: Option<&str>,
        read: impl FnOnce(&str, &str) -> Result<T, String>,
    ) -> Option<T> {
        let flag = usage.split(' ').next().unwrap_or(usage);
        let read = self.needed(usage, text).map(|text| read(flag, text));
        self.take(read)
    }

    fn demand(
        &mut self,
        root_key: Option<&str>,
        gateway: Option<&str>,
        uid: Option<String>,
    ) -> Option<Demand> {
        let root = self.given("--root-key FILE|HEX", root_key, root_key_of);
        let gateway = self.given("--gateway NAMESPACE/NAME", gateway, gateway_of);
        let uid = self.needed("--gateway-uid UID", uid.filter(|uid| !uid.is_empty()));
        Some(Demand {
            root: root?,
            gateway: gateway?,
            uid: uid?,
        })
    }

    fn unless_none<T>(self, whole: Option<T>) -> Result<T, Vec<String>> {
        match whole {
            Some(whole) if self.0.is_empty() => Ok(whole),
            Some(_) | None => Err(self.0),
        }
    }
}

fn root_key_of(flag: &str, text: &str) -> Result<[u8; 32], String> {
    let mut key = [0; 32];
    if hex::decode_to_slice(text, &mut key).is_ok() {
        return Ok(key);
    }
    let file = readable(flag, Path::new(text)).map_err(|mistake| {
        format!("{mistake}; expected 64 hex digits, or a file that holds them")
    })?;
    hex::decode_to_slice(file.trim_ascii(), &mut key)
        .map(|()| key)
        .map_err(|_| format!("{flag}: `{text}` does not hold 64 hex digits"))
}

fn gateway_of(flag: &str, text: &str) -> Result<GatewayName, String> {
    match text.split_once('/') {
        Some((namespace, name))
            if !namespace.is_empty() && !name.is_empty() && !name.contains('/') =>
        {
            Ok(GatewayName {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            })
        }
        Some(_) | None => Err(format!(
            "{flag}: `{text}` is not a gateway; expected NAMESPACE/NAME"
        )),
    }
}

fn address(flag: &str, text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!(
            "{flag}: `{text}` is not an address; expected one such as 0.0.0.0:8080 or [::]:8080"
        )
    })
}

fn number(flag: &str, text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| format!("{flag}: `{text}` is not a whole number"))
}

fn path_of(path: String) -> Result<String, String> {
    if path.starts_with('/') && path.parse::<Uri>().is_ok_and(|uri| uri.query().is_none()) {
        Ok(path)
    } else {
        Err(format!(
            "--path: `{path}` is not a path; expected one such as /mcp"
        ))
    }
}

fn target(upstream: Option<&str>, sse: bool, command: &[String]) -> Result<Target, String> {
    match (upstream, command.split_first()) {
        (Some(_), Some(_)) => {
            Err("name one server: `--upstream URL`, or a command after `--`".into())
        }
        (None, None) => Err("name the server: `--upstream URL`, or its command after `--`".into()),
        (None, Some(_)) if sse => Err("--sse: goes with `--upstream URL` only".into()),
        (None, Some((program, arguments))) => Ok(Target::Stdio {
            program: program.clone(),
            arguments: arguments.to_vec(),
            hidden: Vec::new(),
        }),
        (Some(text), None) => {
            let uri: Option<Uri> = text.parse().ok();
            let whole = uri.filter(|uri| {
                matches!(uri.scheme_str(), Some("http" | "https")) && uri.authority().is_some()
            });
            let uri = whole.ok_or_else(|| {
                format!("--upstream: `{text}` is not a URL such as http://127.0.0.1:8080/mcp")
            })?;
            Ok(if sse {
                Target::Sse(uri)
            } else {
                Target::Http(uri)
            })
        }
    }
}

/// Nothing without an address; then no probe may be recorded either.
fn probes_of(
    listen: Option<&str>,
    recorded: &[String],
    target: Option<&Target>,
    path: Option<&str>,
) -> Result<Option<(SocketAddr, Probes)>, Vec<String>> {
    let Some(listen) = listen else {
        return if recorded.is_empty() {
            Ok(None)
        } else {
            Err(vec!["--probe: needs `--probes ADDR` too".into()])
        };
    };
    let server = match target {
        Some(Target::Http(uri) | Target::Sse(uri)) => Some(uri),
        Some(Target::Stdio { .. }) | None => None,
    };
    let mcp = Endpoint {
        port: server.and_then(Uri::port_u16),
        path: server.map(Uri::path).or(path).unwrap_or("/"),
    };
    match (address("--probes", listen), Probes::read(recorded, mcp)) {
        (Ok(address), Ok(probes)) => Ok(Some((address, probes))),
        (address, probes) => {
            let mut mistakes = probes.err().unwrap_or_default();
            mistakes.extend(address.err());
            Err(mistakes)
        }
    }
}

fn tls_of(
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
) -> Option<Result<Arc<ListenerTls>, String>> {
    match (certificate, key) {
        (None, None) => None,
        (Some(certificate), Some(key)) => Some(
            ListenerTls::load(TlsFiles { certificate, key })
                .map(Arc::new)
                .map_err(|error| error.to_string()),
        ),
        (Some(_), None) => Some(Err("--tls-cert: needs `--tls-key FILE` too".into())),
        (None, Some(_)) => Some(Err("--tls-key: needs `--tls-cert FILE` too".into())),
    }
}

fn levels(text: &str) -> Result<Targets, String> {
    text.parse().map_err(|_| {
        format!(
            "--log: `{text}` is not understood; expected a level such as info, or `target=level`"
        )
    })
}

fn readable(flag: &str, file: &Path) -> Result<Vec<u8>, String> {
    fs::read(file).map_err(|error| format!("{flag}: `{}`: {error}", file.display()))
}

fn read_credentials(given: &[String], prefixes: &[String]) -> Result<Vec<Credential>, Vec<String>> {
    let (mut credentials, mut mistakes) = (Vec::new(), Vec::new());
    let mut before = BTreeMap::new();
    for text in prefixes {
        match text.split_once('=') {
            Some((name, prefix)) => drop(before.insert(name, prefix)),
            None => mistakes.push(format!("--credential-prefix: `{text}`: expected NAME=TEXT")),
        }
    }
    for text in given {
        match credential(text, &mut before) {
            Ok(credential) => credentials.push(credential),
            Err(mistake) => mistakes.push(mistake),
        }
    }
    let idle = before.keys();
    mistakes
        .extend(idle.map(|name| format!("--credential-prefix: no credential `{name}` is given")));
    if mistakes.is_empty() {
        Ok(credentials)
    } else {
        Err(mistakes)
    }
}

fn credential(text: &str, before: &mut BTreeMap<&str, &str>) -> Result<Credential, String> {
    // The text is not repeated where it may hold a value that does not belong here.
    let wrong = || "--credential: expected header:NAME=FILE or env:NAME=FILE".to_owned();
    let (kind, rest) = text.split_once(':').ok_or_else(wrong)?;
    let (name, file) = rest.split_once('=').ok_or_else(wrong)?;
    let prefix = before.remove(name).unwrap_or_default();
    let secret = secret(name, Path::new(file))?;
    match kind {
        "header" => HeaderCredential::new(name, prefix, secret)
            .map(Credential::Header)
            .map_err(|error| format!("--credential: {error}")),
        "env" => Ok(Credential::Env {
            name: name.to_owned(),
            secret: Secret::new(format!("{prefix}{}", secret.reveal())),
        }),
        _ => Err(wrong()),
    }
}

fn secret(name: &str, file: &Path) -> Result<Secret, String> {
    let wrong = |why: &str| format!("--credential: the file of `{name}` {why}");
    let text =
        fs::read_to_string(file).map_err(|error| wrong(&format!("cannot be read: {error}")))?;
    let text = zeroize::Zeroizing::new(text);
    match text.trim_end_matches(['\n', '\r']) {
        "" => Err(wrong("is empty")),
        value => Ok(Secret::new(value)),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn args(arguments: &[&str]) -> Args {
        let all = std::iter::once("sallyport-sidecar").chain(arguments.iter().copied());
        Args::try_parse_from(all).unwrap()
    }

    fn read(arguments: &[&str]) -> Result<Config, Vec<String>> {
        Config::of(args(arguments))
    }

    const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    fn good() -> Vec<&'static str> {
        vec![
            "--bundle",
            "/b",
            "--state",
            "/s",
            "--root-key",
            KEY,
            "--gateway",
            "shop/inventory",
            "--gateway-uid",
            "u1",
            "--listen",
            "127.0.0.1:0",
            "--upstream",
            "http://127.0.0.1:1/mcp",
        ]
    }

    #[test]
    fn whole_arguments_are_understood() {
        let config = read(&good()).ok().unwrap();
        assert_eq!(config.demand.gateway.to_string(), "shop/inventory");
        assert_eq!(config.demand.root[31], 0x1f);
        assert_eq!(config.path, "/mcp");
        assert!(matches!(config.target, Target::Http(_)));
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let told = read(&[
            "--root-key",
            "/nowhere",
            "--gateway",
            "inventory",
            "--listen",
            "8080",
            "--path",
            "mcp",
            "--minimum-generation",
            "seven",
            "--tls-key",
            "k.pem",
            "--log",
            "x=loud",
            "--credential",
            "header:Authorization",
            "--credential-prefix",
            "X=y",
        ])
        .err()
        .unwrap();
        let parts = [
            "--bundle",
            "--state",
            "--root-key",
            "--gateway:",
            "--gateway-uid",
            "--listen",
            "--path",
            "--minimum-generation",
            "--tls-key",
            "--log",
            "--credential:",
            "--credential-prefix",
            "name the server",
        ];
        for part in parts {
            assert!(
                told.iter().any(|line| line.contains(part)),
                "{part}: {told:#?}"
            );
        }
        assert_eq!(told.len(), parts.len(), "{told:#?}");
    }

    #[test]
    fn a_credential_comes_from_its_file_and_its_value_is_never_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        fs::write(&file, "s3cret\nvalue\n").unwrap();
        let flag = format!("header:Authorization={}", file.display());
        let mut arguments = good();
        arguments.extend([
            "--credential",
            &flag,
            "--credential-prefix",
            "Authorization=Bearer ",
        ]);
        let told = read(&arguments).err().unwrap().join("\n");
        assert!(
            told.contains("`Authorization`") && !told.contains("s3cret"),
            "{told}"
        );
        fs::write(&file, "s3cret\n").unwrap();
        let config = read(&arguments).ok().unwrap();
        let [credential] = &config.credentials[..] else {
            panic!("one credential is given");
        };
        assert_eq!(credential.secret().reveal(), "s3cret");
        assert!(!format!("{credential:?}").contains("s3cret"));
    }
}
