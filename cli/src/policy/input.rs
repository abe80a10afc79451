//! Which files, and which gateway in them.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use sallyport_crds::yaml::{self, Input, Loaded};
use sallyport_policy::bundle::{Bundle, BundleContent};
use sallyport_policy::compile::{self, Compiled};
use sallyport_policy::name::{GatewayName, Issuer};
use sallyport_policy::source::{GatewaySpec, Named, Sources};
use sallyport_sidecar::identity::local::LOCAL_ISSUER;

use crate::output::{Failure, say};

use super::problem::{Problem, Severity, counted, tell_all};

/// What places in standard input are called.
const STDIN: &str = "<stdin>";

/// The files that a command works on.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Files {
    /// Files or folders of YAML or JSON; `-` is standard input
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
}

/// Reads files; every mistake of all of them, or what they say.
pub(crate) fn read(files: &[PathBuf]) -> Result<Loaded, Vec<Problem>> {
    let inputs: Vec<Input> = files
        .iter()
        .map(|path| input(path))
        .collect::<Result<_, _>>()
        .map_err(|problem| vec![*problem])?;
    yaml::load(&inputs).map_err(|mistakes| mistakes.into_iter().map(Problem::read).collect())
}

/// Reads files for a command whose result is something else than their mistakes.
pub(crate) fn read_right(files: &[PathBuf]) -> Result<Loaded, Failure> {
    read(files).map_err(|problems| refused(&problems))
}

/// Tells the mistakes and gives the failure.
pub(crate) fn refused(problems: &[Problem]) -> Failure {
    tell_all(problems, |text| {
        say(text);
        Ok::<_, std::convert::Infallible>(())
    })
    .unwrap_or_else(|never| match never {});
    Failure::input(format!(
        "{} in the files",
        counted(problems.len(), "mistake")
    ))
}

fn input(path: &Path) -> Result<Input, Box<Problem>> {
    if path.as_os_str() != "-" {
        return Ok(Input::Path(path.to_owned()));
    }
    let mut text = String::new();
    match std::io::stdin().lock().read_to_string(&mut text) {
        Ok(_) => Ok(Input::Text {
            name: STDIN.to_owned(),
            text,
        }),
        Err(error) => Err(Box::new(Problem {
            place: None,
            severity: Severity::Error,
            object: None,
            path: String::new(),
            expected: "to read standard input".to_owned(),
            found: error.to_string(),
            hint: None,
        })),
    }
}

/// The sources with a gateway of defaults for each one that policies name and the files do not hold: policies are
/// often kept apart from gateways, and can be judged alone.
pub(crate) fn completed(sources: &Sources) -> (Sources, Vec<GatewayName>) {
    let mut whole = sources.clone();
    let mut added = Vec::new();
    for policy in &sources.policies {
        for target in &policy.spec.target_refs {
            let name = GatewayName {
                namespace: policy.namespace.clone(),
                name: target.name.clone(),
            };
            if whole.gateway(&name).is_none() {
                whole.gateways.push(Named {
                    namespace: name.namespace.clone(),
                    name: name.name.clone(),
                    spec: GatewaySpec::default(),
                });
                added.push(name);
            }
        }
    }
    (whole, added)
}

/// The gateway that is meant: the one that is named (`NAMESPACE/NAME`, or `NAME` where only one has it), or the only one.
pub(crate) fn choose(sources: &Sources, named: Option<&str>) -> Result<GatewayName, Failure> {
    let fits = |gateway: &GatewayName| match named {
        Some(text) if text.contains('/') => gateway.to_string() == text,
        Some(text) => gateway.name == text,
        None => true,
    };
    let all: Vec<GatewayName> = sources.gateways.iter().map(Named::gateway_name).collect();
    let mut fitting: Vec<&GatewayName> = all.iter().filter(|gateway| fits(gateway)).collect();
    let known = || {
        all.iter()
            .map(|gateway| format!("`{gateway}`"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    match (fitting.pop(), fitting.is_empty()) {
        (Some(one), true) => Ok(one.clone()),
        (Some(_), false) => Err(Failure::usage(format!(
            "several gateways fit; choose with --gateway one of {}",
            known()
        ))),
        (None, _) if all.is_empty() => Err(Failure::input(
            "no gateway in the files, and no policy that names one",
        )),
        (None, _) => Err(Failure::usage(format!(
            "no gateway `{}`; there is {}",
            named.unwrap_or_default(),
            known()
        ))),
    }
}

/// The gateway's policy, whole and without mistakes; what keeps it below a guardrail is told.
pub(crate) fn compiled(
    loaded: &Loaded,
    sources: &Sources,
    gateway: &GatewayName,
) -> Result<Compiled, Failure> {
    let located = |severity, mistakes: &[compile::Mistake]| -> Vec<Problem> {
        mistakes
            .iter()
            .map(|mistake| Problem::compiled(severity, mistake, &loaded.places))
            .collect()
    };
    let compiled = compile::compile(sources, gateway)
        .map_err(|mistakes| refused(&located(Severity::Error, &mistakes)))?;
    tell_all(&located(Severity::Warning, &compiled.below), |text| {
        say(text);
        Ok::<_, Failure>(())
    })?;
    Ok(compiled)
}

/// Ready to decide, with the standalone issuer standing in for the gateway's first as under `sallyport up`.
pub(crate) fn activated(content: BundleContent) -> Result<Bundle, Failure> {
    let bundle = Bundle::activate(content).map_err(|error| Failure::input(error.to_string()))?;
    Ok(bundle.with_standalone_issuer(Issuer::new(LOCAL_ISSUER)))
}
