//! Python projects: Django where there is a `manage.py`, else any WSGI application.

use std::path::Path;

use anyhow::{Result, bail};

use super::{Project, Seen, django, requirements, wsgi};

pub(super) fn find(seen: &Seen<'_>, wanted: Option<&str>) -> Result<Option<Project>> {
    let Some(root) = root(seen)? else {
        return match wanted {
            Some(_) if wsgi::any_python(seen) => {
                Ok(Some(application(seen, "", wanted.unwrap_or_default().to_owned())?))
            }
            Some(_) => Ok(None),
            None => match wsgi::find(seen)? {
                Some(found) => Ok(Some(application(seen, &found.below, found.wsgi)?)),
                None => Ok(None),
            },
        };
    };
    let within = Seen { dir: &seen.path(&root), base: seen.base.join(&root) };
    let mut project = django::find(&within, wanted)?;
    finish(&mut project, seen, &root)?;
    Ok(Some(project))
}

/// The folder with `manage.py`: this one, or one directly below.
fn root(seen: &Seen<'_>) -> Result<Option<String>> {
    if seen.has("manage.py") {
        return Ok(Some(String::new()));
    }
    let below: Vec<_> =
        seen.folders().into_iter().filter(|name| seen.has(Path::new(name).join("manage.py"))).collect();
    match below.as_slice() {
        [] => Ok(None),
        [only] => Ok(Some(only.clone())),
        [first, ..] => bail!(
            "{} has several Django projects: {}\nhelp: name the folder of one: `guesthouse init {}`",
            seen.dir.display(),
            below.join(", "),
            seen.path(first).display()
        ),
    }
}

/// A project with a WSGI application in the folder `below` this one.
fn application(seen: &Seen<'_>, below: &str, wsgi: String) -> Result<Project> {
    let mut project = Project {
        what: "A Python project (WSGI)".into(),
        facts: vec![format!("WSGI application: {wsgi}")],
        source: vec![("wsgi", wsgi)],
        reused: true,
        ..Project::default()
    };
    finish(&mut project, seen, below)?;
    Ok(project)
}

/// Adds what all Python projects have: folder and requirements.
fn finish(project: &mut Project, seen: &Seen<'_>, below: &str) -> Result<()> {
    project.source.insert(0, ("python", seen.named(below)));
    project.temporary = true;
    requirements::find(project, seen, below)?;
    if seen.has("package.json") && below.is_empty() {
        project
            .notes
            .push("package.json is taken for that of its front end; `--kind js` brings it as an app".into());
    }
    Ok(())
}
