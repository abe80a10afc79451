//! Fields that a guard on one machine has no use for. They are told at the start, or somebody relies on what nobody does.

use sallyport_policy::source::GatewaySpec;
use sallyport_policy::source::gateway::Egress;
use sallyport_policy::source::settings::Capture;

/// A sentence for each such field that is written. `mapped`: a guardrail has an `identityMap`. `named`: the server was
/// given on the command line.
#[expect(clippy::too_many_lines, reason = "one table of named rows")]
pub(super) fn idle(spec: &GatewaySpec, mapped: bool, named: bool) -> Vec<String> {
    let server = &spec.server;
    let capture = spec.capture.is_some_and(|capture| capture != Capture::Auto);
    let rows = [
        (
            !server.passthrough.is_empty(),
            "server.passthrough",
            "only the MCP endpoint is served",
        ),
        (
            server.socket_path.is_some(),
            "server.socketPath",
            "the server is where `--upstream` says, or a command",
        ),
        (
            named && !server.command.is_empty(),
            "server.command",
            "the server is the one of the command line",
        ),
        (
            server.port.is_some(),
            "server.port",
            "the server is where `--upstream` says; in a cluster it is a pod's port",
        ),
        (
            server.container.is_some()
                || server.run_as_user.is_some()
                || !server.shared_volumes.is_empty(),
            "server.container, runAsUser, sharedVolumes",
            "they are about pods of a cluster",
        ),
        (
            spec.listener.port.is_some(),
            "listener.port",
            "`--listen` says where clients connect",
        ),
        (
            spec.listener.tls.is_some(),
            "listener.tls",
            "the certificate is the one of `--tls-cert` and `--tls-key`",
        ),
        (
            spec.authentication.service_accounts.is_some(),
            "authentication.serviceAccounts",
            "nobody here could verify such tokens, so they are refused; in a cluster they are accepted",
        ),
        (
            spec.policy_max_age.is_some(),
            "policyMaxAge",
            "policy read from files does not expire; signed policy of a cluster does",
        ),
        (
            mapped,
            "identityMap",
            "reviewers here are no cluster users; it is for those of a cluster",
        ),
        (
            capture,
            "capture",
            "traffic is not redirected here; it is about pods of a cluster",
        ),
        (
            spec.egress != Egress::default(),
            "egress",
            "what the server connects to is not looked at here; it is about pods of a cluster",
        ),
    ];
    let written = rows.into_iter().filter(|(written, ..)| *written);
    written
        .map(|(_, field, why)| format!("`{field}` has no effect in standalone: {why}"))
        .collect()
}
