//! The secrets of one app: where each comes from, and its value in the memory of this process alone.
//!
//! What is written of them is where they come from ([`Serialize`]) or that they are there ([`Debug`]), never a value:
//! values are [`SecretString`]s, which show themselves as redacted and are wiped when the last generation that has them is
//! gone. Two sets are equal when sources and values are, which is compared in memory: no digest of a value is made, and so
//! none can be left anywhere. Nothing here knows of manifests or wasm.

mod read;

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

pub(crate) use self::read::read;
pub use self::read::{BYTES_MAX, Unreadable};
use crate::settings::{Settings, ValueRef};

/// All secrets of an app by name. Never changes once made; cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secrets(Arc<BTreeMap<String, Secret>>);

/// One secret. Its serialized form is its source.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret {
    pub source: Source,
    /// Not there where it was not read: of generations that are kept, and of what comes from a file of ours.
    #[serde(skip)]
    value: Option<Arc<SecretString>>,
}

/// Where a secret comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// An environment variable of the house.
    Env(String),
    /// A file (absolute).
    File(PathBuf),
    /// A credential of systemd: a file of this name in `$CREDENTIALS_DIRECTORY` (systemd.exec(5), "Credentials").
    Credential(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env {name}"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Credential(name) => write!(f, "credential {name}"),
        }
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        let text = |secret: &Self| secret.value.clone();
        self.source == other.source
            && match (text(self), text(other)) {
                (Some(own), Some(other)) => own.expose_secret() == other.expose_secret(),
                (None, None) => true,
                _ => false,
            }
    }
}

impl Secret {
    pub fn new(source: Source, value: Option<SecretString>) -> Self {
        Self { source, value: value.map(Arc::new) }
    }

    /// The secret itself, where it was read.
    pub fn value(&self) -> Option<&Arc<SecretString>> {
        self.value.as_ref()
    }
}

impl FromIterator<(String, Secret)> for Secrets {
    fn from_iter<I: IntoIterator<Item = (String, Secret)>>(secrets: I) -> Self {
        Self(Arc::new(secrets.into_iter().collect()))
    }
}

impl Secrets {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn get(&self, name: &str) -> Option<&Secret> {
        self.0.get(name)
    }

    /// Sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Secret)> {
        self.0.iter().map(|(name, secret)| (&**name, secret))
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(|name| &**name)
    }

    /// The files that secrets come from.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.0.values().filter_map(|secret| match &secret.source {
            Source::File(path) => Some(&**path),
            _ => None,
        })
    }

    /// The first secret that is also a setting, or stands where settings have something else than a table.
    pub fn clash(&self, settings: &Settings) -> Option<&str> {
        self.names().find(|name| {
            let above = name.match_indices('.').filter_map(|(dot, _)| name.get(..dot));
            let taken = |path: &str| settings.get(path).is_some_and(|at| !matches!(at, ValueRef::Table(_)));
            settings.get(name).is_some() || above.into_iter().any(taken)
        })
    }

    /// Without the values: for generations that do not serve.
    #[must_use]
    pub fn unread(&self) -> Self {
        self.with(|secret| Secret { source: secret.source.clone(), value: None })
    }

    /// With the values that `known` has from the same sources, in place of those that were not read.
    #[must_use]
    pub fn filled_from(&self, known: &Self) -> Self {
        self.with(|secret| {
            let same = known.0.values().find(|other| other.source == secret.source);
            Secret {
                source: secret.source.clone(),
                value: secret.value.clone().or_else(|| same.and_then(|same| same.value.clone())),
            }
        })
    }

    /// Reads all that was not read.
    ///
    /// # Errors
    /// The first that cannot be read, and how to mend it.
    pub fn completed(&self, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, String> {
        let read = |(name, secret): (&String, &Secret)| {
            if secret.value.is_some() {
                return Ok((name.clone(), secret.clone()));
            }
            let value = read(&secret.source, env)
                .map_err(|Unreadable { what, help }| format!("its secret `{name}`: {what} ({help})"))?;
            Ok((name.clone(), Secret::new(secret.source.clone(), Some(value))))
        };
        self.0.iter().map(read).collect()
    }

    fn with(&self, change: impl Fn(&Secret) -> Secret) -> Self {
        self.0.iter().map(|(name, secret)| (name.clone(), change(secret))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(value: Option<&str>) -> Secrets {
        let secret = Secret::new(Source::Env("KEY".into()), value.map(SecretString::from));
        [("A.B".to_owned(), secret)].into_iter().collect()
    }

    #[test]
    fn nothing_that_is_written_of_them_has_a_value() {
        let planted = secrets(Some("planted"));
        assert_eq!(serde_json::to_string(&planted).unwrap(), r#"{"A.B":{"env":"KEY"}}"#);
        assert!(!format!("{planted:?}{planted:#?}").contains("planted"));
        let again: Secrets = serde_json::from_str(r#"{"A.B":{"env":"KEY"}}"#).unwrap();
        assert_eq!(again, planted.unread());
        assert!(again.get("A.B").unwrap().value().is_none());
    }

    #[test]
    fn sets_are_equal_by_source_and_value() {
        assert_eq!(secrets(Some("one")), secrets(Some("one")));
        assert_ne!(secrets(Some("one")), secrets(Some("two")));
        assert_ne!(secrets(Some("one")), secrets(None));
        assert_eq!(secrets(None).filled_from(&secrets(Some("one"))), secrets(Some("one")));
        assert_eq!(secrets(Some("two")).filled_from(&secrets(Some("one"))), secrets(Some("two")));
        let env = |name: &str| (name == "KEY").then(|| "one".to_owned());
        assert_eq!(secrets(None).completed(&env).unwrap(), secrets(Some("one")));
        let why = secrets(None).completed(&|_| None).unwrap_err();
        assert!(why.starts_with("its secret `A.B`: the environment variable `KEY` is not set ("), "{why}");
    }

    #[test]
    fn what_is_a_setting_too_is_found() {
        let settings = |text: &str| {
            Settings::new(
                crate::settings::table_from_json(
                    serde_json::from_str::<serde_json::Value>(text).unwrap().as_object().unwrap(),
                )
                .unwrap(),
            )
        };
        for clash in [r#"{"A":{"B":1}}"#, r#"{"A":{"B":{"C":1}}}"#, r#"{"A":1}"#, r#"{"A":[1]}"#] {
            assert_eq!(secrets(None).clash(&settings(clash)), Some("A.B"), "{clash}");
        }
        for apart in ["{}", r#"{"A":{"C":1}}"#, r#"{"B":1}"#] {
            assert_eq!(secrets(None).clash(&settings(apart)), None, "{apart}");
        }
    }
}
