#![no_main]

#[path = "../src/component.rs"]
mod component;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| component::component(bytes));
