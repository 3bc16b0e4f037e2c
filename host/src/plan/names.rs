//! Names that the operator chooses, checked once.

use super::resolve::Resolver;
use crate::manifest::Located;

const APP_NAME_MAX: usize = 63;

impl Resolver<'_> {
    /// The name of an app, from the key of its table.
    pub(super) fn check_app_name(&mut self, name: &Located<String>) {
        let text = &name.value;
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        let message = if text.is_empty() {
            "the name of an app cannot be empty".to_owned()
        } else if let Some(stray) = text.chars().find(|c| !allowed(*c)) {
            format!("{stray:?} cannot stand in the name of an app")
        } else if text.starts_with(['-', '_']) {
            "the name of an app begins with a letter or a digit".to_owned()
        } else if text.len() > APP_NAME_MAX {
            format!("the name of an app has at most {APP_NAME_MAX} characters; this one has {}", text.len())
        } else {
            return;
        };
        let lower = text.to_lowercase();
        let mended: String =
            lower.chars().map(|c| if allowed(c) { c } else { '-' }).take(APP_NAME_MAX).collect();
        let mended = mended.trim_matches(['-', '_']);
        let help = match mended {
            "" => "lower-case letters, digits, `-` and `_`".to_owned(),
            mended => format!("lower-case letters, digits, `-` and `_`: [apps.{mended}]"),
        };
        self.error(&name.span, message, help);
    }

    /// `module:object`, dotted Python names on both sides.
    pub(super) fn check_wsgi(&mut self, text: &Located<String>) {
        let sound = text.value.split_once(':').is_some_and(|(module, object)| {
            is_dotted(module) && is_dotted(object.strip_suffix("()").unwrap_or(object))
        });
        if !sound {
            let message = format!("`{}` names no WSGI application", text.value);
            let help = "write module:object, such as mysite.wsgi:application, or module:function() for what a function makes";
            self.error(&text.span, message, help);
        }
    }

    /// A dotted name of a Python module.
    pub(super) fn check_module(&mut self, text: &Located<String>) {
        if !is_dotted(&text.value) {
            let message = format!("`{}` is no name of a Python module", text.value);
            self.error(&text.span, message, "write a dotted name, such as mysite.settings");
        }
    }
}

fn is_dotted(name: &str) -> bool {
    name.split('.').all(|part| {
        let starts_well = part.starts_with(|first: char| first.is_alphabetic() || first == '_');
        starts_well && part.chars().all(|c| c.is_alphanumeric() || c == '_')
    })
}
