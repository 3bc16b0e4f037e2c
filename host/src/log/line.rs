//! One log line as it is kept: what was logged, put together to a JSON object only when somebody asks for it.

use std::{borrow::Cow, fmt, io::Write, time::SystemTime};

use serde::Deserialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tracing::{
    Event, Level,
    field::{Field, Visit},
};

/// Room for an access line, so that it is written without growing.
const FIELDS_BYTES: usize = 256;

/// One log line.
#[derive(Debug)]
pub struct Line {
    at: SystemTime,
    level: Level,
    /// `,"name":value` for each field.
    fields: Vec<u8>,
}

impl Line {
    pub(super) fn of(event: &Event<'_>) -> Self {
        let mut fields = Fields(Vec::with_capacity(FIELDS_BYTES));
        event.record(&mut fields);
        Self { at: SystemTime::now(), level: *event.metadata().level(), fields: fields.0 }
    }

    /// Bytes of memory that it takes.
    pub(super) fn size(&self) -> usize {
        self.fields.capacity().saturating_add(size_of::<Self>())
    }

    /// The JSON object that a JSON log has on this line, without a line break.
    pub fn to_json(&self) -> String {
        let at = OffsetDateTime::from(self.at).format(&Rfc3339).unwrap_or_default();
        let fields = String::from_utf8_lossy(&self.fields);
        format!("{{\"timestamp\":\"{at}\",\"level\":\"{}\"{fields}}}", self.level)
    }

    /// Whether it is about this app.
    pub fn is_of(&self, app: &str) -> bool {
        #[derive(Deserialize)]
        struct App<'a> {
            #[serde(borrow)]
            app: Option<Cow<'a, str>>,
        }
        let mut object = self.fields.clone();
        match object.first_mut() {
            Some(comma) => *comma = b'{',
            None => return false,
        }
        object.push(b'}');
        serde_json::from_slice::<App<'_>>(&object).is_ok_and(|line| line.app.as_deref() == Some(app))
    }
}

/// Writes fields as they come. Writing JSON to memory cannot fail.
struct Fields(Vec<u8>);

impl Fields {
    fn name(&mut self, field: &Field) {
        self.0.push(b',');
        let name = field.name();
        let _ = serde_json::to_writer(&mut self.0, name.strip_prefix("r#").unwrap_or(name));
        self.0.push(b':');
    }

    fn value(&mut self, field: &Field, value: &impl serde::Serialize) {
        self.name(field);
        let _ = serde_json::to_writer(&mut self.0, value);
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.value(field, &value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.value(field, &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.value(field, &value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.value(field, &value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.value(field, &value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.name(field);
        self.0.push(b'"');
        let _ = fmt::write(&mut Escaped(&mut self.0), format_args!("{value:?}"));
        self.0.push(b'"');
    }
}

/// The inside of a JSON string, escaped as it is written (RFC 8259, section 7).
struct Escaped<'a>(&'a mut Vec<u8>);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            match byte {
                b'"' | b'\\' => self.0.extend_from_slice(&[b'\\', byte]),
                b'\n' => self.0.extend_from_slice(b"\\n"),
                b'\r' => self.0.extend_from_slice(b"\\r"),
                b'\t' => self.0.extend_from_slice(b"\\t"),
                0..0x20 => write!(self.0, "\\u{byte:04x}").map_err(|_| fmt::Error)?,
                _ => self.0.push(byte),
            }
        }
        Ok(())
    }
}
