//! What is told of a run: lines for the terminal, JSON, and the measured part of `docs/performance.md`.

use std::fs;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::contestants::NGINX;
use super::figures::Figures;
use super::goals::{self, Goal};
use super::{Seen, chart};
use crate::workspace;

/// What stands around the part of the page that a run writes.
const BEGIN: &str = "<!-- measured: written by `cargo xtask bench --write-docs` -->";
const END: &str = "<!-- end of what was measured -->";

/// For the terminal.
pub(crate) fn lines(seen: &Seen) -> Vec<String> {
    let mut lines = Vec::new();
    for scenario in &seen.board.scenarios {
        lines.push(String::new());
        lines.push(format!(
            "{}, median of {} turns",
            scenario.name, seen.rounds
        ));
        lines.push(format!(
            "{:<34}{:>9}{:>9}{:>9}{:>9}{:>10}{:>9}",
            "", "CPU us", "x nginx", "p50 us", "p99 us", "calls/s", "RSS MiB"
        ));
        let nginx = seen.board.of(scenario, NGINX);
        for name in &seen.board.names {
            if let Some(figures) = seen.board.of(scenario, name) {
                let [processor, ratio, median, slow, rate, memory] = cells(&figures, nginx);
                lines.push(format!(
                    "{name:<34}{processor:>9}{ratio:>9}{median:>9}{slow:>9}{rate:>10}{memory:>9}"
                ));
            }
        }
    }
    lines.push(String::new());
    for start in &seen.starts.all {
        let idle = mebibytes(start.idle);
        lines.push(format!(
            "{:<34}ready after {:>5.0} ms, idle {idle} MiB",
            start.name, start.millis
        ));
    }
    lines.push(String::new());
    lines.extend(goals::all(seen).iter().map(|goal| {
        let met = if goal.met() { "met   " } else { "missed" };
        format!(
            "{met} {:>7.2} (at most {:.2})  {}",
            goal.seen, goal.limit, goal.what
        )
    }));
    lines
}

/// Processor time, its multiple of nginx's, p50, p99, rate and memory.
fn cells(figures: &Figures, nginx: Option<Figures>) -> [String; 6] {
    let dash = || "–".to_owned();
    let ratio = figures
        .processor
        .zip(nginx.and_then(|nginx| nginx.processor));
    [
        figures
            .processor
            .map_or_else(dash, |used| format!("{used:.1}")),
        ratio.map_or_else(dash, |(ours, nginx)| format!("{:.2}", ours / nginx)),
        format!("{:.0}", figures.median),
        format!("{:.0}", figures.slow),
        format!("{:.0}", figures.rate),
        if figures.processor.is_some() {
            mebibytes(figures.memory)
        } else {
            dash()
        },
    ]
}

fn mebibytes(kibibytes: u64) -> String {
    let kibibytes = u32::try_from(kibibytes).unwrap_or(u32::MAX);
    format!("{:.1}", f64::from(kibibytes) / 1024.0)
}

pub(crate) fn json(seen: &Seen) -> Value {
    let figures: Vec<Value> = seen
        .board
        .scenarios
        .iter()
        .flat_map(|scenario| {
            seen.board.names.iter().filter_map(move |name| {
                let figures = seen.board.of(scenario, name)?;
                Some(json!({
                    "scenario": scenario.name, "contestant": name, "processorMicroseconds": figures.processor,
                    "p50": figures.median, "p99": figures.slow, "callsPerSecond": figures.rate,
                    "memoryKiB": figures.memory,
                }))
            })
        })
        .collect();
    let starts: Vec<Value> = seen
        .starts
        .all
        .iter()
        .map(
            |start| json!({ "program": start.name, "millis": start.millis, "idleKiB": start.idle }),
        )
        .collect();
    let goals: Vec<Value> = goals::all(seen)
        .iter()
        .map(|goal| json!({ "goal": goal.what, "atMost": goal.limit, "seen": goal.seen, "met": goal.met() }))
        .collect();
    json!({ "rounds": seen.rounds, "figures": figures, "starts": starts,
            "strippedSidecarBytes": seen.starts.size, "goals": goals })
}

/// Replaces the measured part of the page, and the chart beside it.
pub(crate) fn write_docs(seen: &Seen) -> Result<()> {
    let docs = workspace::root().join("docs");
    let page = docs.join("performance.md");
    let text = fs::read_to_string(&page)?;
    let (before, rest) = text
        .split_once(BEGIN)
        .context("docs/performance.md has no place for figures")?;
    let (_, after) = rest
        .split_once(END)
        .context("the place for figures in docs/performance.md has no end")?;
    fs::write(
        &page,
        format!("{before}{BEGIN}\n{}{END}{after}", markdown(seen)),
    )?;
    Ok(fs::write(docs.join("performance.svg"), chart::svg(seen))?)
}

fn markdown(seen: &Seen) -> String {
    let mut text = format!(
        "\nEach figure is the middle one of {} turns.\n\n![Processor time a call](performance.svg)\n",
        seen.rounds
    );
    for scenario in &seen.board.scenarios {
        text.push_str(&format!(
            "\n**{}**\n\n| | CPU, µs a call | × nginx | p50, µs | p99, µs | calls/s | RSS, MiB |\n|---|---:|---:|---:|---:|---:|---:|\n",
            scenario.name
        ));
        let nginx = seen.board.of(scenario, NGINX);
        for name in &seen.board.names {
            if let Some(figures) = seen.board.of(scenario, name) {
                text.push_str(&format!(
                    "| {name} | {} |\n",
                    cells(&figures, nginx).join(" | ")
                ));
            }
        }
    }
    text.push_str("\n**At rest**\n\n| | ready after, ms | idle RSS, MiB |\n|---|---:|---:|\n");
    for start in &seen.starts.all {
        text.push_str(&format!(
            "| {} | {:.0} | {} |\n",
            start.name,
            start.millis,
            mebibytes(start.idle)
        ));
    }
    text.push_str("\n**Goals**\n\n| | at most | seen | |\n|---|---:|---:|---|\n");
    for goal in goals::all(seen) {
        text.push_str(&row(&goal));
    }
    text.push('\n');
    text
}

fn row(goal: &Goal) -> String {
    let met = if goal.met() { "met" } else { "**missed**" };
    format!(
        "| {} | {:.2} | {:.2} | {met} |\n",
        goal.what, goal.limit, goal.seen
    )
}
