//! Every seed and every kept input through its target's property: what the fuzzers found once is found no more.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "in a test the panic is the report, and what it printed before names the input"
)]

use sallyport_fuzz::{TARGETS, corpus, named};

/// Most bytes that all kept inputs together may have, so that a checkout stays small.
const MOST_KEPT: usize = 2 << 20;

fn replay(name: &str) {
    let target = named(name).unwrap();
    let seeds = (target.seeds)();
    assert!(!seeds.is_empty(), "a target begins with good inputs");
    for seed in seeds {
        (target.property)(&seed);
    }
    for (file, input) in corpus::kept(target).unwrap() {
        // The last one named is the one that panicked.
        println!("{file}");
        (target.property)(&input);
    }
}

macro_rules! replays {
    ($($test:ident: $name:literal),+ $(,)?) => {
        $(#[test] fn $test() { replay($name); })+

        #[test]
        fn every_target_is_replayed_and_the_kept_inputs_are_few() {
            let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(names, [$($name),+]);
            let kept = TARGETS.iter().flat_map(|target| corpus::kept(target).unwrap());
            assert!(kept.map(|(_, input)| input.len()).sum::<usize>() < MOST_KEPT);
        }
    };
}

replays! {
    law_19_one_call_has_one_digest_for_every_kept_input: "approval",
    only_signed_bundles_open_for_every_kept_input: "bundle",
    heads_are_judged_for_every_kept_input: "head",
    law_13_json_is_strict_for_every_kept_input: "json",
    paths_name_the_same_values_for_every_kept_input: "jsonpath",
    law_10_no_key_set_makes_a_shared_secret_for_every_kept_input: "keys",
    law_27_masking_is_idempotent_for_every_kept_input: "mask",
    messages_are_answered_legally_for_every_kept_input: "mcp",
    law_01_deny_beats_allow_for_every_kept_input: "policy",
    only_this_sidecars_answer_is_believed_for_every_kept_input: "proof",
    law_33_changes_of_recordings_are_named_for_every_kept_input: "recording",
    questions_to_the_desk_are_read_once_for_every_kept_input: "socket",
    event_streams_are_read_alike_for_every_kept_input: "sse",
    messages_to_pipes_are_one_line_for_every_kept_input: "stdio",
    law_10_only_signed_tokens_are_believed_for_every_kept_input: "token",
    every_mistake_has_a_place_for_every_kept_input: "yaml",
}
