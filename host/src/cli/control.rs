//! The commands that talk to a running house through its admin interface.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::{ManifestArg, Reported, changes, env, lines, overlay, parse_listen, print, say, show, status};
use crate::{
    admin::client::{self, Client},
    engine::cache::ComponentDigest,
    plan::{self, ListenAddr},
    reload::change::{
        CanaryShare, Change, Reloaded, RollbackRequest, Status, Sticky, StoredComponent, SwapRequest,
    },
    report::Level,
};

/// Which house.
#[derive(clap::Args)]
pub(super) struct HouseArg {
    #[command(flatten)]
    manifest: ManifestArg,
    /// The house that listens here for admin requests, `unix:/path` or `127.0.0.1:9000`, instead of the manifest's
    #[arg(long, value_name = "ADDR", value_parser = parse_listen)]
    admin: Option<ListenAddr>,
    /// The file with the bearer token, instead of the manifest's `admin-token-file`
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true))]
pub(super) struct SwapArgs {
    /// The app
    app: String,
    /// The component to swap in; without it, that of the present generation stays
    #[arg(group = "what")]
    file: Option<PathBuf>,
    /// A TOML file of settings to lay over the present ones: tables merge, anything else is replaced
    ///
    /// It is taken as it is written: no variables are replaced in it.
    #[arg(long, value_name = "FILE.toml", group = "what")]
    settings: Option<PathBuf>,
    /// One setting to lay over the present ones; may be repeated
    ///
    /// KEY may be dotted (`site.title`). VALUE is a TOML value where it is one (`5`, `true`, `["a", "b"]`, `"5"`), and a
    /// text otherwise.
    #[arg(long, value_name = "KEY=VALUE", value_parser = overlay::parse_setting, group = "what")]
    set: Vec<overlay::Setting>,
    /// Let the new generation serve this part of the clients, until `promote` or `abort`
    #[arg(long, value_name = "PERCENT", value_parser = parse_percent)]
    canary: Option<f64>,
    /// How the clients of a canary are told apart
    #[arg(
        long,
        requires = "canary",
        default_value = "address",
        value_parser = PossibleValuesParser::new(["address", "cookie"]).map(|text| sticky(&text))
    )]
    sticky: Sticky,
}

/// `5%` or `5`.
fn parse_percent(text: &str) -> Result<f64, String> {
    let percent = text.strip_suffix('%').unwrap_or(text).trim().parse::<f64>().ok();
    percent.filter(|percent| *percent > 0.0 && *percent < 100.0).ok_or_else(|| {
        "a part of the clients is more than 0 and less than 100 per cent, such as 5%".to_owned()
    })
}

fn sticky(text: &str) -> Sticky {
    if text == "cookie" { Sticky::Cookie } else { Sticky::Address }
}

impl HouseArg {
    fn client(self) -> Result<Client> {
        let manifest = self.manifest.manifest;
        let admin = client::find(self.admin, self.token_file, || by_manifest(&manifest))?;
        Client::new(&admin)
    }
}

/// The admin listener that a manifest names.
fn by_manifest(path: &Path) -> Result<Option<plan::Admin>> {
    plan::admin(path, &env).map_err(|report| {
        show(&report.at_least(Level::Error));
        Reported.into()
    })
}

/// The path of what can be done with an app.
fn of_app(app: &str, action: &str) -> Result<String> {
    // Names of apps need no escaping (`plan::names`); what would is none.
    let fine = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
    ensure!(!app.is_empty() && app.bytes().all(fine), "`{app}` is no name of an app");
    Ok(format!("/v1/apps/{app}/{action}"))
}

pub(super) async fn status(house: HouseArg, json: bool) -> Result<()> {
    let client = house.client()?;
    if json {
        // As the house says it, fields of later versions included.
        let status: serde_json::Value = client.get("/v1/status").await?;
        return print(&serde_json::to_string_pretty(&status)?);
    }
    let status: Status = client.get("/v1/status").await?;
    print(&status::table(&status))
}

pub(super) async fn swap(house: HouseArg, swap: SwapArgs) -> Result<()> {
    let client = house.client()?;
    let path = of_app(&swap.app, "swap")?;
    let settings = overlay::settings(swap.settings.as_deref(), swap.set)?;
    let component = match &swap.file {
        Some(file) => Some(uploaded(&client, file).await?),
        None => None,
    };
    let canary = swap.canary.map(|percent| CanaryShare { percent, sticky: swap.sticky });
    let change: Change = client.post(&path, Some(&SwapRequest { component, settings, canary })).await?;
    print(&changes::line(&change))
}

/// The digest of a component that is in the house's store; it is sent there where it is not.
async fn uploaded(client: &Client, file: &Path) -> Result<String> {
    let hashed = file.to_owned();
    let digest = tokio::task::spawn_blocking(move || ComponentDigest::of_file(&hashed)).await??;
    let digest = format!("sha256:{}", digest.as_str());
    let there: Option<StoredComponent> = client.find(&format!("/v1/components/{digest}")).await?;
    if there.is_none() {
        let stored = client.upload(file).await?;
        ensure!(
            stored.digest == digest,
            "{} was changed while it was read: try again when it is complete",
            file.display()
        );
    }
    Ok(digest)
}

pub(super) async fn promote(house: HouseArg, app: &str) -> Result<()> {
    changed(house, app, "promote", None).await
}

pub(super) async fn abort(house: HouseArg, app: &str) -> Result<()> {
    changed(house, app, "abort", None).await
}

pub(super) async fn rollback(house: HouseArg, app: &str, to: Option<u64>) -> Result<()> {
    changed(house, app, "rollback", Some(RollbackRequest { to })).await
}

async fn changed(house: HouseArg, app: &str, action: &str, body: Option<RollbackRequest>) -> Result<()> {
    let path = of_app(app, action)?;
    let change: Change = house.client()?.post(&path, body.as_ref()).await?;
    print(&changes::line(&change))
}

pub(super) async fn reload(house: HouseArg) -> Result<()> {
    let reloaded: Reloaded = house.client()?.post("/v1/reload", None::<&()>).await?;
    print(&changes::reloaded(&reloaded))?;
    // What was refused of an app leaves the rest in place, and is still no success.
    if changes::any_refused(&reloaded) { Err(Reported.into()) } else { Ok(()) }
}

pub(super) async fn drain(house: HouseArg) -> Result<()> {
    house.client()?.tell("/v1/drain").await?;
    say("the house finishes the requests in flight and ends");
    Ok(())
}

#[derive(clap::Args)]
pub(super) struct LogsArgs {
    /// Only lines of this app
    app: Option<String>,
    /// How many of the latest lines
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100)]
    lines: usize,
    /// Go on with lines as they come, until interrupted
    #[arg(short, long)]
    follow: bool,
    /// Print the JSON objects of the log, one a line
    #[arg(long)]
    json: bool,
}

pub(super) async fn logs(house: HouseArg, logs: LogsArgs) -> Result<()> {
    let client = house.client()?;
    let mut path = format!("/v1/logs?lines={}&follow={}", logs.lines, logs.follow);
    if let Some(app) = &logs.app {
        // Checks the name, too.
        of_app(app, "")?;
        path.push_str(&format!("&app={app}"));
    }
    client
        .lines(&path, |line| {
            let line = String::from_utf8_lossy(line);
            let shown = if logs.json { line.into_owned() } else { lines::readable(&line) };
            print(&shown)
        })
        .await
}
