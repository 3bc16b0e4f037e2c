//! The state of a house as a table for people.

use std::fmt::Write;

use crate::reload::change::{AppStatus, GenerationStatus, Status, Sticky};

const HEAD: [&str; 11] = [
    "APP",
    "GENERATION",
    "COMPONENT",
    "SINCE",
    "REQUESTS",
    "FAILURES",
    "P50 MS",
    "P99 MS",
    "INSTANCES",
    "IN FLIGHT",
    "WAITING",
];
/// Columns of numbers, which end at one line.
const NUMBERS_FROM: usize = 4;
/// Hexadecimal digits of a component's digest.
const DIGEST_CHARS: usize = 12;

pub(super) fn table(status: &Status) -> String {
    let mut text = head(status);
    if status.apps.is_empty() {
        text.push_str("no apps\n");
        return text;
    }
    let mut rows = vec![HEAD.map(str::to_owned).to_vec()];
    for app in &status.apps {
        rows.extend(rows_of(app));
    }
    text.push_str(&aligned(&rows));
    let remarks: Vec<String> = status.apps.iter().flat_map(remarks).collect();
    if !remarks.is_empty() {
        let _ = write!(text, "\n{}\n", remarks.join("\n"));
    }
    text
}

fn head(status: &Status) -> String {
    let mut text = format!(
        "guesthouse {} (process {}), up {}, {} request(s) in flight, {} connection(s){}\nmanifest {}\n",
        status.version,
        status.pid,
        span(status.uptime_seconds),
        status.requests_in_flight,
        status.connections,
        if status.draining { ", ending" } else { "" },
        status.manifest,
    );
    for url in &status.listeners {
        let _ = writeln!(text, "listening on {url}");
    }
    if status.connections_refused > 0 {
        let _ = writeln!(
            text,
            "{} connection(s) refused: their clients had `connections-per-client` already",
            status.connections_refused
        );
    }
    if let Some(reload) = &status.last_reload {
        let _ = match &reload.refused {
            Some(why) => {
                writeln!(text, "last reload at {} (by {}) was refused:\n{why}", moment(&reload.at), reload.by)
            }
            None => writeln!(text, "last reload at {} (by {})", moment(&reload.at), reload.by),
        };
    }
    text.push('\n');
    text
}

/// The generation that serves, then the canary, those that can be gone back to, and those that end.
fn rows_of(app: &AppStatus) -> Vec<Vec<String>> {
    let mut rows = vec![row(&app.name, "", &app.serving)];
    if let Some(canary) = &app.canary {
        let by = match canary.share.sticky {
            Sticky::Address => "address",
            Sticky::Cookie => "cookie",
        };
        rows.push(row("", &format!(" canary {}% by {by}", canary.share.percent), &canary.generation));
    }
    for kept in &app.kept {
        rows.push(row("", if kept.failed.is_some() { " kept, failed" } else { " kept" }, kept));
    }
    for draining in &app.draining {
        let mut row = vec![String::new(), format!("{} draining", draining.number)];
        row.extend((0..7).map(|_| String::new()));
        row.push(draining.in_flight.to_string());
        rows.push(row);
    }
    if let Some(statics) = &app.statics {
        let cells = [
            "",
            "static files",
            "",
            "",
            &statics.requests.to_string(),
            &statics.failures.to_string(),
            "",
            "",
            "",
            &statics.in_flight.to_string(),
        ];
        rows.push(cells.map(str::to_owned).to_vec());
    }
    rows
}

fn row(app: &str, role: &str, generation: &GenerationStatus) -> Vec<String> {
    let digest = generation.component.trim_start_matches("sha256:");
    vec![
        app.to_owned(),
        format!("{}{role}", generation.number),
        digest.chars().take(DIGEST_CHARS).collect(),
        moment(&generation.since),
        generation.requests.to_string(),
        generation.failures.to_string(),
        format!("{:.1}", generation.latency_ms.p50),
        format!("{:.1}", generation.latency_ms.p99),
        generation.instances.to_string(),
        generation.in_flight.to_string(),
        generation.waiting.to_string(),
    ]
}

/// What an operator should look at.
fn remarks(app: &AppStatus) -> Vec<String> {
    let mut remarks = Vec::new();
    let name = &app.name;
    let canary = app.canary.as_ref().map(|canary| &canary.generation);
    for generation in [Some(&app.serving), canary].into_iter().flatten() {
        if let Some(ms) = generation.throttled_ms {
            let number = generation.number;
            remarks.push(format!(
                "{name}: generation {number} crashes again and again, requests are turned away for {:.1} s",
                ms as f64 / 1e3
            ));
        }
    }
    for generation in [Some(&app.serving), canary].into_iter().flatten() {
        if let Some(why) = generation.image.as_ref().and_then(|image| image.why.as_ref()) {
            remarks.push(format!("{name}: generation {} starts without an image: {why}", generation.number));
        }
    }
    for generation in [Some(&app.serving), canary].into_iter().flatten().chain(&app.kept) {
        if let Some(why) = &generation.failed {
            remarks.push(format!("{name}: generation {} failed: {why}", generation.number));
        }
    }
    if let Some(statics) = app.statics.filter(|statics| statics.refused > 0) {
        remarks.push(format!(
            "{name}: {} request(s) for static files refused: `limits.static-files` were being sent already",
            statics.refused
        ));
    }
    if let Some(trouble) = &app.trouble {
        remarks.push(format!("{name}: at {}: {}", moment(&trouble.at), trouble.message));
    }
    if app.differs_from_manifest {
        remarks.push(format!("{name}: differs from the manifest, by a swap or a rollback"));
    }
    remarks
}

