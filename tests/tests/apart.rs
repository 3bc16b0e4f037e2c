//! No app ever sees anything of another's: random houses, in which settings, environments, files and requests have marks
//! that say whose they are, while instances are fresh or reused, start from images or not, trap, and are swapped.
//!
//! `GUESTHOUSE_HOUSES=100 cargo test -p guesthouse-tests --test apart` tries more of them, and
//! `GUESTHOUSE_SEED` begins with another than the first: that of a house which failed is in its message.

use std::{
    collections::BTreeSet,
    env,
    fmt::{self, Write as _},
    fs,
    path::Path,
    thread,
};

use guesthouse_tests::{House, Manifest, Random, Request, Response};
use serde_json::{Value, json};

const HOUSES: u64 = 4;
const CLIENTS: usize = 4;
/// Of each client.
const REQUESTS: usize = 60;
const SWAPS: usize = 8;
/// One of so many requests makes its instance trap.
const TRAPS: usize = 8;

const BEGIN: &str = "~~of-";

/// What an app of a random house is like.
struct App {
    name: String,
    guest: &'static str,
    fresh: bool,
    snapshot: bool,
    environment: bool,
    files: bool,
    /// Another route, with a setting of its own.
    overlay: bool,
    reuse_max: usize,
    concurrency: usize,
}

impl App {
    fn random(number: usize, random: &mut Random) -> App {
        let mut chance = || random.below(2) == 0;
        App {
            name: format!("app-{number}"),
            guest: if chance() { "sees" } else { "sees-p3" },
            fresh: chance(),
            snapshot: chance(),
            environment: chance(),
            files: chance(),
            overlay: chance(),
            reuse_max: [1, 2, 7, 1000][random.below(4)],
            concurrency: [1, 2, 16][random.below(3)],
        }
    }

    fn mark(&self, of: impl fmt::Display) -> String {
        format!("{BEGIN}{}.{of}~", self.name)
    }

    fn settings(&self, swap: usize) -> Value {
        let mark = self.mark(format_args!("setting.{swap}"));
        json!({ "MARK": mark, "NESTED": { "list": [mark, 1, true] } })
    }

    /// What the manifest says of it. Its folder is made with its file in it.
    fn keys(&self, folder: &Path) -> String {
        let App { name, .. } = self;
        let mut routes = format!("{:?}", self.host());
        if self.overlay {
            let mark = self.mark("overlay");
            let host = self.host_with_overlay();
            let _ = write!(routes, ", {{ route = {host:?}, settings = {{ OVERLAY = {mark:?} }} }}");
        }
        let mark = self.mark("setting.0");
        let isolation = if self.fresh { "request" } else { "reuse" };
        let mut keys = format!(
            "routes = [{routes}]\nsettings = {{ MARK = {mark:?}, NESTED.list = [{mark:?}, 1, true] }}\n\
             instances.isolation = {isolation:?}\ninstances.snapshot = {}\n",
            self.snapshot,
        );
        if !self.fresh {
            let _ = writeln!(keys, "instances.reuse-max = {}", self.reuse_max);
        }
        if self.requests_meet() {
            let _ = writeln!(keys, "instances.concurrency = {}", self.concurrency);
        }
        if self.environment {
            let _ = writeln!(keys, "grants.env = {{ MARKED = {:?} }}", self.mark("environment"));
        }
        if self.files {
            let own = folder.join(name);
            fs::create_dir(&own).expect("a folder");
            fs::write(own.join("file"), self.mark("file")).expect("a file");
            let _ = writeln!(keys, "grants.dirs = {{ \"/files\" = {{ path = {own:?} }} }}");
        }
        keys
    }

    fn host(&self) -> String {
        format!("{}.test", self.name)
    }

    fn host_with_overlay(&self) -> String {
        format!("{}-too.test", self.name)
    }

    /// Whether several requests may be in one instance at once, which all fail where one of them traps.
    fn requests_meet(&self) -> bool {
        !self.fresh && self.guest == "sees-p3"
    }

    /// Asks once, and says what is wrong with the answer. Gives the number of the settings that it was made with, where it
    /// was made.
    fn ask(&self, house: &House, number: &str, random: &mut Random) -> Result<Option<usize>, String> {
        let overlay = self.overlay && random.below(2) == 0;
        let trap = random.below(TRAPS) == 0;
        let host = if overlay { self.host_with_overlay() } else { self.host() };
        let own = format!("request.{number}");
        let path = if trap { "/trap" } else { "/" };
        let request = Request::get(&host, &format!("{path}?mark={}", self.mark(&own)));
        let mut connection = house.connect();
        connection.send(request.bytes());
        let response = match connection.try_response("GET") {
            Ok(response) => response,
            Err(_) if self.requests_meet() => return Ok(None),
            Err(broken) => return Err(format!("{host}{path}: {broken}")),
        };

        let text = response.text();
        if let Some(other) = marks(&text).find(|mark| self.kind(mark).is_none()) {
            return Err(format!("{} was told of {other}: {text}", self.name));
        }
        match response.status() {
            200 if !trap => self.check(&response, overlay, &own).map(Some),
            500 if trap || self.requests_meet() => Ok(None),
            status => Err(format!("{host}{path} answered {status}: {text}")),
        }
    }

