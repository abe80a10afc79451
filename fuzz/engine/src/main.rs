//! The properties of `sallyport-fuzz` under libFuzzer; without the instrumented build, the commands around it.
//!
//! One program for all targets, so that the instrumented tree is linked once: the environment variable
//! `SALLYPORT_FUZZ_TARGET` names the one that runs.

#![cfg_attr(sallyport_fuzz, no_main)]

#[cfg(not(sallyport_fuzz))]
mod commands;

#[cfg(sallyport_fuzz)]
static TARGET: std::sync::LazyLock<&'static sallyport_fuzz::Target> =
    std::sync::LazyLock::new(|| {
        let name = std::env::var("SALLYPORT_FUZZ_TARGET").unwrap_or_default();
        match sallyport_fuzz::named(&name) {
            Some(target) => target,
            None => std::process::exit(2),
        }
    });

#[cfg(sallyport_fuzz)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| (TARGET.property)(data));

#[cfg(not(sallyport_fuzz))]
fn main() -> std::process::ExitCode {
    commands::run()
}
