//! What a run leaves behind: `latest.json`, `latest.md`, and plots.

mod markdown;
mod plots;
mod row;
mod svg;

use std::{fs, path::Path};

use anyhow::{Context, Result};
use serde_json::{Value, json};

pub use self::row::{Figure, Goal, Row, Unit};
use crate::machine::Run;

/// How it was measured, for the head of the table.
#[derive(Debug, Clone)]
pub struct Manner {
    pub quick: bool,
    pub rounds: u32,
    pub seconds: f64,
    pub connections: usize,
    pub apps: usize,
    pub instructions: bool,
}

/// Writes all of it into a folder.
pub fn write(folder: &Path, run: &Run, manner: &Manner, rows: &[Row]) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let put = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    put("latest.json", &format!("{:#}\n", as_json(run, manner, rows)?))?;
    put("latest.md", &markdown::page(run, manner, rows))?;
    for (name, plot) in plots::all(rows) {
        put(name, &plot)?;
    }
    Ok(())
}

/// The table alone, for who reads along.
pub fn table(rows: &[Row]) -> String {
    markdown::table(rows)
}

fn as_json(run: &Run, manner: &Manner, rows: &[Row]) -> Result<Value> {
    let rows: Result<Vec<Value>> = rows.iter().map(row_as_json).collect();
    Ok(json!({
        "run": serde_json::to_value(run)?,
        "manner": {
            "quick": manner.quick,
            "rounds": manner.rounds,
            "seconds_each_turn": manner.seconds,
            "connections": manner.connections,
            "apps": manner.apps,
            "instructions_counted": manner.instructions,
        },
        "rows": rows?,
    }))
}

fn row_as_json(row: &Row) -> Result<Value> {
    Ok(json!({
        "case": row.case,
        "measure": row.measure,
        "unit": row.unit,
        "guesthouse": serde_json::to_value(&row.ours)?,
        "peer": serde_json::to_value(&row.peer)?,
        "ratio": row.ratio(),
        "to_reach": serde_json::to_value(row.goal)?,
        "reached": row.reached(),
        "note": row.note,
    }))
}
