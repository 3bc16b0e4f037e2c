//! An app is swapped again and again, by file and through the admin interface, while it and its neighbours are asked
//! without a pause: nothing is lost, every answer is whole from one generation, and none is from one that a later swap
//! had replaced before the request began. `cargo run --release -p guesthouse-tests --bin swap` does more of it.

use guesthouse_tests::{Load, Swapping};

fn assert_nothing_lost(guests: [&str; 2], swaps: usize) {
    let mut swapping = Swapping::start(guests, &["neighbour"]);
    let load = Load::start(swapping.house.address(), &swapping.clients(None));
    // So each way brings either version, and each comes after either way.
    for way in
        [Swapping::by_file, Swapping::by_api, Swapping::by_api, Swapping::by_file].iter().cycle().take(swaps)
    {
        way(&mut swapping);
        load.wait_for_answers(20);
    }
    load.stop().assert_nothing_lost();
    let app = swapping.api.app("swapped");
    assert_eq!(app["trouble"], serde_json::Value::Null, "{app:#}");
    let numbers: Vec<_> =
        app["kept"].as_array().expect("a list").iter().map(|kept| &kept["number"]).collect();
    let serving = app["serving"]["number"].as_u64().expect("a number");
    assert_eq!(serving, 1 + swaps as u64, "each swap makes one generation: {app:#}");
    assert_eq!(numbers, [serving - 1, serving - 2, serving - 3], "{app:#}");
    assert_eq!(swapping.api.serving("neighbour"), 1, "what did not change was not touched");
    assert!(swapping.house.stop().status.success());
}

#[test]
fn nothing_is_lost_by_swapping() {
    assert_nothing_lost(["version-1", "version-2"], 20);
}

#[test]
fn nothing_is_lost_by_swapping_for_wasi_0_3() {
    assert_nothing_lost(["version-1-p3", "version-2-p3"], 8);
}
