//! Counts its requests in a global, and answers JSON: the `count`, how many are `inside` at once, and a random number
//! that stands for the `instance`. With `?ms=` it waits before the answer.

use std::sync::{
    LazyLock,
    atomic::{AtomicU64, Ordering},
};

use serde_json::json;
use test_guests::{
    guest_p3,
    p3::{self, ErrorCode, Request, Response},
    target::Target,
    wasip3::random::random::get_random_u64,
};

static COUNT: AtomicU64 = AtomicU64::new(0);
static INSIDE: AtomicU64 = AtomicU64::new(0);
static INSTANCE: LazyLock<String> = LazyLock::new(|| format!("{:016x}", get_random_u64()));

guest_p3!(behave);

async fn behave(_request: Request, target: Target) -> Result<Response, ErrorCode> {
    let count = COUNT.fetch_add(1, Ordering::Relaxed) + 1;
    let inside = INSIDE.fetch_add(1, Ordering::Relaxed) + 1;
    if target.get("ms").is_some() {
        println!("counted");
        p3::sleep(target.number("ms")).await;
    }
    INSIDE.fetch_sub(1, Ordering::Relaxed);
    Ok(p3::json(&json!({ "count": count, "inside": inside, "instance": *INSTANCE })))
}
