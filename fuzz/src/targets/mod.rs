//! The list of targets, and the property of each.

mod approval;
mod bundle;
mod head;
mod json;
mod jsonpath;
mod keys;
mod mask;
mod mcp;
mod policy;
mod proof;
mod recording;
mod socket;
mod sse;
mod stdio;
mod token;
mod yaml;

/// One parser of bytes from outside.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    pub name: &'static str,
    /// What holds for any input.
    pub law: &'static str,
    /// Panics where it does not hold.
    pub property: fn(&[u8]),
    /// Inputs that are made rather than kept: good ones to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Longest input worth trying, in bytes.
    pub longest: usize,
    /// What the parser compares with, for the fuzzer's dictionary.
    pub words: &'static [&'static str],
}

/// Every target, by name.
pub const TARGETS: &[Target] = &[
    approval::TARGET,
    bundle::TARGET,
    head::TARGET,
    json::TARGET,
    jsonpath::TARGET,
    keys::TARGET,
    mask::TARGET,
    mcp::TARGET,
    policy::TARGET,
    proof::TARGET,
    recording::TARGET,
    socket::TARGET,
    sse::TARGET,
    stdio::TARGET,
    token::TARGET,
    yaml::TARGET,
];

/// The target of that name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// Texts as inputs.
fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}
