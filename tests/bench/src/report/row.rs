//! A line of the table: what was measured, beside what, and what it was to reach.

use serde::Serialize;

use crate::{contest::Outcome, statistics::Summary};

/// One quantity of one system.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    pub system: String,
    #[serde(flatten)]
    pub value: Summary,
    /// What else is known of it, where it comes from a load.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
}

impl Figure {
    pub fn new(system: &str, value: Summary) -> Figure {
        Figure { system: system.to_owned(), value, outcome: None }
    }

    /// Requests a second.
    pub fn rate(system: &str, outcome: &Outcome) -> Figure {
        let value = outcome.per_second.clone();
        Figure { system: system.to_owned(), value, outcome: Some(outcome.clone()) }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Unit {
    #[serde(rename = "requests/s")]
    PerSecond,
    #[serde(rename = "ms")]
    Milliseconds,
    #[serde(rename = "ns")]
    Nanoseconds,
    #[serde(rename = "s")]
    Seconds,
    #[serde(rename = "KiB")]
    Kib,
    #[serde(rename = "MiB")]
    Mib,
}

impl Unit {
    pub fn name(self) -> &'static str {
        match self {
            Unit::PerSecond => "requests/s",
            Unit::Milliseconds => "ms",
            Unit::Nanoseconds => "ns",
            Unit::Seconds => "s",
            Unit::Kib => "KiB",
            Unit::Mib => "MiB",
        }
    }
}

/// A figure to reach.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Goal {
    /// Guesthouse's figure divided by the peer's.
    RatioAtLeast(f64),
    RatioAtMost(f64),
    /// Guesthouse's figure itself.
    AtLeast(f64),
    Below(f64),
}

#[derive(Debug, Clone)]
pub struct Row {
    pub case: String,
    pub measure: String,
    pub unit: Unit,
    /// `None` where it cannot be measured in this version: the note says why.
    pub ours: Option<Figure>,
    pub peer: Option<Figure>,
    pub goal: Option<Goal>,
    pub note: Option<String>,
}

impl Row {
    pub fn new(case: impl Into<String>, measure: impl Into<String>, unit: Unit) -> Row {
        Row {
            case: case.into(),
            measure: measure.into(),
            unit,
            ours: None,
            peer: None,
            goal: None,
            note: None,
        }
    }

    #[must_use]
    pub fn ours(self, value: Summary) -> Row {
        Row { ours: Some(Figure::new("guesthouse", value)), ..self }
    }

    #[must_use]
    pub fn our_rate(self, outcome: &Outcome) -> Row {
        Row { ours: Some(Figure::rate("guesthouse", outcome)), ..self }
    }

    #[must_use]
    pub fn peer(self, system: &str, value: Summary) -> Row {
        Row { peer: Some(Figure::new(system, value)), ..self }
    }

    #[must_use]
    pub fn peer_rate(self, system: &str, outcome: &Outcome) -> Row {
        Row { peer: Some(Figure::rate(system, outcome)), ..self }
    }

    #[must_use]
    pub fn goal(self, goal: Goal) -> Row {
        Row { goal: Some(goal), ..self }
    }

    #[must_use]
    pub fn note(self, note: impl Into<String>) -> Row {
        Row { note: Some(note.into()), ..self }
    }

    /// Of the medians: Guesthouse's by the peer's.
    pub fn ratio(&self) -> Option<f64> {
        Some(self.ours.as_ref()?.value.median / self.peer.as_ref()?.value.median)
    }

    /// `None` where there is nothing to reach, or nothing was measured.
    pub fn reached(&self) -> Option<bool> {
        Some(match self.goal? {
            Goal::RatioAtLeast(least) => self.ratio()? >= least,
            Goal::RatioAtMost(most) => self.ratio()? <= most,
            Goal::AtLeast(least) => self.ours.as_ref()?.value.median >= least,
            Goal::Below(bound) => self.ours.as_ref()?.value.median < bound,
        })
    }

    /// How much of the figure to reach was reached: 1 is just so, more is better, whichever way the measure goes.
    pub fn share(&self) -> Option<f64> {
        Some(match self.goal? {
            Goal::RatioAtLeast(least) => self.ratio()? / least,
            Goal::RatioAtMost(most) => most / self.ratio()?,
            Goal::AtLeast(least) => self.ours.as_ref()?.value.median / least,
            Goal::Below(bound) => bound / self.ours.as_ref()?.value.median,
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn row(ours: f64, peer: Option<f64>, goal: Goal) -> Row {
        let value = |value: f64| Summary::of(vec![value]).unwrap();
        let row = Row::new("case", "measure", Unit::PerSecond).ours(value(ours)).goal(goal);
        match peer {
            Some(peer) => row.peer("peer", value(peer)),
            None => row,
        }
    }

    #[test]
    fn goals_are_judged_in_their_direction() {
        for (row, reached, share) in [
            (row(30.0, Some(10.0), Goal::RatioAtLeast(3.0)), true, 1.0),
            (row(15.0, Some(10.0), Goal::RatioAtLeast(3.0)), false, 0.5),
            (row(4.0, Some(10.0), Goal::RatioAtMost(0.2)), false, 0.5),
            (row(1.0, Some(10.0), Goal::RatioAtMost(0.2)), true, 2.0),
            (row(700.0, None, Goal::AtLeast(350.0)), true, 2.0),
            (row(5.0, None, Goal::Below(5.0)), false, 1.0),
        ] {
            assert_eq!(row.reached(), Some(reached), "{row:?}");
            assert!((row.share().unwrap() - share).abs() < 1e-9, "{row:?}");
        }
        let unmeasured = Row::new("case", "measure", Unit::Seconds).goal(Goal::Below(1.0));
        assert_eq!(unmeasured.reached(), None);
        assert_eq!(row(1.0, None, Goal::RatioAtLeast(3.0)).reached(), None);
    }
}
