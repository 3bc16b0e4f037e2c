//! What the program is asked to do.

use std::time::Duration;

const USAGE: &str = "\
usage: swap [--swaps N] [--seconds S] [--pace-ms MS] [--p3]
           swaps one of three apps N times (200) within S seconds (60) under load, after a phase of the same length
           without swaps; each of six clients begins a request every MS milliseconds (5; 0: as soon as it has an answer)
       swap --django [--rounds N] [--seconds S] [--pace-ms MS]
           the latency of a neighbour while a Django component is compiled and swapped in
       swap --kills N
           kills the house at N random moments while it is swapped, and looks at what each restart serves
       swap --leak [N]
           the memory after N swaps (500) beside that after 10";

pub(crate) struct Options {
    pub(crate) swaps: u64,
    pub(crate) length: Option<Duration>,
    pub(crate) pace: Option<Duration>,
    pub(crate) p3: bool,
    pub(crate) django: bool,
    pub(crate) rounds: u64,
    pub(crate) kills: Option<usize>,
    pub(crate) leak: Option<usize>,
}

impl Options {
    pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Options, String> {
        let mut options = Options {
            swaps: 200,
            length: None,
            pace: None,
            p3: false,
            django: false,
            rounds: 3,
            kills: None,
            leak: None,
        };
        let mut arguments = arguments.peekable();
        while let Some(argument) = arguments.next() {
            let mut number = || -> Result<u64, String> {
                let value = arguments.next().ok_or_else(|| format!("{argument} wants a number\n{USAGE}"))?;
                value.parse().map_err(|_| format!("{argument} wants a number, not {value:?}\n{USAGE}"))
            };
            match argument.as_str() {
                "--swaps" => options.swaps = number()?.max(2),
                "--seconds" => options.length = Some(Duration::from_secs(number()?.max(1))),
                "--pace-ms" => options.pace = Some(Duration::from_millis(number()?)),
                "--rounds" => options.rounds = number()?.max(1),
                "--kills" => options.kills = Some(number()? as usize),
                "--p3" => options.p3 = true,
                "--django" => options.django = true,
                "--leak" => {
                    let swaps = arguments.next_if(|next| !next.starts_with("--"));
                    let swaps = swaps.map_or(Ok(500), |swaps| swaps.parse());
                    options.leak =
                        Some(swaps.map_err(|_| format!("--leak wants a number\n{USAGE}"))?.max(11));
                }
                "--help" | "-h" => return Err(USAGE.to_owned()),
                other => return Err(format!("what is {other:?}?\n{USAGE}")),
            }
        }
        Ok(options)
    }
}
