//! The latency of a small Rust app while a Django component of some 50 MB is compiled and swapped in beside it.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use guesthouse_tests::{
    Admin, Client, House, Load, Manifest, Random, Request, Served, component, python_component,
};

use crate::options::Options;

/// Connections that ask the neighbour. Far from what it could serve, because under saturation each millisecond of another
/// process would show in all that follows.
const CLIENTS: usize = 4;

/// Whether nothing was lost. The p99 is printed and judged by the reader: it is a matter of the machine.
pub(crate) fn run(options: &Options) -> bool {
    let pace = options.pace.unwrap_or(Duration::from_millis(10)).max(Duration::from_millis(1));
    let length = options.length.unwrap_or(Duration::from_secs(20));
    let cache = tempfile::tempdir().expect("a folder for the compiled code");
    let django = python_component("django-legacy");
    let keys = "routes = [\"legacy.localhost\"]\ninstances.isolation = \"reuse\"";
    let manifest =
        Manifest::new().app_of("neighbour", &component("hello-rust"), "").app_of("django", &django, keys);
    eprintln!("starting with an empty cache: Django is compiled for the first time");
    let house = House::start_with(&manifest, 1, |command| {
        command.env("GUESTHOUSE_CACHE_DIR", cache.path());
    });
    let api = house.api();
    assert_well(&house);
    let client = Client::new("neighbour.test", "/").paced(pace);
    let load = Load::start(house.address(), &vec![client; CLIENTS]);
    load.wait_for_answers(1000);
    load.take();

    let bytes = fs::read(&django).expect("the component");
    let megabytes = bytes.len() as f64 / 1e6;
    println!(
        "neighbour: {CLIENTS} connections, each with a request every {pace:?}; Django: {megabytes:.1} MB"
    );
    println!("\n               steady                while swapping          ratio         swap");
    println!("round   p50 ms   p99 ms   max ms   p50 ms   p99 ms   max ms    p50    p99      s");
    let mut random = Random::new(u64::from(std::process::id()));
    let (mut ratios, mut lost) = (Vec::new(), Vec::new());
    for round in 1..=options.rounds {
        thread::sleep(length);
        let steady = load.take();
        let took = swap_in(&api, different(&bytes, &mut random));
        let swapping = load.take();
        assert_well(&house);
        let (calm, busy) = (columns(&steady), columns(&swapping));
        let shown: Vec<String> = calm.iter().chain(&busy).map(|ms| format!("{ms:>8.2}")).collect();
        ratios.push(busy[1] / calm[1]);
        println!(
            "{round:>5} {} {:>6.2} {:>6.2} {:>6.1}",
            shown.join(" "),
            busy[0] / calm[0],
            busy[1] / calm[1],
            took.as_secs_f64()
        );
        lost.extend(steady.lost.into_iter().chain(swapping.lost));
        // What the swap left to do is nobody's steady state.
        load.wait_for_answers(1000);
        lost.extend(load.take().lost);
    }
    lost.extend(load.stop().lost);
    ratios.sort_by(f64::total_cmp);
    println!("\nmedian ratio of the p99: {:.2} (wanted: at most 2)", ratios[ratios.len() / 2]);
    println!("requests of the neighbour lost: {}", lost.len());
    for why in lost.iter().take(20) {
        println!("    {why}");
    }
    lost.is_empty()
}

fn assert_well(house: &House) {
    let answer = house.send(&Request::get("legacy.localhost", "/"));
    assert_eq!(answer.status(), 200, "Django: {}", answer.text());
}

fn swap_in(api: &Admin, component: Vec<u8>) -> Duration {
    let begun = Instant::now();
    let change = api.swap_bytes("django", component, "").action("swapped");
    assert!(change["took_ms"]["compile"].is_number(), "it is compiled anew: {change:#}");
    begun.elapsed()
}

fn columns(served: &Served) -> [f64; 3] {
    [50.0, 99.0, 100.0].map(|percent| served.times.percentile_ms(percent))
}

/// The same component with another digest: a custom section of random bytes at its end (binary format of WebAssembly,
/// 5.5.3: id 0, the size, a name, and anything).
fn different(component: &[u8], random: &mut Random) -> Vec<u8> {
    let mut section = b"\x07swapped".to_vec();
    section.extend((0..16).map(|_| random.below(256).to_le_bytes()[0]));
    let size = u8::try_from(section.len()).expect("a size of one byte");
    [component, &[0, size], &section].concat()
}
