//! `limits` and `instances` of an app: its own, then those of `[defaults]`, then what holds otherwise.

use std::time::Duration;

use super::{Instances, Isolation, Limits, resolve::Resolver};
use crate::{
    manifest::{self, Located, defaults},
    report::Problem,
};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// A key of a table of limits.
type Key = fn(&manifest::Limits) -> Option<&Located<u64>>;

/// A table of the manifest and the one of `[defaults]` below it.
#[derive(Debug)]
pub(super) struct Layered<'a, T> {
    pub(super) own: Option<&'a Located<T>>,
    pub(super) base: Option<&'a Located<T>>,
}

impl<'a, T> Layered<'a, T> {
    pub(super) fn find<V>(&self, key: impl Fn(&'a T) -> Option<&'a Located<V>>) -> Option<&'a Located<V>> {
        let own = self.own.and_then(|table| key(&table.value));
        own.or_else(|| self.base.and_then(|table| key(&table.value)))
    }

    pub(super) fn number(&self, key: impl Fn(&'a T) -> Option<&'a Located<u64>>, default: u64) -> u64 {
        self.find(key).map_or(default, |number| number.value)
    }

    pub(super) fn size(&self, key: impl Fn(&'a T) -> Option<&'a Located<u64>>, default: u64) -> usize {
        usize::try_from(self.number(key, default)).unwrap_or(usize::MAX)
    }

    pub(super) fn millis(&self, key: impl Fn(&'a T) -> Option<&'a Located<u64>>, default: u64) -> Duration {
        Duration::from_millis(self.number(key, default))
    }
}

impl Layered<'_, manifest::Limits> {
    pub(super) fn limits(&self) -> Limits {
        let memory = self.number(|table| table.memory_mib.as_ref(), defaults::MEMORY_MIB);
        let app_memory = self.number(|table| table.app_memory_mib.as_ref(), memory * defaults::APP_MEMORY);
        let fields = self.number(|table| table.fields_kib.as_ref(), defaults::FIELDS_KIB);
        // A default gives way to what is written: who sets one time need not set the others to make them fit.
        let written = |key: Key| self.find(key).map(|ms| ms.value);
        let request = written(|table| table.request_ms.as_ref());
        let cpu = written(|table| table.cpu_ms.as_ref());
        let stream = written(|table| table.stream_ms.as_ref());
        let stream = stream.unwrap_or(defaults::STREAM_MS.max(request.unwrap_or(0)).max(cpu.unwrap_or(0)));
        Limits {
            memory_bytes: size(memory * MIB),
            app_memory_bytes: size(app_memory * MIB),
            log_lines: self.size(|table| table.log_lines.as_ref(), defaults::LOG_LINES),
            handles: self.size(|table| table.handles.as_ref(), defaults::HANDLES),
            files: self.size(|table| table.files.as_ref(), defaults::FILES),
            dirs_bytes: self.number(|table| table.dirs_mib.as_ref(), defaults::DIRS_MIB) * MIB,
            static_files: self.size(|table| table.static_files.as_ref(), defaults::STATIC_FILES),
            fields_bytes: size(fields * KIB),
            answer_bytes: self.number(|table| table.answer_mib.as_ref(), defaults::ANSWER_MIB) * MIB,
            request: Duration::from_millis(request.unwrap_or(defaults::REQUEST_MS.min(stream))),
            cpu: Duration::from_millis(cpu.unwrap_or(defaults::CPU_MS.min(stream))),
            stream: Duration::from_millis(stream),
            concurrent: self.size(|table| table.concurrent.as_ref(), defaults::CONCURRENT),
            queue: self.size(|table| table.queue.as_ref(), defaults::QUEUE),
            queue_wait: self.millis(|table| table.queue_ms.as_ref(), defaults::QUEUE_MS),
            body_bytes: self.number(|table| table.body_mib.as_ref(), defaults::BODY_MIB) * MIB,
            outgoing: self.size(|table| table.outgoing.as_ref(), defaults::OUTGOING),
            outgoing_wait: self.millis(|table| table.outgoing_ms.as_ref(), defaults::OUTGOING_MS),
            outgoing_body_bytes: self
                .number(|table| table.outgoing_body_mib.as_ref(), defaults::OUTGOING_BODY_MIB)
                * MIB,
            keyvalue: self.keyvalue(),
        }
    }
}

fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// What holds for generations that were saved before there was such a limit, and while an image is taken.
pub(crate) fn log_lines() -> usize {
    size(defaults::LOG_LINES)
}

/// What holds for generations that were saved before there was such a limit.
pub(super) fn app_memory_bytes() -> usize {
    size(defaults::MEMORY_MIB * defaults::APP_MEMORY * MIB)
}

pub(super) fn handles() -> usize {
    size(defaults::HANDLES)
}

pub(super) fn files() -> usize {
    size(defaults::FILES)
}

pub(super) fn dirs_bytes() -> u64 {
    defaults::DIRS_MIB * MIB
}

pub(super) fn static_files() -> usize {
    size(defaults::STATIC_FILES)
}

pub(super) fn answer_bytes() -> u64 {
    defaults::ANSWER_MIB * MIB
}

pub(super) fn fields_bytes() -> usize {
    size(defaults::FIELDS_KIB * KIB)
}

pub(super) fn outgoing() -> usize {
    size(defaults::OUTGOING)
}

pub(super) fn outgoing_wait() -> Duration {
    Duration::from_millis(defaults::OUTGOING_MS)
}

pub(super) fn outgoing_body_bytes() -> u64 {
    defaults::OUTGOING_BODY_MIB * MIB
}

impl Layered<'_, manifest::Instances> {
    pub(super) fn instances(&self) -> Instances {
        Instances {
            isolation: self.find(|table| table.isolation.as_ref()).map(|isolation| isolation.value.into()),
            reuse_max: self.number(|table| table.reuse_max.as_ref(), defaults::REUSE_MAX),
            concurrency: self.size(|table| table.concurrency.as_ref(), defaults::CONCURRENCY),
            idle: self.millis(|table| table.idle_ms.as_ref(), defaults::INSTANCE_IDLE_MS),
            snapshot: self.find(|table| table.snapshot.as_ref()).is_some_and(|snapshot| snapshot.value),
        }
    }
}

impl From<manifest::Isolation> for Isolation {
    fn from(isolation: manifest::Isolation) -> Self {
        match isolation {
            manifest::Isolation::Request => Isolation::Request,
            manifest::Isolation::Reuse => Isolation::Reuse,
        }
    }
}

impl Resolver<'_> {
    /// Checks that the times of one table go together, with each other and with those below. What is wrong within the
    /// lower table alone is reported there, once, and not in each table above.
    pub(super) fn check_limits(&mut self, limits: &Layered<'_, manifest::Limits>) {
        let owns = |key: Key| limits.own.is_some_and(|own| key(&own.value).is_some());
        let memory_keys: [Key; 2] =
            [|table| table.memory_mib.as_ref(), |table| table.app_memory_mib.as_ref()];
        if let [Some(one), Some(all)] = memory_keys.map(|key| limits.find(key))
            && one.value > all.value
            && memory_keys.iter().any(|key| owns(*key))
        {
            let (mark, other) = if owns(memory_keys[1]) { (all, one) } else { (one, all) };
            let message =
                "`app-memory-mib`, the memory of all instances, is less than `memory-mib`, that of one";
            let problem = Problem::error(message)
                .at(self.place(&mark.span), "")
                .also(self.place(&other.span), "")
                .help("lower `memory-mib` or raise `app-memory-mib`");
            self.report.push(problem);
        }
        let stream_key: Key = |table| table.stream_ms.as_ref();
        let Some(stream) = limits.find(stream_key) else { return };
        let parts: [(&str, Key); 2] =
            [("request-ms", |table| table.request_ms.as_ref()), ("cpu-ms", |table| table.cpu_ms.as_ref())];
        for (key, part_key) in parts {
            let Some(part) = limits.find(part_key).filter(|part| part.value > stream.value) else { continue };
            let (mark, other) = match (owns(part_key), owns(stream_key)) {
                (true, _) => (part, stream),
                (false, true) => (stream, part),
                (false, false) => continue,
            };
            let message = format!("`{key}` is longer than `stream-ms`, the time of a whole request");
            let problem = Problem::error(message)
                .at(self.place(&mark.span), "")
                .also(self.place(&other.span), "")
                .help(format!("lower `{key}` or raise `stream-ms`"));
            self.report.push(problem);
        }
    }

    /// Checks that the keys of one `instances` table go together.
    pub(super) fn check_instances(&mut self, instances: &Layered<'_, manifest::Instances>) {
        let Some(own) = instances.own else { return };
        let Some(isolation) = instances.find(|table| table.isolation.as_ref()) else { return };
        if isolation.value != manifest::Isolation::Request {
            return;
        }
        let own = &own.value;
        let keys =
            [("reuse-max", &own.reuse_max), ("concurrency", &own.concurrency), ("idle-ms", &own.idle_ms)];
        for (key, number) in keys {
            let Some(number) = number else { continue };
            let message =
                format!("`{key}` is for instances that are reused, and here each request gets a fresh one");
            let problem = Problem::error(message)
                .at(self.place(&number.span), "")
                .also(self.place(&isolation.span), "a fresh instance for each request")
                .help(format!("remove `{key}`, or set isolation = \"reuse\""));
            self.report.push(problem);
        }
    }
}
