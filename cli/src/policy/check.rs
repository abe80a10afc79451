//! `policy check`: everything that is wrong in the files, at once.
//!
//! Policies are compiled even where their gateway is in another file, and guardrails even where no gateway is under
//! them: a repository may keep each with another team.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use sallyport_crds::yaml::Loaded;
use sallyport_policy::bundle::Bundle;
use sallyport_policy::compile::{self, Compiled};
use sallyport_policy::name::GatewayName;
use sallyport_policy::source::{GatewaySpec, Named, Sources};
use serde::Serialize;
use serde_json::Value;

use crate::output::{Failure, Format, put, put_value};

use super::input::{self, Files};
use super::problem::{Problem, Severity, counted, tell_all};
use super::schemas;

/// Read and compile files, and tell every mistake in them.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Exit codes: 0 the files are right, warnings are told; 3 there are mistakes"
)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    files: Files,
    /// What the tools answer: `pins.json` of a state folder, or a result of `tools/list` as JSON. Warns of fields that
    /// their output schemas leave no mask for; may be repeated
    #[arg(long = "schema", value_name = "FILE")]
    schemas: Vec<PathBuf>,
    /// How the findings are printed
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// All that was found, in the order of the files.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Findings {
    pub(crate) mistakes: Vec<Problem>,
    pub(crate) warnings: Vec<Problem>,
    /// What was passed over, with its place.
    pub(crate) notes: Vec<String>,
    pub(crate) gateways: Vec<Summary>,
    pub(crate) policies: usize,
    pub(crate) guardrails: usize,
}

/// One gateway that compiles.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Summary {
    pub(crate) gateway: String,
    /// What `up` says when this policy is in force.
    pub(crate) revision: String,
    pub(crate) rules: usize,
}

pub(crate) fn run(args: &CheckArgs) -> Result<ExitCode, Failure> {
    let known = schemas::read(&args.schemas)?;
    let findings = match input::read(&args.files.files) {
        Ok(loaded) => examine(&loaded, &known),
        Err(mistakes) => Findings {
            mistakes,
            ..Findings::default()
        },
    };
    match args.output {
        Format::Table => tell(&findings)?,
        Format::Json | Format::Yaml => put_value(&findings, args.output)?,
    }
    Ok(if findings.mistakes.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(3)
    })
}

/// Compiles everything that the files hold.
pub(crate) fn examine(loaded: &Loaded, known: &[(String, Value)]) -> Findings {
    let sources = &loaded.sources;
    let mut found = Found::default();
    for gateway in sources.gateways.iter().map(Named::gateway_name) {
        found.add_gateway(loaded, sources, &gateway);
        found.warn(loaded, &compile::unmaskable(sources, &gateway, known));
    }
    let (whole, added) = input::completed(sources);
    for gateway in added {
        found.add_policies_of(loaded, &whole, &gateway);
        found.warn(loaded, &compile::unmaskable(&whole, &gateway, known));
    }
    found.add_guardrails(loaded);
    found.warn(loaded, &compile::orphans(sources));
    Findings {
        mistakes: found.mistakes.into_iter().collect(),
        warnings: found.warnings.into_iter().collect(),
        notes: loaded
            .notes
            .iter()
            .map(|note| format!("{}: {}", note.place, note.text))
            .collect(),
        gateways: found.gateways,
        policies: sources.policies.len(),
        guardrails: sources.guardrails.len(),
    }
}

/// Sets, because one policy may be attached to several gateways.
#[derive(Default)]
struct Found {
    mistakes: BTreeSet<Problem>,
    warnings: BTreeSet<Problem>,
    gateways: Vec<Summary>,
}

