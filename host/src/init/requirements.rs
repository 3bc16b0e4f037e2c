//! What a Python project requires: a requirements file, or the dependencies in `pyproject.toml`.

use std::path::Path;

use anyhow::{Context, Result};
use toml::{Table, Value};

use super::{Project, Seen};

/// Where requirements files are by custom. The first that is there is taken.
const FILES: &[&str] = &[
    "requirements.txt",
    "requirements/production.txt",
    "requirements/prod.txt",
    "requirements/base.txt",
    "requirements/requirements.txt",
];

/// Files of tools whose lists pip cannot read, and what makes one that it can.
const OTHERS: &[(&str, &str)] = &[
    ("uv.lock", "uv export --no-dev --no-emit-project -o requirements.txt"),
    ("poetry.lock", "poetry export -o requirements.txt"),
    ("pdm.lock", "pdm export --prod -o requirements.txt"),
    ("Pipfile", "pipenv requirements > requirements.txt"),
    ("environment.yml", "pip freeze > requirements.txt"),
    ("setup.py", "pip-compile setup.py"),
];

/// Adds the requirements of a project whose sources are `below` the folder; the file may be in either.
pub(super) fn find(project: &mut Project, seen: &Seen<'_>, below: &str) -> Result<()> {
    let up = Path::new(below).components().map(|_| "../").collect::<String>();
    for (folder, prefix) in [(Path::new(below), ""), (Path::new(""), up.as_str())] {
        if let Some(file) = FILES.iter().find(|file| seen.has(folder.join(file))) {
            project.facts.push(format!("requirements: {}", folder.join(file).display()));
            project.source.push(("requirements", format!("{prefix}{file}")));
            return Ok(());
        }
    }
    for folder in [Path::new(below), Path::new("")] {
        if let Some(text) = seen.text(folder.join("pyproject.toml")) {
            let table: Table = text.parse().with_context(|| {
                format!("{} is no TOML", seen.path(folder.join("pyproject.toml")).display())
            })?;
            if by_pyproject(project, seen, (below, folder), &table) {
                return Ok(());
            }
        }
    }
    let other = OTHERS.iter().find(|(file, _)| seen.has(file) || seen.has(Path::new(below).join(file)));
    if let Some((file, command)) = other {
        project.notes.push(format!(
            "what {file} requires is not understood: make a requirements file (`{command}`) and add \
             `requirements = \"requirements.txt\"` to the source"
        ));
    } else {
        project.notes.push("no requirements file was found: it has the standard library alone".into());
    }
    Ok(())
}

/// True where `[project] dependencies` are there: they become a requirements file.
fn by_pyproject(
    project: &mut Project,
    seen: &Seen<'_>,
    (below, folder): (&str, &Path),
    table: &Table,
) -> bool {
    let own = table.get("project").and_then(Value::as_table);
    let dynamic = own.and_then(|own| own.get("dynamic")).and_then(Value::as_array);
    if dynamic.is_some_and(|names| names.iter().any(|name| name.as_str() == Some("dependencies"))) {
        project.notes.push(
            "pyproject.toml has its dependencies made by its build system, which is not understood: write them into a \
             requirements.txt"
                .into(),
        );
        return true;
    }
    let Some(list) = own.and_then(|own| own.get("dependencies")).and_then(Value::as_array) else {
        return false;
    };
    let lines: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
    let file = seen.path(below).join("requirements.txt");
    let text = format!("# From pyproject.toml, by `guesthouse init`.\n{}\n", lines.join("\n"));
    project.facts.push(format!(
        "requirements: {} in {}",
        lines.len(),
        folder.join("pyproject.toml").display()
    ));
    project.source.push(("requirements", "requirements.txt".into()));
    project.notes.push(
        "requirements.txt has the dependencies of pyproject.toml, and is to be changed with them; with exact versions every \
         build is the same"
            .into(),
    );
    project.file = Some((file, text));
    true
}
