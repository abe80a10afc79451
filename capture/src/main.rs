//! `sallyport-capture`: sets the rules of a pod's network namespace, or proves that they hold. Wiring only.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use sallyport_capture::apply::{By, apply};
use sallyport_capture::facts::{Facts, Ports, Uids, Unusable};
use sallyport_capture::rules::{Family, iptables, nft};
use sallyport_capture::validate::{Question, validate};

/// `EX_USAGE` of sysexits.h.
const USAGE: u8 = 64;

/// Makes every connection to a pod reach the sidecar, and proves it.
#[derive(Debug, Parser)]
#[command(name = "sallyport-capture", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    facts: FactArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Load the rules into this network namespace; needs NET_ADMIN
    Apply {
        /// What loads them
        #[arg(long, value_enum, default_value_t = Program::Either)]
        by: Program,
    },
    /// Print the rules as text and load nothing
    Print {
        /// For which program
        #[arg(value_enum)]
        form: Form,
    },
    /// Dial every address of this pod and demand the sidecar's own answer; needs no privilege
    Validate {
        /// The socket that the sidecar made
        #[arg(long, value_name = "FILE")]
        socket: PathBuf,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Program {
    Either,
    Nft,
    Iptables,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    Nft,
    Iptables,
    Ip6tables,
}

#[derive(Args, Debug)]
struct FactArgs {
    /// User id of the sidecar
    #[arg(long, global = true, value_name = "UID", default_value_t = 60101)]
    sidecar_uid: u32,
    /// User id of the server
    #[arg(long, global = true, value_name = "UID", default_value_t = 0)]
    server_uid: u32,
    /// User id of the validator
    #[arg(long, global = true, value_name = "UID", default_value_t = 60102)]
    validator_uid: u32,
    /// Where the server listens
    #[arg(long, global = true, value_name = "PORT", default_value_t = 0)]
    server_port: u16,
    /// Where the sidecar takes every connection
    #[arg(long, global = true, value_name = "PORT", default_value_t = 15101)]
    listener: u16,
    /// Where the sidecar answers probes
    #[arg(long, global = true, value_name = "PORT", default_value_t = 15102)]
    probes: u16,
    /// Where the sidecar gives its metrics
    #[arg(long, global = true, value_name = "PORT", default_value_t = 15103)]
    metrics: u16,
}

const EXIT_CODES: &str = "--server-uid and --server-port have no default.\n\n\
Exit codes: 0 done; 1 not loaded, or not proven; 64 wrong arguments";

impl FactArgs {
    fn facts(&self) -> Result<Facts, Unusable> {
        let Self {
            sidecar_uid: sidecar,
            server_uid: server,
            validator_uid: validator,
            server_port,
            listener,
            probes,
            metrics,
        } = *self;
        let uids = Uids {
            sidecar,
            server,
            validator,
        };
        let ports = Ports {
            server: server_port,
            listener,
            probes,
            metrics,
        };
        Facts::new(uids, ports)
    }
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(told) => {
            // Nobody is left to tell when both streams are closed.
            told.print().ok();
            return if told.use_stderr() {
                USAGE.into()
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    let facts = match cli.facts.facts() {
        Ok(facts) => facts,
        Err(unusable) => return ended(&unusable.to_string(), USAGE.into()),
    };
    match run(&cli.command, &facts) {
        Ok(done) => ended(&done, ExitCode::SUCCESS),
        Err(failed) => ended(&failed, ExitCode::FAILURE),
    }
}

fn run(command: &Command, facts: &Facts) -> Result<String, String> {
    match command {
        Command::Apply { by } => {
            let by = match by {
                Program::Either => By::Either,
                Program::Nft => By::Nftables,
                Program::Iptables => By::Iptables,
            };
            let loaded = apply(facts, by).map_err(|error| error.to_string())?;
            Ok(format!("every connection reaches the sidecar, by {loaded}"))
        }
        Command::Print { form } => Ok(match form {
            Form::Nft => nft(facts),
            Form::Iptables => iptables(facts, Family::V4),
            Form::Ip6tables => iptables(facts, Family::V6),
        }),
        Command::Validate { socket } => {
            let ports = facts.ports();
            let question = Question {
                socket: socket.clone(),
                sidecar_uid: facts.uids().sidecar,
                server_port: ports.server,
                own_ports: [ports.listener, ports.probes, ports.metrics],
            };
            let asked = validate(&question).map_err(|error| error.to_string())?;
            let asked: Vec<String> = asked.iter().map(ToString::to_string).collect();
            Ok(format!("the sidecar answered at {}", asked.join(", ")))
        }
    }
}

/// The last word: to stdout where it went well.
fn ended(text: &str, code: ExitCode) -> ExitCode {
    let written = if code == ExitCode::SUCCESS {
        writeln!(std::io::stdout().lock(), "{}", text.trim_end())
    } else {
        writeln!(std::io::stderr().lock(), "sallyport-capture: {text}")
    };
    // Nobody is left to tell when the stream is closed; the exit code says it all the same.
    written.ok();
    code
}
