//! A Django page: template, middleware, session cookie and CSRF token, in Guesthouse and natively.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};

use super::{NO_IMAGES, entrant};
use crate::{
    Bench,
    contest::contest,
    load::{Expected, Gap, Until, each_once, fetch},
    machine::cores,
    progress,
    report::{Goal, Row, Unit},
    statistics::{Summary, percentile},
    systems::{App, House, Isolation, gunicorn},
};

/// What is new in each answer.
const GAPS: [Gap; 2] =
    [("name=\"csrfmiddlewaretoken\" value=\"", "\""), ("<p class=\"quiet\">It is now ", " (")];

/// The setting that tells one site from another, and what it is where nothing sets it.
const TITLE: (&str, &str) = ("SITE_TITLE", "The Old Guestbook");

/// The page of a site with this title, learnt from a server of the project.
pub(super) fn page(address: SocketAddr, host: &str, title: &str) -> Result<Expected> {
    let body = fetch(address, host, "/")?;
    let text = String::from_utf8_lossy(&body);
    ensure!(text.contains(&format!("<title>{title}</title>")), "not the page of `{title}`: {text}");
    Expected::page(&body, &GAPS)
}

/// A site with a title of its own.
pub(super) fn site(bench: &Bench, number: usize, isolation: Isolation) -> (App, String) {
    let title = format!("Site {number}");
    (App::new(&format!("site-{number}"), &bench.guests.django, isolation).setting(TITLE.0, &title), title)
}

pub(super) fn fresh(bench: &Bench) -> Result<Vec<Row>> {
    let case = "Django page, fresh instances from an image";
    let time = Row::new(case, "time of a request, one client", Unit::Milliseconds).goal(Goal::Below(5.0));
    let rate = Row::new(case, "requests/s", Unit::PerSecond).goal(Goal::AtLeast(350.0));
    if !bench.has_images {
        return Ok(vec![time.note(NO_IMAGES), rate.note(NO_IMAGES)]);
    }
    let app = App::new("legacy", &bench.guests.django, Isolation::FreshFromImage);
    let house = House::of(&bench.guests.house, std::slice::from_ref(&app))?;
    house.prepare("Django")?;
    let server = house.open()?;
    let all = entrant(&server, &app.host(), &page(server.address, &app.host(), TITLE.1)?);
    let mut one = entrant(&server, &app.host(), &all.load.expected);
    one.load = one.load.with(1, Until::Time(bench.turn));
    let outcomes = contest(bench, case, &[one, all])?;
    let [one, all] = &outcomes[..] else { anyhow::bail!("two loads, two outcomes") };
    Ok(vec![house.noted(time.ours(one.p50_ms.clone())), house.noted(rate.our_rate(all))])
}

pub(super) fn reused(bench: &Bench) -> Result<Vec<Row>> {
    let isolation = if bench.has_images { Isolation::ReuseFromImage } else { Isolation::Reuse };
    let app = App::new("legacy", &bench.guests.django, isolation);
    let house = House::of(&bench.guests.house, std::slice::from_ref(&app))?;
    house.prepare("Django")?;
    let ours = house.open()?;
    let project = &bench.guests.django_project;
    let venv = bench.installed.gunicorn(&project.join("requirements.txt"))?;
    let peer = gunicorn(&venv, project, cores())?;
    // What the page is, the native server says.
    let expected = page(peer.address, &app.host(), TITLE.1)?;
    let case = "Django page, reused instances from an image";
    let entrants = [entrant(&ours, &app.host(), &expected), entrant(&peer, &app.host(), &expected)];
    let outcomes = contest(bench, case, &entrants)?;
    let [ours, peer] = &outcomes[..] else { anyhow::bail!("two systems, two outcomes") };
    let workers = format!("gunicorn, {} workers", cores());
    let row = Row::new(case, "requests/s", Unit::PerSecond).our_rate(ours).peer_rate(&workers, peer);
    Ok(vec![row.goal(Goal::RatioAtLeast(0.8))])
}

/// Each site of a house that has just been opened, asked once.
pub(super) fn first_answer(bench: &Bench) -> Result<Vec<Row>> {
    let case = "first answer of an app never used, Django";
    let kinds: &[(&str, Isolation)] = if bench.has_images {
        &[
            ("fresh, from an image", Isolation::FreshFromImage),
            ("reused, from an image", Isolation::ReuseFromImage),
        ]
    } else {
        &[("reused, without an image", Isolation::Reuse)]
    };
    let mut rows = Vec::new();
    for (kind, isolation) in kinds {
        let sites: Vec<_> = (0..bench.sites).map(|number| site(bench, number, *isolation)).collect();
        let apps: Vec<App> = sites.iter().map(|(app, _)| app.clone()).collect();
        let house = House::of(&bench.guests.house, &apps)?;
        house.prepare("Django")?;
        let expected: Result<Vec<_>> = {
            let server = house.open()?;
            sites
                .iter()
                .map(|(app, title)| Ok((app.host(), page(server.address, &app.host(), title)?)))
                .collect()
        };
        let expected = expected?;
        let mut p99_ms = Vec::new();
        for number in 1..=bench.rounds {
            let mut seconds = Vec::new();
            for _ in 0..bench.openings {
                let server = house.open()?;
                seconds.extend(each_once(server.address, &expected).with_context(|| server.said())?);
            }
            p99_ms.push(percentile(&mut seconds, 99.0).context("no sites")? * 1000.0);
            progress(&format!("first answers, Django {kind}, round {number} of {}", bench.rounds));
        }
        let answers = bench.sites * bench.openings;
        let row = Row::new(case, format!("p99 of {answers} answers, {kind}"), Unit::Milliseconds);
        let row = row.ours(Summary::of(p99_ms).context("no rounds")?).goal(Goal::Below(25.0));
        rows.push(if bench.has_images { house.noted(row) } else { row.note(NO_IMAGES) });
    }
    Ok(rows)
}
