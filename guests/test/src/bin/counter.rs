//! Counts its requests in a global, and answers JSON: the `count`, and a random number that stands for the `instance`.

use std::sync::{
    LazyLock,
    atomic::{AtomicU64, Ordering},
};

use serde_json::json;
use test_guests::{guest, p2, wasip2::random::random::get_random_u64};

static COUNT: AtomicU64 = AtomicU64::new(0);
static INSTANCE: LazyLock<String> = LazyLock::new(|| format!("{:016x}", get_random_u64()));

guest!(|_request, target, out| {
    let count = COUNT.fetch_add(1, Ordering::Relaxed) + 1;
    if target.get("ms").is_some() {
        println!("counted");
        p2::sleep(target.number("ms"));
    }
    p2::answer_json(out, &json!({ "count": count, "instance": *INSTANCE }));
});
