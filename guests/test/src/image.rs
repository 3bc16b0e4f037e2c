//! What the guests with an `initialize` do in it, and what they tell of it afterwards.

use std::{
    cell::RefCell,
    fs::File,
    hint,
    net::TcpStream,
    sync::atomic::{AtomicU64, Ordering},
};

use serde_json::{Value as Json, json};
use wasip2::clocks::monotonic_clock::{self, Pollable};

use crate::{bindings::guesthouse::settings::settings, keyvalue::wasi::keyvalue0_2_0_draft2::store, secrets};

/// The bindings of the interface that a guest exports.
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "package test:guests; world initialised { export guesthouse:settings/snapshot@0.1.0; }",
        pub_export_macro: true,
        default_bindings_module: "test_guests::image::bindings",
        generate_all,
    });
}

static INITIALISED: AtomicU64 = AtomicU64::new(0);
static SERVED: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static MARK: RefCell<String> = const { RefCell::new(String::new()) };
    static KEPT: RefCell<Vec<Pollable>> = const { RefCell::new(Vec::new()) };
    static KEPT_SECRETS: RefCell<Vec<secrets::Kept>> = const { RefCell::new(Vec::new()) };
}

/// Exports `initialize`.
#[macro_export]
macro_rules! initialised {
    () => {
        struct Initialised;

        impl $crate::image::bindings::exports::guesthouse::settings::snapshot::Guest for Initialised {
            fn initialize() -> Result<(), String> {
                $crate::image::initialize()
            }
        }

        $crate::image::bindings::export!(Initialised with_types_in $crate::image::bindings);
    };
}

/// Remembers the setting `MARK`, and then does what the setting `DO` says.
///
/// # Errors
///
/// With `DO = "refuse"`.
pub fn initialize() -> Result<(), String> {
    INITIALISED.fetch_add(1, Ordering::Relaxed);
    MARK.set(text("MARK"));
    match text("DO").as_str() {
        "refuse" => return Err("the database is not there".into()),
        "trap" => unreachable!("as it was told"),
        "exit" => std::process::exit(3),
        "spin" => loop {
            hint::spin_loop();
        },
        "allocate" => drop((0..4096).map(|_| vec![1_u8; 1 << 20]).collect::<Vec<_>>()),
        "open" => drop(File::open("/data/file")),
        "connect" => drop(TcpStream::connect("127.0.0.1:9")),
        "keep" => KEPT.with_borrow_mut(|kept| kept.push(monotonic_clock::subscribe_duration(1))),
        "reveal" => drop(secrets::reveal("KEY")),
        "keep-secret" => KEPT_SECRETS.with_borrow_mut(|kept| kept.push(secrets::handle("KEY"))),
        "ask-secret" => drop((secrets::names(), secrets::handle("KEY"))),
        "store" => drop(store::open("default")),
        "generation" => drop(settings::generation()),
        "say" => {
            println!("initialised with {}", text("MARK"));
            eprintln!("and said so");
        }
        _ => {}
    }
    Ok(())
}

/// What is in memory, and what is new in each instance.
pub fn state() -> Json {
    let served = SERVED.fetch_add(1, Ordering::Relaxed) + 1;
    if text("DO") == "say" {
        println!("served {served}");
        eprintln!("and said so again");
    }
    json!({
        "initialised": INITIALISED.load(Ordering::Relaxed),
        "mark": MARK.with_borrow(Clone::clone),
        "setting": text("MARK"),
        "served": served,
        "random": wasip2::random::random::get_random_u64().to_string(),
        "secrets": secrets::names().iter().map(|name| secrets::reveal(name)).collect::<Vec<_>>(),
        "environment": std::env::var("MARK").ok(),
    })
}

fn text(setting: &str) -> String {
    match settings::get(setting) {
        Some(settings::Value::Text(text)) => text,
        _ => String::new(),
    }
}
