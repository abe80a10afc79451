//! What needs one person: hidden tools, refusals, masked answers, the credential that nobody sees.

use anyhow::Result;
use serde_json::{Value, json};

use super::scene::{EVERYTHING_TOKEN, Scene, call, sql};
use super::stage::{Stage, error, ran, text};

/// A tool that is not there, a call of it all the same, and arguments that are forbidden.
pub(crate) fn hidden_and_refused(stage: &mut Stage, scene: &Scene) -> Result<()> {
    let list = json!({ "as": "tools", "do": "listTools" });
    let before = names(&scene.unguarded(std::slice::from_ref(&list))?);
    let seen = scene.ada(&[
        list,
        sql("read", "select id, item, shipments from orders order by id"),
        call("hidden", "list_databases", &json!({})),
        sql("drop", "DROP TABLE orders"),
        sql("smuggled", "select 1; drop table orders"),
        sql("after", "select count(*) as left_over from orders"),
    ])?;
    let after = names(&seen);
    stage.act(&format!(
        "Ada lists the tools. The server has {}; she sees {}.",
        before.join(", "),
        after.join(", ")
    ));
    let gone = before.contains(&"list_databases".to_owned())
        && !after.contains(&"list_databases".to_owned());
    stage.check_in(
        "the tool that she may not use is gone",
        gone && !after.is_empty(),
        &json!(after),
    );
    let read = of(&seen, "read");
    stage.check_in(
        "what she may read comes through as the server said it",
        ran(read) && text(read).contains("compiler"),
        read,
    );
    let hidden = of(&seen, "hidden");
    stage.act("She calls the hidden tool all the same.");
    stage.check_in(
        &format!("refused: \"{}\"", error(hidden)),
        error(hidden).contains("Unknown tool"),
        hidden,
    );
    stage.act("She tries `DROP TABLE orders`, and hides it behind a select.");
    for label in ["drop", "smuggled"] {
        let refused = of(&seen, label);
        let says = text(refused).contains("migration pipeline") && !ran(refused);
        stage.check_in(&format!("refused: \"{}\"", text(refused)), says, refused);
    }
    let after = of(&seen, "after");
    stage.check_in(
        "the table is still there",
        ran(after) && text(after).contains('2'),
        after,
    );
    Ok(())
}

/// Keys and card numbers in rows, inside JSON inside text.
pub(crate) fn masked(stage: &mut Stage, scene: &Scene) -> Result<()> {
    let steps = [
        sql("keys", "select name, value from keys"),
        sql("cards", "select name, card from customers"),
    ];
    let (plain, seen) = (scene.unguarded(&steps)?, scene.ada(&steps)?);
    let secrets = [
        ["AKIA", "IOSFODNN7EXAMPLE"].concat(),
        ["ghp_", "EXAMPLEexampleEXAMPLEexampleEXAMPLE1"].concat(),
        "4111 1111 1111 1111".to_owned(),
    ];
    let holds = |report: &Value| {
        secrets
            .iter()
            .filter(|secret| report.to_string().contains(secret.as_str()))
            .count()
    };
    stage.act("She reads the table of keys and the customers' cards. The server tells them all.");
    stage.check(
        "without the guard every key and card number is in the answer",
        holds(&plain) == secrets.len(),
    );
    stage.check_in(
        "with it none is, neither in the text nor in its structured twin",
        holds(&seen) == 0,
        &seen,
    );
    let keys = of(&seen, "keys");
    let kept = ran(keys) && text(keys).contains("warehouse bucket");
    stage.check_in("the rest of each row is as it was", kept, keys);
    let marked = keys
        .pointer("/result/_meta/dev.sallyport~1redacted")
        .is_some();
    stage.check_in("the answer says where something was masked", marked, keys);
    Ok(())
}

/// A server that prints its whole environment, with the credential that the guard put there.
pub(crate) fn credential(stage: &mut Stage, scene: &Scene) -> Result<()> {
    let steps = [
        call("env", "get-env", &json!({})),
        call("echo", "echo", &json!({ "message": "hello" })),
    ];
    let seen = scene.ada(&steps)?;
    let env = of(&seen, "env");
    stage.act("Ada calls `get-env`, which prints the server's environment. The guard gave it EVERYTHING_TOKEN.");
    stage.check_in(
        "the server has its credential",
        ran(env) && text(env).contains("EVERYTHING_TOKEN"),
        env,
    );
    stage.check(
        "Ada does not see it",
        !seen.to_string().contains(EVERYTHING_TOKEN),
    );
    let echo = of(&seen, "echo");
    stage.check_in(
        "a plain call over stdio works",
        text(echo) == "Echo: hello",
        echo,
    );
    Ok(())
}

/// One step's outcome.
pub(crate) fn of<'a>(report: &'a Value, label: &str) -> &'a Value {
    report.get(label).unwrap_or(&Value::Null)
}

fn names(report: &Value) -> Vec<String> {
    let tools = report
        .pointer("/tools/result/tools")
        .and_then(Value::as_array);
    let name = |tool: &Value| Some(tool.get("name")?.as_str()?.to_owned());
    tools
        .map(|tools| tools.iter().filter_map(name).collect())
        .unwrap_or_default()
}
