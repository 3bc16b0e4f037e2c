//! `[apps.NAME.secrets]`: where each secret comes from, read and held against the app's settings.

use super::{Route, resolve::Resolver};
use crate::{
    manifest::{self, Kind, Layer, Located},
    report::Problem,
    secrets::{self, Secret, Secrets, Source, Unreadable},
    settings::Settings,
};

/// How long the name of a secret may be, in bytes.
const NAME_MAX: usize = 100;
const FORMS: &str = "write { env = \"NAME\" }, { file = \"PATH\" } or { credential = \"NAME\" }";

impl Resolver<'_> {
    /// The secrets of an app with these settings and routes.
    pub(super) fn secrets(&mut self, app: &manifest::App, settings: &Settings, routes: &[Route]) -> Secrets {
        let Some(written) = &app.secrets else { return Secrets::default() };
        let read = written.0.iter().filter_map(|(name, secret)| {
            let named = self.check_secret_name(name, written);
            let secret = self.secret(name, secret)?;
            named.then(|| (name.value.clone(), secret))
        });
        let secrets: Secrets = read.collect();
        let all = std::iter::once(settings).chain(routes.iter().map(|route| &*route.settings));
        for settings in all {
            if let Some(clash) = secrets.clash(settings) {
                self.is_setting_too(app, clash);
                break;
            }
        }
        secrets
    }

    fn check_secret_name(
        &mut self,
        name: &Located<String>,
        all: &manifest::Entries<Located<manifest::Secret>>,
    ) -> bool {
        let sound = is_name(&name.value);
        if !sound {
            let message = format!("`{}` cannot be the name of a secret", name.value);
            let help = "a name has letters, digits, `_` and `-`, and dots where it leads into tables: SECRET_KEY, \
                        \"DATABASES.default.PASSWORD\"";
            self.error(&name.span, message, help);
        }
        let within = |other: &str| name.value.strip_prefix(other).is_some_and(|rest| rest.starts_with('.'));
        if let Some((other, _)) = all.0.iter().find(|(other, _)| within(&other.value)) {
            let message = format!("the secret `{}` would be within another, `{}`", name.value, other.value);
            let problem = Problem::error(message).at(self.place(&name.span), "");
            self.report.push(problem.also(self.place(&other.span), "the other").help("rename one of them"));
        }
        sound
    }

    /// One secret; none where its source is not to be told.
    fn secret(&mut self, name: &Located<String>, written: &Located<manifest::Secret>) -> Option<Secret> {
        let manifest::Secret { env, file, credential } = &written.value;
        let mut named = [env, file, credential].into_iter().flatten();
        let (Some(place), None) = (named.next(), named.next()) else {
            if !self.unread.hides(&written.span) {
                let how_many = [env, file, credential].into_iter().flatten().count();
                let what = if how_many == 0 { "no source" } else { "more than one source" };
                self.error(&written.span, format!("the secret `{}` has {what}", name.value), FORMS);
            }
            return None;
        };
        if place.value.contains("${") {
            let help =
                if env.is_some() { "write the variable's name alone: { env = \"NAME\" }" } else { FORMS };
            self.error(&place.span, "variables are not replaced in secrets", help);
            return None;
        }
        let source = match (env, file, credential) {
            (Some(variable), ..) => self.secret_variable(variable)?,
            (_, Some(file), _) => Source::File(self.path(file)?),
            (_, _, Some(credential)) => self.credential(credential)?,
            (None, None, None) => return None,
        };
        if !self.reads_secrets {
            return Some(Secret::new(source, None));
        }
        match secrets::read(&source, self.env) {
            Ok(value) => Some(Secret::new(source, Some(value))),
            Err(Unreadable { what, help }) => {
                self.error(&place.span, what, help);
                None
            }
        }
    }

    fn secret_variable(&mut self, written: &Located<String>) -> Option<Source> {
        if !written.value.is_empty() && !written.value.contains(['=', '\0']) {
            return Some(Source::Env(written.value.clone()));
        }
        let help = "a name is not empty and holds no `=`";
        self.error(
            &written.span,
            format!("{:?} cannot be the name of an environment variable", written.value),
            help,
        );
        None
    }

    fn credential(&mut self, written: &Located<String>) -> Option<Source> {
        let name = &written.value;
        if !name.is_empty() && name != "." && name != ".." && !name.contains(['/', ':', '\0']) {
            return Some(Source::Credential(name.clone()));
        }
        let help = "write the name that `LoadCredential=NAME:...` of the house's service gives it; a path is a `file`";
        self.error(&written.span, format!("{name:?} is no name of a credential"), help);
        None
    }

    fn is_setting_too(&mut self, app: &manifest::App, name: &str) {
        let secrets = app.secrets.iter().flat_map(|secrets| &secrets.0);
        let Some((key, _)) = secrets.into_iter().find(|(key, _)| key.value == name) else { return };
        let of_routes =
            app.routes.iter().flat_map(|routes| &routes.value).filter_map(|route| match &route.value {
                manifest::Route::Table(table) => table.settings.as_ref(),
                manifest::Route::Pattern(_) => None,
            });
        let setting = app.settings.iter().chain(of_routes).find_map(|layer| find(layer, name));
        let message = format!("`{name}` is both a secret and a setting of the app");
        let mut problem = Problem::error(message).at(self.place(&key.span), "").help(
            "remove it from the settings: from `settings`, `settings-file`, `[defaults.settings]` or those of a route",
        );
        if let Some(span) = setting {
            problem = problem.also(self.place(&span), "the setting");
        }
        self.report.push(problem);
    }
}

fn is_name(name: &str) -> bool {
    let part = |part: &str| {
        part.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
    };
    name.len() <= NAME_MAX && name.split('.').all(part)
}

/// Where a setting of this dotted path stands, or what stands in its way.
fn find(layer: &Layer, path: &str) -> Option<std::ops::Range<usize>> {
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    let (_, value) = layer.0.iter().find(|(key, _)| key == first)?;
    match &value.value {
        Kind::Table(table) if !rest.is_empty() => find(table, rest),
        _ => Some(value.span.clone()),
    }
}
