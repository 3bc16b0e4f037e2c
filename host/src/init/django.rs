//! Django projects: what `manage.py` and the settings say of themselves, read as text.

use std::{
    collections::BTreeSet,
    path::{Component, Path, PathBuf},
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
        match static_files(&sources) {
            Some((prefix, folder)) => {
                let folder = if folder.is_absolute() { folder } else { seen.named(folder).into() };
                project.notes.push(format!(
                    "static files: the host serves {} at {prefix}, as the settings say; fill it with `python manage.py \
                     collectstatic`, now and after each change of them",
                    folder.display()
                ));
                project.statics = Some((prefix, folder));
            }
            None => project.notes.push(
                "static files: only `runserver` serves them by itself. Have the host do it: set STATIC_ROOT, run `python \
                 manage.py collectstatic`, and name the folder in the app's entry, such as static = { \"/static\" = \
                 \"staticfiles\" }; or take WhiteNoise, which does it in every surrounding"
                    .into(),
            ),
        }
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

/// Where the settings want static files to be asked for, and the folder that `collectstatic` fills, by `STATIC_URL` and
/// `STATIC_ROOT`. Of a folder that is named relative to another one, as by `BASE_DIR / "staticfiles"`, that other one is
/// taken to be the project's.
fn static_files(sources: &[String]) -> Option<(String, PathBuf)> {
    let stated = |name: &str| {
        let mut lines = sources.iter().flat_map(|text| text.lines());
        lines.find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix('='))
    };
    let mut root = PathBuf::new();
    let mut rest = stated("STATIC_ROOT")?;
    if ["env", "config(", ".parent"].iter().any(|other_place| rest.contains(other_place)) {
        return None;
    }
    while let Some(start) = rest.find(['"', '\'']) {
        let part = first_string(rest)?;
        rest = rest.get(start + part.len() + 2..)?;
        root.push(part);
    }
    let below = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    let folder: PathBuf = root.components().collect();
    if folder.file_name().is_none() || !(folder.is_absolute() || folder.components().all(below)) {
        return None;
    }
    let url = first_string(stated("STATIC_URL")?)?;
    let prefix = url.trim_matches('/');
    // Another site serves them.
    let elsewhere = url.contains("//");
    (!prefix.is_empty() && !elsewhere).then(|| (format!("/{prefix}"), folder))
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
    fn the_folder_of_static_files_is_found() {
        let found = |root: &str, url: &str| {
            let sources = [format!("X = 1\nSTATIC_URL = {url}\nSTATIC_ROOT = {root}\n")];
            static_files(&sources).map(|(prefix, folder)| (prefix, folder.display().to_string()))
        };
        let expected = |prefix: &str, folder: &str| Some((prefix.to_owned(), folder.to_owned()));
        for root in ["BASE_DIR / \"staticfiles\"", "os.path.join(BASE_DIR, 'staticfiles/')", "'staticfiles'"]
        {
            assert_eq!(found(root, "'static/'"), expected("/static", "staticfiles"), "{root}");
        }
        assert_eq!(found("BASE_DIR / 'var' / 'static'", "'/s/'"), expected("/s", "var/static"));
        assert_eq!(found("'/srv/static/'", "'static/'"), expected("/static", "/srv/static"));
        for (root, url) in [
            ("'static'", "'https://cdn.example/static/'"),
            ("env('ROOT')", "'static/'"),
            ("BASE_DIR.parent / 'static'", "'static/'"),
            ("BASE_DIR / '../static'", "'static/'"),
            ("get_root()", "'static/'"),
            ("'static'", "'/'"),
            ("'static'", "get_url()"),
        ] {
            assert_eq!(found(root, url), None, "{root}, {url}");
        }
        assert_eq!(static_files(&["# STATIC_ROOT = 'x'\nSTATIC_URL = 'static/'".to_owned()]), None);
    }

    #[test]
    fn environment_variables_are_found() {
        let text = "A = os.environ[\"SECRET_KEY\"]\nB = os.environ.get('DB_URL', 'x'); C = env('ONE') + env(\"TWO\")\n\
                    # os.environ['NOT']\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'x')\nD = config(name)\n";
        assert_eq!(environment(&[text.to_owned()]), ["DB_URL", "ONE", "SECRET_KEY", "TWO"]);
    }
}
