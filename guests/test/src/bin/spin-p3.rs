//! Computes for ever without calling the host. At `/wait?ms=` it waits and answers, to be a neighbour in the same
//! instance.

use test_guests::{
    guest_p3,
    p3::{self, ErrorCode, Request, Response},
    target::Target,
};

guest_p3!(behave);

async fn behave(_request: Request, target: Target) -> Result<Response, ErrorCode> {
    if target.path == "/wait" {
        println!("waiting");
        p3::sleep(target.number("ms")).await;
        return Ok(p3::text("waited\n"));
    }
    println!("spinning");
    let mut turns = 0_u64;
    loop {
        turns = std::hint::black_box(turns.wrapping_add(1));
    }
}