/// Columns two spaces apart, texts to the left and numbers to the right.
fn aligned(rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..HEAD.len()).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> =
            row.iter()
                .zip(&widths)
                .enumerate()
                .map(|(column, (cell, width))| {
                    if column < NUMBERS_FROM { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
                })
                .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// RFC 3339 to the second.
fn moment(rfc3339: &str) -> String {
    match rfc3339.split_once('.') {
        Some((seconds, _)) if rfc3339.ends_with('Z') => format!("{seconds}Z"),
        _ => rfc3339.to_owned(),
    }
}

fn span(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    match (whole / 86_400, whole / 3600 % 24, whole / 60 % 60, whole % 60) {
        (0, 0, 0, seconds) => format!("{seconds} s"),
        (0, 0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (0, hours, minutes, _) => format!("{hours} h {minutes} min"),
        (days, hours, ..) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reload::change::{
        CanaryShare, CanaryStatus, DrainingStatus, LastReload, Latency, StaticStatus, Trouble,
    };

    fn generation(number: u64) -> GenerationStatus {
        GenerationStatus {
            number,
            component: format!("sha256:{}", "0123456789abcdef".repeat(4)),
            since: "2026-01-02T03:04:05.678Z".into(),
            origin: "swap".into(),
            failed: None,
            image: None,
            requests: 12_345,
            failures: 6,
            causes: Default::default(),
            latency_ms: Latency { p50: 1.25, p99: 48.0, max: 90.0 },
            in_flight: 7,
            waiting: 0,
            outgoing: 0,
            refused: 0,
            keyvalue_refused: 0,
            memory_bytes: 0,
            memory_refused: 0,
            lines_dropped: 0,
            instances: 3,
            throttled_ms: None,
        }
    }

    #[test]
    fn a_house_as_a_table() {
        let share = CanaryShare { percent: 5.0, sticky: Sticky::Cookie };
        let shop = AppStatus {
            name: "shop".into(),
            routes: vec!["shop.test".into()],
            serving: generation(4),
            canary: Some(CanaryStatus { share, generation: generation(5) }),
            kept: vec![GenerationStatus { failed: Some("it trapped".into()), ..generation(3) }],
            draining: vec![DrainingStatus { number: 2, in_flight: 1 }],
            statics: Some(StaticStatus { requests: 99, failures: 1, refused: 2, in_flight: 3 }),
            differs_from_manifest: true,
            trouble: Some(Trouble {
                at: "2026-01-02T03:04:05Z".into(),
                message: "it is no component".into(),
            }),
        };
        let reload = LastReload { at: "2026-01-02T03:04:05.9Z".into(), by: "watch".into(), refused: None };
        let status = Status {
            version: "0.1.0".into(),
            pid: 17,
            manifest: "/srv/guesthouse.toml".into(),
            started: "2026-01-02T03:04:05Z".into(),
            uptime_seconds: 3725.5,
            listeners: vec!["http://127.0.0.1:8000".into()],
            requests_in_flight: 8,
            connections: 12,
            connections_refused: 3,
            draining: false,
            last_reload: Some(reload),
            apps: vec![shop],
        };
        let wanted = "\
guesthouse 0.1.0 (process 17), up 1 h 2 min, 8 request(s) in flight, 12 connection(s)
manifest /srv/guesthouse.toml
listening on http://127.0.0.1:8000
3 connection(s) refused: their clients had `connections-per-client` already
last reload at 2026-01-02T03:04:05Z (by watch)

APP   GENERATION             COMPONENT     SINCE                 REQUESTS  FAILURES  P50 MS  P99 MS  INSTANCES  IN FLIGHT  WAITING
shop  4                      0123456789ab  2026-01-02T03:04:05Z     12345         6     1.2    48.0          3          7        0
      5 canary 5% by cookie  0123456789ab  2026-01-02T03:04:05Z     12345         6     1.2    48.0          3          7        0
      3 kept, failed         0123456789ab  2026-01-02T03:04:05Z     12345         6     1.2    48.0          3          7        0
      2 draining                                                                                                        1
      static files                                                     99         1                                     3

shop: generation 3 failed: it trapped
shop: 2 request(s) for static files refused: `limits.static-files` were being sent already
shop: at 2026-01-02T03:04:05Z: it is no component
shop: differs from the manifest, by a swap or a rollback
";
        assert_eq!(table(&status), wanted);
        assert!(table(&Status { apps: Vec::new(), ..status }).ends_with("no apps\n"));
    }
}
