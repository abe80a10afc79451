//! `sallyport`, also installed as `kubectl-sallyport`: the standalone guard and everything people do around it.
//!
//! One file a command. Tables are for people, `-o json|yaml` for programs; results go to stdout, talk to stderr.

mod output;
mod state;

mod approvals;
mod completion;
mod connect;
mod doctor;
mod pins;
mod policy;
mod recordings;
mod standalone;
mod status;
mod token;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use output::Failure;

/// Privileged access for MCP servers: who may call which tool with which arguments, who approves, what is masked,
/// and a recording that proves it.
#[derive(Debug, Parser)]
#[command(name = "sallyport", version, propagate_version = true, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done; 1 the answer is no (a test failed, a recording does not verify, a \
request is not there); 2 wrong usage; 3 the input is wrong (policy, files); 4 something outside failed (network, \
disk, permission)";

#[derive(Debug, Subcommand)]
enum Command {
    /// Put the guard in front of an MCP server, here and now
    Up(standalone::UpArgs),
    /// Bridge a client that knows only stdio to a guarded server
    Connect(connect::ConnectArgs),
    /// Issue a token of the standalone issuer
    Token(token::TokenArgs),
    /// Check, test, explain and compare policies
    Policy(policy::PolicyArgs),
    /// List access requests, or watch them come
    Requests(approvals::RequestsArgs),
    /// Ask ahead for a window of time
    Request(approvals::RequestArgs),
    /// Approve an access request
    Approve(approvals::ApproveArgs),
    /// Deny an access request
    Deny(approvals::VoiceArgs),
    /// Take back what was granted
    Revoke(approvals::VoiceArgs),
    /// Take back an access request of one's own
    Withdraw(approvals::WithdrawArgs),
    /// List recorded sessions
    Sessions(recordings::SessionsArgs),
    /// Show a recorded session as it happened
    Replay(recordings::ReplayArgs),
    /// Write a recorded session as JSON Lines or CSV
    Export(recordings::ExportArgs),
    /// Prove offline that recordings were not changed
    Verify(recordings::VerifyArgs),
    /// Delete recordings by order, leaving signed tombstones
    Purge(recordings::PurgeArgs),
    /// Keep sessions from being purged
    LegalHold(recordings::HoldArgs),
    /// Look at tool definitions that changed, and accept them
    Pins(pins::PinsArgs),
    /// Show how the gateways of a cluster are doing
    Status(status::StatusArgs),
    /// Look for what is wrong with this installation
    Doctor(doctor::DoctorArgs),
    /// Print a completion script for a shell
    Completion(completion::CompletionArgs),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return Failure::outside(format!("cannot start: {error}")).tell(),
    };
    match runtime.block_on(run(cli.command)) {
        Ok(code) => code,
        Err(failure) => failure.tell(),
    }
}

async fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Up(args) => standalone::up(args).await,
        Command::Connect(args) => connect::run(args).await,
        Command::Token(args) => token::run(args),
        Command::Policy(args) => policy::run(args),
        Command::Requests(args) => approvals::requests(args).await,
        Command::Request(args) => approvals::request(args).await,
        Command::Approve(args) => approvals::approve(args).await,
        Command::Deny(args) => approvals::deny(args).await,
        Command::Revoke(args) => approvals::revoke(args).await,
        Command::Withdraw(args) => approvals::withdraw(args).await,
        Command::Sessions(args) => recordings::sessions(&args),
        Command::Replay(args) => recordings::replay(&args),
        Command::Export(args) => recordings::export(&args),
        Command::Verify(args) => recordings::verify(&args),
        Command::Purge(args) => recordings::purge(&args),
        Command::LegalHold(args) => recordings::legal_hold(&args),
        Command::Pins(args) => pins::run(args),
        Command::Status(args) => status::run(args).await,
        Command::Doctor(args) => doctor::run(args).await,
        Command::Completion(args) => completion::run(&args),
    }
}