    /// What an answer shows has to be just what this app has; what is anywhere in memory has to be its own.
    fn check(&self, response: &Response, overlay: bool, own: &str) -> Result<usize, String> {
        let answer = response.json();
        let kinds = |field: &str| -> Result<BTreeSet<String>, String> {
            let marks = answer[field].as_array().ok_or_else(|| format!("no {field} in {answer}"))?;
            let own = |mark: &Value| self.kind(mark.as_str()?).map(str::to_owned);
            marks.iter().map(|mark| own(mark).ok_or_else(|| format!("{} sees {mark}", self.name))).collect()
        };
        let (shown, mut memory) = (kinds("shown")?, kinds("memory")?);

        let settings: Vec<String> =
            shown.iter().filter(|kind| kind.starts_with("setting.")).cloned().collect();
        let [setting] = settings.as_slice() else {
            return Err(format!("{} has settings {settings:?} at once", self.name));
        };
        let mut expected = BTreeSet::from([setting.clone()]);
        let given = [("environment", self.environment), ("file", self.files), ("overlay", overlay)];
        expected.extend(given.iter().filter(|(_, given)| *given).map(|(kind, _)| (*kind).to_owned()));
        if shown != expected {
            return Err(format!("{} is shown {shown:?} instead of {expected:?}", self.name));
        }

        // An instance that is used again may know of what it was asked before, and nobody else.
        expected.insert(own.to_owned());
        if !memory.is_superset(&expected) {
            return Err(format!("{} does not find {expected:?} in its memory, but {memory:?}", self.name));
        }
        if !self.fresh {
            memory.retain(|kind| {
                expected.contains(kind) || !(kind.starts_with("request.") || kind == "overlay")
            });
        }
        if memory != expected {
            return Err(format!("{} has {memory:?} in its memory instead of {expected:?}", self.name));
        }
        setting.trim_start_matches("setting.").parse().map_err(|why| format!("{setting}: {why}"))
    }

    /// The kind of one of this app's marks; none of another's.
    fn kind<'a>(&self, mark: &'a str) -> Option<&'a str> {
        mark.strip_prefix(&self.name)?.strip_prefix('.')
    }
}

/// All marks in a text, without what they begin and end with.
fn marks(text: &str) -> impl Iterator<Item = &str> {
    text.split(BEGIN).skip(1).filter_map(|rest| rest.split_once('~')).map(|(mark, _)| mark)
}

/// One random house.
///
/// # Errors
///
/// Says what was seen that should not be.
fn try_house(seed: u64) -> Result<(), String> {
    let mut random = Random::new(seed);
    let apps: Vec<App> = (0..2 + random.below(4)).map(|number| App::random(number, &mut random)).collect();
    let files = tempfile::tempdir().expect("a folder");
    let manifest = apps
        .iter()
        .fold(Manifest::new(), |manifest, app| manifest.app(&app.name, app.guest, &app.keys(files.path())));
    let house = House::start(&manifest);

    let client = |client: usize| -> Result<usize, String> {
        let mut random = Random::new(seed ^ ((client as u64 + 1) << 32));
        let mut answered = 0;
        for request in 0..REQUESTS {
            let app = &apps[random.below(apps.len())];
            answered += usize::from(app.ask(&house, &format!("{client}-{request}"), &mut random)?.is_some());
        }
        Ok(answered)
    };
    let swapper = || -> Result<(), String> {
        let mut random = Random::new(!seed);
        for swap in 1..=SWAPS {
            let app = &apps[random.below(apps.len())];
            house.api().swap(&app.name, &json!({ "settings": app.settings(swap) })).done();
            // It may be asked in vain, when others make it trap.
            let asked = (0..)
                .find_map(|time| app.ask(&house, &format!("swap-{swap}-{time}"), &mut random).transpose());
            match asked.expect("an answer")? {
                now if now == swap => {}
                now => return Err(format!("{} is at settings {now} after swap {swap}", app.name)),
            }
        }
        Ok(())
    };
    let answered = thread::scope(|scope| {
        let client = &client;
        let clients: Vec<_> = (0..CLIENTS).map(|number| scope.spawn(move || client(number))).collect();
        swapper()?;
        clients.into_iter().map(|client| client.join().expect("a client")).sum::<Result<usize, String>>()
    })?;
    assert!(answered > CLIENTS * REQUESTS / 2, "only {answered} answers of seed {seed} were looked at");

    let stopped = house.stop();
    let mut lines = 0;
    for line in stopped.log {
        let (text, app) = (line.to_string(), line.text("app"));
        for mark in marks(&text) {
            lines += 1;
            if mark.split('.').next() != Some(&app) {
                return Err(format!("a line of {app:?} has {mark}: {text}"));
            }
        }
    }
    assert!(lines > answered, "only {lines} marks were logged with seed {seed}");
    Ok(())
}

fn number(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |value| value.parse().unwrap_or_else(|why| panic!("{name}: {why}")))
}

#[test]
fn apps_see_nothing_of_each_other() {
    let first = number("GUESTHOUSE_SEED", 1);
    for seed in first..first + number("GUESTHOUSE_HOUSES", HOUSES) {
        if let Err(seen) = try_house(seed) {
            panic!("with GUESTHOUSE_SEED={seed}: {seen}");
        }
    }
}
