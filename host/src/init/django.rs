//! Django projects: what `manage.py` and the settings say of themselves, read as text.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use anyhow::{Result, bail};
use toml::Value;

use super::{Project, Seen};

/// Names that settings modules for production have.
const FOR_PRODUCTION: &[&str] = &["production", "prod"];

pub(super) fn find(seen: &Seen<'_>, wanted: Option<&str>) -> Result<Project> {
    let settings = settings_module(seen)?;
    let sources = settings_sources(seen, &settings);
    let wsgi = match wanted {
        Some(wsgi) => wsgi.to_owned(),
        None => wsgi_application(seen, &settings, &sources)?,
    };
    let mut project = Project {
        what: "A Django project".into(),
        facts: vec![format!("settings: {settings}"), format!("WSGI application: {wsgi}")],
        source: vec![("wsgi", wsgi)],
        settings: vec![
            ("DJANGO_SETTINGS_MODULE", Value::String(settings.clone())),
            ("ALLOWED_HOSTS", Value::Array(vec![Value::String("HOST".into())])),
        ],
        reused: true,
        environment: environment(&sources),
        ..Project::default()
    };
    let last = settings.rsplit('.').next().unwrap_or_default();
    if let Some(other) = other_settings(seen, &settings).filter(|_| !FOR_PRODUCTION.contains(&last)) {
        project.notes.push(format!(
            "there is `{other}` too: `guesthouse serve` is for the settings that suit visitors, so you may want that one"
        ));
    }
    if !sources.iter().any(|text| text.contains("whitenoise")) {
        project.notes.push(
            "static files: only `runserver` serves them by itself. Have the host do it: set STATIC_ROOT, run `python manage.py \
             collectstatic`, and name the folder in the app's entry, such as static = { \"/static\" = \"staticfiles\" }; or \
             take WhiteNoise, which does it in every surrounding"
                .into(),
        );
    }
    Ok(project)
}

/// The module that `manage.py` names; else the only `*/settings.py`.
fn settings_module(seen: &Seen<'_>) -> Result<String> {
    let text = seen.text("manage.py").unwrap_or_default();
    let named = text.split("DJANGO_SETTINGS_MODULE").skip(1).find_map(|rest| {
        // Past the quote that ends the variable's own name.
        let rest = rest.trim_start_matches(['"', '\'']);
        first_string(rest.lines().take(3).collect::<Vec<_>>().join(" ").as_str())
    });
    if let Some(module) = named.filter(|name| file_of(seen, name).is_some()) {
        return Ok(module);
    }
    let below = seen.folders().into_iter().filter(|name| seen.has(Path::new(name).join("settings.py")));
    let found: Vec<String> = below.map(|name| format!("{name}.settings")).collect();
    let dir = seen.dir.display();
    match found.as_slice() {
        [only] => Ok(only.clone()),
        [] => bail!(
            "{dir}/manage.py names no settings module that is there\n\
             help: look for `DJANGO_SETTINGS_MODULE` in it; the module's file must be below {dir}"
        ),
        several => bail!(
            "{dir} has several settings modules and manage.py names none: {}\n\
             help: name one in manage.py, as `django-admin startproject` does",
            several.join(", ")
        ),
    }
}

/// The file of a module, relative to the folder.
fn file_of(seen: &Seen<'_>, module: &str) -> Option<PathBuf> {
    let path = PathBuf::from(module.replace('.', "/"));
    [path.with_extension("py"), path.join("__init__.py")].into_iter().find(|file| seen.has(file))
}

/// The texts of the settings module and of those beside it that it may take from, its own first.
fn settings_sources(seen: &Seen<'_>, module: &str) -> Vec<String> {
    let Some(file) = file_of(seen, module) else { return Vec::new() };
    let mut texts: Vec<String> = seen.text(&file).into_iter().collect();
    // `from .base import *`: the settings are a package.
    let folder = file.parent().unwrap_or(Path::new("")).to_owned();
    for name in ["base.py", "common.py", "defaults.py", "__init__.py"] {
        let beside = folder.join(name);
        if beside != file && (name != "__init__.py" || folder.ends_with("settings")) {
            texts.extend(seen.text(beside));
        }
    }
    texts
}

/// `WSGI_APPLICATION` of the settings, else `wsgi.py` of the project's package.
fn wsgi_application(seen: &Seen<'_>, settings: &str, sources: &[String]) -> Result<String> {
    let lines = sources.iter().flat_map(|text| text.lines());
    let stated = lines.filter_map(|line| line.strip_prefix("WSGI_APPLICATION")).find_map(first_string);
    if let Some((module, object)) = stated.as_deref().and_then(|path| path.rsplit_once('.'))
        && file_of(seen, module).is_some()
    {
        return Ok(format!("{module}:{object}"));
    }
    let package = settings.split('.').next().unwrap_or_default().to_owned();
    let mut modules = vec![format!("{package}.wsgi"), "wsgi".to_owned()];
    modules.extend(seen.folders().into_iter().map(|name| format!("{name}.wsgi")));
    match modules.into_iter().find(|module| file_of(seen, module).is_some()) {
        Some(module) => Ok(format!("{module}:application")),
        None => bail!(
            "the Django project in {} has no WSGI module: no WSGI_APPLICATION in `{settings}`, no {package}/wsgi.py\n\
             help: name the application with `--wsgi module:object`; `django-admin startproject` makes such a file, with\n\
             application = django.core.wsgi.get_wsgi_application()",
            seen.dir.display()
        ),
    }
}

/// A settings module for production beside the one that was found.
fn other_settings(seen: &Seen<'_>, settings: &str) -> Option<String> {
    let is_package = file_of(seen, settings)?.ends_with("__init__.py");
    let package = if is_package { settings } else { settings.rsplit_once('.')?.0 };
    let names = FOR_PRODUCTION.iter().map(|name| format!("{package}.{name}"));
    names.into_iter().find(|name| file_of(seen, name).is_some())
}

/// Environment variables that the settings read, with the ways in use: `os.environ`, `os.getenv`, django-environ, decouple.
fn environment(sources: &[String]) -> Vec<String> {
    const WAYS: &[&str] = &["environ[", "environ.get(", "getenv(", "env(", "config("];
    let mut names = BTreeSet::new();
    for line in
        sources.iter().flat_map(|text| text.lines()).filter(|line| !line.trim_start().starts_with('#'))
    {
        for way in WAYS {
            for rest in line.split(way).skip(1) {
                let quoted = rest.starts_with(['"', '\'']).then(|| first_string(rest)).flatten();
                let is_name = |name: &String| {
                    name != "DJANGO_SETTINGS_MODULE"
                        && !name.is_empty()
                        && name.bytes().all(|byte| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_'))
                };
                names.extend(quoted.filter(is_name));
            }
        }
    }
    names.into_iter().collect()
}

/// The first quoted text of a line.
fn first_string(line: &str) -> Option<String> {
    let start = line.find(['"', '\''])?;
    let quote = line.get(start..)?.chars().next()?;
    let rest = line.get(start + 1..)?;
    Some(rest.get(..rest.find(quote)?)?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environment_variables_are_found() {
        let text = "A = os.environ[\"SECRET_KEY\"]\nB = os.environ.get('DB_URL', 'x'); C = env('ONE') + env(\"TWO\")\n\
                    # os.environ['NOT']\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'x')\nD = config(name)\n";
        assert_eq!(environment(&[text.to_owned()]), ["DB_URL", "ONE", "SECRET_KEY", "TWO"]);
    }
}
