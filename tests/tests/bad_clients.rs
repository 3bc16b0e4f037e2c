//! Every kind of bad client, a few at a time: each gets what it must, its connection ends, and good neighbours are answered
//! all the while. `cargo run --release -p guesthouse-tests --bin clients` plays hundreds of each and measures.

use std::thread;

use guesthouse_tests::{BadClient, Door, bad_clients};

const DOOR: Door = Door { header_ms: 400, idle_ms: 2000, body_ms: 400, request_ms: 2000, stream_ms: 3000 };
const CLIENTS: usize = 4;
/// Houses at once.
const HOUSES: usize = 8;

#[test]
fn bad_clients_get_what_they_must() {
    let all = bad_clients();
    let play = |clients: &[BadClient]| -> Vec<String> {
        let faults = clients.iter().flat_map(|client| {
            let seen = client.play(CLIENTS, &DOOR);
            seen.faults.into_iter().map(|fault| format!("{}: {fault}", client.name))
        });
        faults.collect()
    };
    let faults: Vec<String> = thread::scope(|scope| {
        let parts = all.chunks(all.len().div_ceil(HOUSES));
        let threads: Vec<_> = parts.map(|part| scope.spawn(move || play(part))).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("the houses come up")).collect()
    });
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
