//! A house that is killed at random moments while it is swapped through the admin interface, and started again.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

use crate::{Admin, House, Manifest, Random, component, swapping::swap_request};

/// What many kills came to.
#[derive(Debug, Default)]
pub struct Killed {
    pub kills: usize,
    /// Swaps that the house answered with "done".
    pub acknowledged: u64,
    /// Kills after which the swap in flight was there though nobody had been told so yet.
    pub in_flight_served: usize,
}

/// Kills and restarts so often, and after each restart wants a whole generation: the one that was acknowledged last, or
/// the one in flight.
///
/// # Panics
///
/// Where a restart serves anything else, or does not come up.
pub fn kill_while_swapping(kills: usize, seed: u64) -> Killed {
    let folder = tempfile::tempdir().expect("a folder for the house");
    let manifest = Manifest::new().head("[host]\nwatch = false").version("swapped", 1, 0, "");
    std::fs::write(folder.path().join("guesthouse.toml"), manifest.text()).expect("the manifest is written");
    let mut random = Random::new(seed);
    let mut killed = Killed::default();
    // The number of the last swap that was asked for, of the last that was answered, and the latter's generation.
    let (asked, answered, generation) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(1));
    loop {
        let house = House::start_at(folder.path(), 1, |_| {});
        let version = house.get("swapped", "/").version();
        let swap = version.swap().expect("the number of a swap");
        let (was_asked, was_answered) = (asked.load(Ordering::SeqCst), answered.load(Ordering::SeqCst));
        assert!(
            swap == was_answered || swap == was_asked,
            "after kill {}: {version:?}, though {was_answered} was acknowledged and {was_asked} in flight",
            killed.kills
        );
        assert!(version.generation >= generation.load(Ordering::SeqCst), "numbers go on: {version:?}");
        killed.in_flight_served += usize::from(swap != was_answered);
        answered.store(swap, Ordering::SeqCst);
        asked.store(swap, Ordering::SeqCst);
        if killed.kills == kills {
            return killed;
        }
        let api = house.api();
        let moment = Duration::from_micros(random.below(120_000) as u64);
        killed.acknowledged += thread::scope(|scope| {
            let swapping = scope.spawn(|| swap_until_gone(&api, &asked, &answered, &generation));
            // The moment is random, and means to be so: it is not waited for anything.
            thread::sleep(moment);
            // Dropped, it is killed.
            drop(house);
            swapping.join().expect("a client of the admin interface")
        });
        killed.kills += 1;
    }
}

/// Swaps until the house is gone: how many times it said "done".
fn swap_until_gone(api: &Admin, asked: &AtomicU64, answered: &AtomicU64, generation: &AtomicU64) -> u64 {
    let upload = |guest| {
        let reply = api.try_upload(std::fs::read(component(guest)).expect("a component")).ok()?;
        assert_eq!(reply.status, 201, "{reply}");
        Some(reply.body["digest"].as_str()?.to_owned())
    };
    let Some(digests) = upload("version-1").zip(upload("version-2")) else { return 0 };
    for count in 0.. {
        let swap = asked.fetch_add(1, Ordering::SeqCst) + 1;
        let digest = if swap.is_multiple_of(2) { &digests.0 } else { &digests.1 };
        let Ok(reply) = api.try_swap("swapped", &swap_request(digest, swap)) else { return count };
        let to = reply.action("swapped")["to"].as_u64().expect("a generation");
        answered.store(swap, Ordering::SeqCst);
        generation.store(to, Ordering::SeqCst);
    }
    0
}
