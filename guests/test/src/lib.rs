//! What the test guests share: entry points for both worlds, the request's target, bodies, and the settings' bindings.
//!
//! Each guest is one file in `src/bin` with one behaviour, and a paragraph on top that says which. Those for WASI 0.3
//! end in `-p3`. Every guest answers `/ok` with a plain 200, so that a test can ask whether it is still well.
//! Guests that go on for long print a line first, so that a test can wait for it.

pub mod hashes;
pub mod image;
pub mod json;
pub mod marks;
pub mod p2;
pub mod p3;
pub mod secrets;
pub mod stores;
pub mod target;
pub mod version;

pub use wasip2;
pub use wasip3;

/// The bindings of `wit/settings.wit`.
pub mod bindings {
    wit_bindgen::generate!({ path: "../../wit", world: "guesthouse:settings/imports", generate_all });
}

/// The bindings of `wasi:keyvalue`, in its second draft.
pub mod keyvalue {
    wit_bindgen::generate!({ path: "../../wit", world: "guesthouse:settings/keyvalue", generate_all });
}

/// The bindings of `wasi:keyvalue`, in its first draft.
pub mod keyvalue_draft {
    wit_bindgen::generate!({ path: "../../wit", world: "guesthouse:settings/keyvalue-draft", generate_all });
}

/// What `/ok` answers.
pub const WELL: &str = "ok\n";
