//! Settings, by Guesthouse's own interface and by the standard `wasi:config/store`; and the terminal of commands.
//!
//! The settings are answered from the one immutable object of the instance's generation; nothing is copied until a value is
//! asked for. `wasmtime-wasi-config` is not used: it wants all settings as a map of strings beforehand.

use wasmtime::component::{HasData, Linker};

use super::generated::{
    guesthouse::settings::{settings as typed, terminal},
    wasi::config::store as flat,
};
use crate::{
    settings::{Settings, ValueRef},
    terminal::Terminal,
};

/// What an instance sees of its settings.
pub(crate) struct View<'a> {
    pub settings: &'a Settings,
    pub generation: u64,
    /// Where the instance runs a command of the operator's.
    pub terminal: Option<&'a Terminal>,
}

/// The data of a store whose guest has settings.
pub(crate) trait SettingsView {
    fn settings(&mut self) -> View<'_>;
}

struct HasView;

impl HasData for HasView {
    type Data<'a> = View<'a>;
}

impl typed::Host for View<'_> {
    fn get(&mut self, path: String) -> wasmtime::Result<Option<typed::Value>> {
        Ok(self.settings.get(&path).map(describe))
    }

    fn get_json(&mut self, path: String) -> wasmtime::Result<Option<String>> {
        Ok(self.settings.get_json(&path))
    }

    fn generation(&mut self) -> wasmtime::Result<u64> {
        Ok(self.generation)
    }
}

impl flat::Host for View<'_> {
    fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<String>, flat::Error>> {
        Ok(Ok(self.settings.get_text(&key)))
    }

    fn get_all(&mut self) -> wasmtime::Result<Result<Vec<(String, String)>, flat::Error>> {
        Ok(Ok(self.settings.to_flat()))
    }
}

impl terminal::Host for View<'_> {
    fn set_echo(&mut self, on: bool) -> wasmtime::Result<bool> {
        Ok(self.terminal.is_some_and(|terminal| terminal.set_echo(on)))
    }
}

/// Scalars as they are, lists and tables by their extent.
fn describe(value: ValueRef<'_>) -> typed::Value {
    match value {
        ValueRef::Boolean(value) => typed::Value::Boolean(value),
        ValueRef::Integer(value) => typed::Value::Integer(value),
        ValueRef::Float(value) => typed::Value::Float(value),
        ValueRef::Text(value) => typed::Value::Text(value.to_owned()),
        ValueRef::List(items) => typed::Value::List(u32::try_from(items.len()).unwrap_or(u32::MAX)),
        ValueRef::Table(table) => typed::Value::Table(table.keys().cloned().collect()),
    }
}

pub(super) fn add_to_linker<T: SettingsView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    typed::add_to_linker::<T, HasView>(linker, T::settings)?;
    terminal::add_to_linker::<T, HasView>(linker, T::settings)?;
    flat::add_to_linker::<T, HasView>(linker, T::settings)
}
