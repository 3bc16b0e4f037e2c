//! The HTML of the page. Knows nothing of requests or settings.

use crate::{Origin, Site};

/// What the visitor asked for.
pub struct Visit<'a> {
    pub origin: Origin,
    pub path: &'a str,
}

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#2b2a27;--paper:#faf7f1;--card:#fff;--line:#e5ddcf;--door:#a4452c}\
@media(prefers-color-scheme:dark){:root{--ink:#ece6da;--paper:#1f1d1a;--card:#292622;--line:#3d3831;--door:#e58a6d}}\
*{box-sizing:border-box}\
body{margin:0;background:var(--paper);color:var(--ink);font:17px/1.5 system-ui,sans-serif}\
main{max-width:44rem;margin:0 auto;padding:4rem 1.25rem}\
h1{font-size:2.2rem;line-height:1.15;margin:0 0 .25rem}\
p{margin:.25rem 0 0;opacity:.8}\
ul{list-style:none;margin:2rem 0;padding:0;display:grid;gap:.75rem}\
a{display:block;padding:1rem 1.25rem;background:var(--card);border:1px solid var(--line);\
border-left:.35rem solid var(--door);border-radius:.5rem;color:inherit;text-decoration:none}\
a:hover,a:focus-visible{border-color:var(--door)}\
b{display:block;font-size:1.1rem}\
small{display:block;color:var(--door);font-family:ui-monospace,monospace}\
footer{font-size:.85rem;opacity:.7}";

/// The whole page.
pub fn render(title: &str, sites: &[Site], visit: &Visit<'_>) -> String {
    let doors: String = sites.iter().map(|site| door(site, &visit.origin)).collect();
    let doors = if doors.is_empty() { "<li>No site is listed: set <code>sites</code>.</li>" } else { &doors };
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>{title}</title><style>{STYLE}</style></head>\n<body><main>\
         <h1>{title}</h1>\n<p>{lead}</p>\n<ul>\n{doors}</ul>\n\
         <footer>This page is a guest too: a component with {kib} KiB of memory of its own.</footer>\
         </main></body></html>\n",
        title = escape(title),
        lead = lead(visit, sites.len()),
        kib = memory_kib(),
    )
}

fn lead(visit: &Visit<'_>, sites: usize) -> String {
    if visit.path == "/" {
        let apps = if sites == 1 { "One site lives".to_owned() } else { format!("{sites} sites live") };
        format!("{apps} here, in one process, each in a room of its own.")
    } else {
        let asked = format!("{}{}", visit.origin.host, visit.path);
        format!("Nobody here answers to <code>{}</code>. These do:", escape(&asked))
    }
}

fn door(site: &Site, origin: &Origin) -> String {
    let link = origin.link(site);
    format!(
        "<li><a href=\"{href}\"><b>{name}</b>{about}<small>{href}</small></a></li>\n",
        href = escape(&link),
        name = escape(&site.name),
        about = escape(&site.about),
    )
}

/// The size of this instance's memory.
fn memory_kib() -> usize {
    #[cfg(target_family = "wasm")]
    let pages = core::arch::wasm32::memory_size(0);
    #[cfg(not(target_family = "wasm"))]
    let pages = 0;
    pages * 64
}

/// For text and for attributes in double quotes.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
