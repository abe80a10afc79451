//! The chart: processor time a call, a group of bars for each scenario of 16 connections. Plain SVG, no script.

use std::fmt::Write as _;

use super::Seen;
use super::contestants::{BEST_EFFORT, DISABLED, ENVOY, NGINX, POD, STRICT};

const WIDTH: f64 = 860.0;
const LEFT: f64 = 250.0;
const BAR: f64 = 13.0;
const GROUP_GAP: f64 = 30.0;
const TOP: f64 = 64.0;

/// Colours that differ in lightness too, for those who see hues differently.
const SHOWN: [(&str, &str); 6] = [
    (NGINX, "#9aa5b1"),
    (ENVOY, "#52606d"),
    (DISABLED, "#a7d8de"),
    (BEST_EFFORT, "#2f8f9d"),
    (POD, "#1d6a75"),
    (STRICT, "#0b3d44"),
];

pub(crate) fn svg(seen: &Seen) -> String {
    let groups = groups(seen);
    let most = groups
        .iter()
        .flat_map(|group| group.bars.iter().map(|bar| bar.value))
        .fold(1.0, f64::max);
    let mut body = String::new();
    let mut y = TOP;
    for group in &groups {
        text(&mut body, 12.0, y + 11.0, "bold", &group.name);
        y += 20.0;
        for bar in &group.bars {
            let width = (WIDTH - LEFT - 70.0) * bar.value / most;
            text(&mut body, 24.0, y + 10.0, "normal", bar.name);
            rectangle(&mut body, y, width, bar.colour);
            let value = format!("{:.0}", bar.value);
            text(&mut body, LEFT + width + 6.0, y + 10.0, "normal", &value);
            y += BAR + 3.0;
        }
        y += GROUP_GAP - 12.0;
    }
    let mut whole = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}" font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="#ffffff"/>"##
    );
    text(
        &mut whole,
        12.0,
        24.0,
        "bold",
        "Processor time of the proxy, microseconds a call (less is better)",
    );
    let note = "16 connections, one worker each, RS256 token, two policies, default detectors";
    text(&mut whole, 12.0, 42.0, "normal", note);
    whole + &body + "</svg>\n"
}

struct Group {
    name: String,
    bars: Vec<Bar>,
}

struct Bar {
    name: &'static str,
    colour: &'static str,
    value: f64,
}

fn groups(seen: &Seen) -> Vec<Group> {
    let many = seen
        .board
        .scenarios
        .iter()
        .filter(|scenario| scenario.connections > 1);
    many.map(|scenario| {
        let bar = |(name, colour)| {
            let value = seen.board.of(scenario, name)?.processor?;
            Some(Bar {
                name,
                colour,
                value,
            })
        };
        Group {
            name: scenario.name.clone(),
            bars: SHOWN.into_iter().filter_map(bar).collect(),
        }
    })
    .collect()
}

fn rectangle(out: &mut String, y: f64, width: f64, colour: &str) {
    // Writing into a string cannot fail.
    write!(
        out,
        r#"<rect x="{LEFT}" y="{y}" width="{width:.1}" height="{BAR}" fill="{colour}"/>"#
    )
    .ok();
}

fn text(out: &mut String, x: f64, y: f64, weight: &str, text: &str) {
    write!(
        out,
        r##"<text x="{x:.1}" y="{y:.1}" font-weight="{weight}" fill="#1f2933">{text}</text>"##
    )
    .ok();
}
