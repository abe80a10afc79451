//! The steps before servers that have tools and nothing else.

use std::path::Path;

use serde_json::json;

use super::super::bench::spilled;
use super::{Expect, FORBIDDEN, Hidden, Step, call, held, list, no_such_tool};

pub(super) fn time() -> Vec<Step> {
    let convert = |from: &str, time: &str, to: &str| json!({ "source_timezone": from, "time": time, "target_timezone": to });
    let hidden = Hidden::These(&["get_current_time"]);
    let here = json!({ "timezone": "UTC" });
    let mut steps = vec![
        list("tools", "listTools", "name", hidden),
        call(
            "call",
            "convert_time",
            &convert("UTC", "12:00", "Asia/Tokyo"),
            Expect::Same,
        ),
        call(
            "tool-error",
            "convert_time",
            &convert("Nowhere", "12:00", "UTC"),
            Expect::Same,
        ),
        call(
            "denied",
            "convert_time",
            &convert("UTC", "12:00", "FORBIDDEN"),
            FORBIDDEN,
        ),
        call(
            "hidden-tool",
            "get_current_time",
            &here,
            Expect::UnknownTool,
        ),
        no_such_tool(),
        // The server repeats what it does not know.
        call(
            "masked",
            "convert_time",
            &convert(&spilled(), "12:00", "UTC"),
            Expect::Masked,
        ),
    ];
    steps.extend(held("convert_time", |third| {
        convert("UTC", &format!("0{third}:30"), "UTC")
    }));
    steps
}

pub(super) fn git(repository: &Path) -> Vec<Step> {
    let path = repository.display().to_string();
    let show = |revision: &str| json!({ "repo_path": path, "revision": revision });
    let log = |count: u32| json!({ "repo_path": path, "max_count": count });
    let here = json!({ "repo_path": path });
    let hidden = Hidden::These(&[
        "git_add",
        "git_commit",
        "git_reset",
        "git_create_branch",
        "git_checkout",
    ]);
    let mut steps = vec![
        list("tools", "listTools", "name", hidden),
        call("call", "git_log", &log(5), Expect::Same),
        call("tool-error", "git_show", &show("nowhere"), Expect::Same),
        call("denied", "git_show", &show("FORBIDDEN"), FORBIDDEN),
        call("hidden-tool", "git_reset", &here, Expect::UnknownTool),
        no_such_tool(),
        call("masked", "git_show", &show("HEAD"), Expect::Masked),
    ];
    steps.extend(held("git_log", |third| log(100 + u32::from(third))));
    steps
}
