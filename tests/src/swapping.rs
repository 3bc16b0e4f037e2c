//! A house of which one app is swapped between two versions again and again, by file and through the admin interface.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use serde_json::json;
use tempfile::TempDir;

use crate::{Admin, Client, Floor, House, Manifest, Memory, PATIENCE, Version, component};

/// The house, and the number of the last swap. Odd swaps bring the second version of the code, even ones the first.
pub struct Swapping {
    pub house: House,
    pub api: Admin,
    /// The number of the last swap of the app that was done.
    pub floor: Floor,
    neighbours: Vec<String>,
    components: [PathBuf; 2],
    digests: [String; 2],
    swap: u64,
}

impl Swapping {
    /// Starts the house with an app `swapped` of the first of two guests, and with neighbours of it.
    ///
    /// # Panics
    ///
    /// When the house does not come up.
    pub fn start(guests: [&str; 2], neighbours: &[&str]) -> Swapping {
        let folder: TempDir = tempfile::tempdir().expect("a folder for the house");
        let components = guests.map(component);
        let neighbours: Vec<String> = neighbours.iter().map(|&name| name.to_owned()).collect();
        let first = folder.path().join("swapped-0.wasm");
        fs::copy(&components[0], &first).expect("a component");
        let manifest = manifest(&first, 0, &neighbours).text();
        let house = House::start_in(folder, &manifest, 1, |_| {});
        let api = house.api();
        let digests = [api.upload(&components[0]), api.upload(&components[1])];
        Swapping { house, api, floor: Floor::new(), neighbours, components, digests, swap: 0 }
    }

    /// For each app one client that keeps its connection, and one with a connection for each request.
    pub fn clients(&self, pace: Option<Duration>) -> Vec<Client> {
        let of = |app: &str, floor: &Floor| {
            let client = Client::new(&format!("{app}.test"), "/?pad=1000").checked(floor.check());
            let client = match pace {
                Some(pace) => client.paced(pace),
                None => client,
            };
            [client.clone(), client.fresh()]
        };
        let mut clients = of("swapped", &self.floor).to_vec();
        clients.extend(self.neighbours.iter().flat_map(|app| of(app, &Floor::new())));
        clients
    }

    /// Swaps by a new component file and a manifest that names it with the setting that belongs to it: how long it took
    /// from there to the first new answer.
    ///
    /// # Panics
    ///
    /// When there is no new answer.
    pub fn by_file(&mut self) -> Duration {
        self.swap += 1;
        let name = format!("swapped-{}.wasm", self.swap);
        self.house.replace(&name, fs::read(&self.components[self.version()]).expect("a component"));
        let path = self.house.folder().join(&name);
        let begun = Instant::now();
        self.house.rewrite(&manifest(&path, self.swap, &self.neighbours));
        self.house.wait_for_swap("swapped", self.swap);
        let took = begun.elapsed();
        self.floor.raise(self.swap);
        took
    }

    /// Swaps component and setting in one request: how long it took to be done.
    ///
    /// # Panics
    ///
    /// When it is refused, or a request afterwards sees the old generation.
    pub fn by_api(&mut self) -> Duration {
        self.swap += 1;
        let request = swap_request(&self.digests[self.version()], self.swap);
        let begun = Instant::now();
        let reply = self.api.swap("swapped", &request);
        let took = begun.elapsed();
        self.floor.raise(self.swap);
        let change = reply.action("swapped");
        let version = self.house.get("swapped", "/").version();
        assert_eq!(version.swap(), Some(self.swap), "the first request after {change:#}");
        assert_eq!(change["to"], version.generation, "{change:#}");
        took
    }

    fn version(&self) -> usize {
        usize::from(!self.swap.is_multiple_of(2))
    }
}

/// Swaps one app of any house between `version-1`, which it begins with, and `version-2`, through the admin interface.
pub struct Swapper {
    api: Admin,
    app: String,
    /// The number of the last swap that was done.
    pub floor: Floor,
    digests: [String; 2],
    swap: u64,
}

impl Swapper {
    /// # Panics
    ///
    /// When the components are not taken.
    pub fn new(api: Admin, app: &str) -> Swapper {
        let digests = ["version-1", "version-2"].map(|guest| api.upload(&component(guest)));
        Swapper { api, app: app.to_owned(), floor: Floor::new(), digests, swap: 0 }
    }

    /// # Panics
    ///
    /// When it is refused.
    pub fn swap(&mut self) {
        self.swap += 1;
        let digest = &self.digests[usize::from(!self.swap.is_multiple_of(2))];
        self.api.swap(&self.app, &swap_request(digest, self.swap)).action("swapped");
        self.floor.raise(self.swap);
    }
}

/// The request for a swap by its number.
pub(crate) fn swap_request(digest: &str, swap: u64) -> serde_json::Value {
    json!({ "component": digest, "settings": { "VERSION": Version::setting(1 + swap % 2, swap) } })
}

fn manifest(swapped: &std::path::Path, swap: u64, neighbours: &[String]) -> Manifest {
    let keys = format!("settings.VERSION = {:?}", Version::setting(1 + swap % 2, swap));
    let manifest = Manifest::new().app_of("swapped", swapped, &keys);
    neighbours.iter().fold(manifest, |manifest, app| {
        manifest.version(app, 1, 0, &format!("instances.isolation = {:?}", isolation(app)))
    })
}

/// Neighbours live in both ways.
fn isolation(app: &str) -> &'static str {
    if app.len().is_multiple_of(2) { "request" } else { "reuse" }
}

/// Swaps so often through the admin interface, with a few requests to each generation, and gives the memory after ten
/// swaps and after all. Waits until no old generation is left; and, since the allocator may give back late, for as long
/// as the growth is above the bound.
///
/// # Panics
///
/// When a swap is refused.
pub fn growth(swaps: usize, bound_kib: u64) -> (Memory, Memory) {
    let mut swapping = Swapping::start(["version-1", "version-2"], &[]);
    let mut after_ten = swapping.house.memory();
    for swap in 1..=swaps {
        swapping.by_api();
        for _ in 0..4 {
            swapping.house.get("swapped", "/?pad=10000").version();
        }
        if swap == 10 {
            after_ten = swapping.settled();
        }
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        let after_all = swapping.settled();
        if after_all.now_kib <= after_ten.now_kib + bound_kib || Instant::now() >= deadline {
            return (after_ten, after_all);
        }
    }
}

impl Swapping {
    fn settled(&self) -> Memory {
        self.api.wait_for_app("swapped", "the end of the old generations", |app| {
            app["draining"].as_array().is_some_and(Vec::is_empty)
        });
        self.house.memory()
    }
}
