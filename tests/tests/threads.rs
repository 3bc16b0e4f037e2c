//! Which cores the threads of a house run on, and for how long at a time: `/proc/PID/task` tells (`proc_pid_status(5)`).

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use guesthouse_tests::{House, Manifest, PATIENCE, Request};
use serde_json::json;

const SLICE_NS: &str = "100000";

/// The threads of this name.
fn threads(house: &House, name: &str) -> Vec<PathBuf> {
    let folder = format!("/proc/{}/task", house.pid().as_raw_nonzero());
    let all = fs::read_dir(folder).expect("the house lives").map(|thread| thread.unwrap().path());
    // One may end meanwhile.
    let is_named =
        |thread: &PathBuf| fs::read_to_string(thread.join("comm")).is_ok_and(|it| it.trim() == name);
    all.filter(is_named).collect()
}

/// The cores that a thread or process may run on, such as `0-3,7`.
fn cores(task: &Path) -> String {
    let status = fs::read_to_string(task.join("status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    line.unwrap_or_default().trim().to_owned()
}

/// Those of this test, and so of the houses that it starts.
fn all_cores() -> String {
    cores(Path::new("/proc/self"))
}

/// Each core in such a list.
fn each(list: &str) -> BTreeSet<String> {
    let core = |text: &str| text.parse::<usize>().expect("the number of a core");
    let ranges = list.split(',').map(|range| range.split_once('-').unwrap_or((range, range)));
    ranges.flat_map(|(first, last)| core(first)..=core(last)).map(|core| core.to_string()).collect()
}

/// The slice that a thread asks for, where this kernel tells of it.
fn slice_ns(thread: &Path) -> Option<String> {
    let told = fs::read_to_string(thread.join("sched")).ok()?;
    let line = told.lines().find(|line| line.starts_with("se.slice"))?;
    Some(line.rsplit(' ').next()?.to_owned())
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn each_thread_that_serves_has_a_core_of_its_own() {
    let house = House::start(&Manifest::new().app("spin", "spin", "limits.cpu-ms = 10000"));
    let given = each(&all_cores());
    // As in a container that has a share of many cores.
    let all = guesthouse_tests::cores();
    let fewer = all < given.len();
    let expected = if fewer { BTreeSet::new() } else { given };
    let kept = || {
        let serving = threads(&house, "tokio-rt-worker");
        let lists: Vec<_> =
            serving.iter().map(|thread| each(&cores(thread))).filter(|list| list.len() == 1).collect();
        let distinct: BTreeSet<_> = lists.iter().flatten().cloned().collect();
        (lists.len(), distinct)
    };
    wait_until("threads that serve have a core each", || kept() == (expected.len(), expected.clone()));

    let mut client = house.connect();
    client.send(Request::get("spin.test", "/").bytes());
    wait_until("a guest that computes is moved to the lane", || !threads(&house, "guests").is_empty());
    wait_until("the lane runs on all cores, as many threads as these", || {
        let lane = threads(&house, "guests");
        lane.len() == all && lane.iter().all(|thread| cores(thread) == all_cores())
    });
    for thread in [threads(&house, "tokio-rt-worker"), threads(&house, "guests")].concat() {
        if let Some(slice) = slice_ns(&thread) {
            assert_eq!(slice, SLICE_NS, "{}", thread.display());
        }
    }
}

#[test]
fn what_a_house_starts_runs_on_all_cores() {
    let keys = "instances = { isolation = \"request\", snapshot = true }\nlimits.cpu-ms = 10000";
    let house = House::start(&Manifest::new().app("initialised", "initialised", keys));
    let admin = house.api();
    let taken = thread::spawn(move || {
        admin.swap("initialised", &json!({ "settings": { "MARK": "next", "DO": "spin" } }))
    });
    let pid = house.pid().as_raw_nonzero();
    let children = || {
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
        let lists = tasks.filter_map(|task| fs::read_to_string(task.unwrap().path().join("children")).ok());
        lists.flat_map(|list| list.split(' ').map(str::to_owned).collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    let mut seen = String::new();
    wait_until("an image is taken", || {
        let of = |child: &String| cores(&Path::new("/proc").join(child));
        seen = children().iter().map(of).find(|list| !list.is_empty()).unwrap_or_default();
        !seen.is_empty()
    });
    assert_eq!(seen, all_cores());
    // An image that cannot be taken is done without.
    assert_eq!(taken.join().unwrap().status, 200);
}