impl Found {
    fn add_gateway(&mut self, loaded: &Loaded, sources: &Sources, gateway: &GatewayName) {
        let compiled = match compile::compile_stored(sources, gateway) {
            Ok(compiled) => compiled,
            Err(mistakes) => return self.wrong(loaded, &mistakes),
        };
        self.wrong(loaded, &compiled.mistakes);
        // Such a gateway would be accepted and would deny everything; whoever runs a check wants to know before.
        self.wrong(loaded, &compiled.below);
        self.warn(loaded, &compiled.warnings);
        if compiled.mistakes.is_empty() {
            self.gateways.extend(summary(gateway, compiled));
        }
    }

    /// Of a gateway that only stands in for one in another file, nothing but its policies' mistakes says anything.
    fn add_policies_of(&mut self, loaded: &Loaded, sources: &Sources, gateway: &GatewayName) {
        let Ok(compiled) = compile::compile_stored(sources, gateway) else {
            return;
        };
        let of_policies = |mistakes: Vec<compile::Mistake>| -> Vec<compile::Mistake> {
            mistakes
                .into_iter()
                .filter(|mistake| mistake.object.kind != "McpGateway")
                .collect()
        };
        self.wrong(loaded, &of_policies(compiled.mistakes));
        self.wrong(loaded, &of_policies(compiled.below));
        self.warn(loaded, &of_policies(compiled.warnings));
    }

    fn add_guardrails(&mut self, loaded: &Loaded) {
        for guardrail in &loaded.sources.guardrails {
            let mut alone = guardrail.clone();
            alone.spec.namespace_selector = None;
            let under = Named {
                namespace: "default".to_owned(),
                name: "any".to_owned(),
                spec: GatewaySpec::default(),
            };
            let name = under.gateway_name();
            let sources = Sources {
                gateways: vec![under],
                guardrails: vec![alone],
                ..Sources::default()
            };
            if let Ok(compiled) = compile::compile_stored(&sources, &name) {
                let of_it: Vec<_> = compiled
                    .mistakes
                    .into_iter()
                    .filter(|found| found.object.kind == "McpGuardrail")
                    .collect();
                self.wrong(loaded, &of_it);
            }
        }
    }

    fn wrong(&mut self, loaded: &Loaded, mistakes: &[compile::Mistake]) {
        let told = mistakes
            .iter()
            .map(|mistake| Problem::compiled(Severity::Error, mistake, &loaded.places));
        self.mistakes.extend(told);
    }

    fn warn(&mut self, loaded: &Loaded, warnings: &[compile::Mistake]) {
        let told = warnings
            .iter()
            .map(|mistake| Problem::compiled(Severity::Warning, mistake, &loaded.places));
        self.warnings.extend(told);
    }
}

fn summary(gateway: &GatewayName, compiled: Compiled) -> Option<Summary> {
    let bundle = Bundle::activate(compiled.content).ok()?;
    Some(Summary {
        gateway: gateway.to_string(),
        revision: bundle.revision().to_string(),
        rules: bundle.rule_count(),
    })
}

fn tell(findings: &Findings) -> Result<(), Failure> {
    tell_all(&findings.mistakes, put)?;
    tell_all(&findings.warnings, put)?;
    for note in &findings.notes {
        put(&format!("note: {note}"))?;
    }
    for gateway in &findings.gateways {
        let rules = counted(gateway.rules, "rule");
        put(&format!(
            "gateway {}: {rules}, revision {}",
            gateway.gateway, gateway.revision
        ))?;
    }
    let warnings = counted(findings.warnings.len(), "warning");
    if !findings.mistakes.is_empty() {
        return put(&format!(
            "{}, {warnings}",
            counted(findings.mistakes.len(), "mistake")
        ));
    }
    let policies = match findings.policies {
        1 => "1 access policy".to_owned(),
        several => format!("{several} access policies"),
    };
    let gateways = counted(findings.gateways.len(), "gateway");
    let guardrails = counted(findings.guardrails, "guardrail");
    put(&format!(
        "ok: {gateways}, {policies}, {guardrails}; {warnings}"
    ))
}
