//! What is shown in place of apps that could not be built or started, while somebody works on them (`guesthouse dev`).
//!
//! An app that was never built has no generation and no place in the house; its routes are found here. One that has an
//! earlier generation goes on serving programs and page parts with it: only pages are replaced.

use std::sync::Arc;

use arc_swap::ArcSwap;
use http::{HeaderMap, header};

use crate::{
    plan::Target,
    router::{Host, RequestPath, Table},
};

/// The notices of a house; they change without it.
#[derive(Debug, Default)]
pub struct Notices(ArcSwap<Board>);

/// All apps of a manifest with their routes, those without a notice too: the most specific route decides.
#[derive(Debug, Default)]
pub struct Board {
    pub routes: Table<Target>,
    /// In the order of the plan that the routes are of.
    pub apps: Vec<Post>,
}

/// One app.
#[derive(Debug, Clone, Default)]
pub struct Post {
    /// Whether there is a generation of it in the house.
    pub is_served: bool,
    pub notice: Option<Arc<Notice>>,
}

/// Why an app cannot be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    pub app: Arc<str>,
    /// What the tools said, as plain text.
    pub text: String,
    /// Tells this notice from every other of this process.
    pub number: u64,
}

impl Notices {
    pub fn put(&self, board: Board) {
        self.0.store(Arc::new(board));
    }

    /// The notice that stands in the way of a request.
    pub fn find(
        &self,
        host: &Host<'_>,
        port: u16,
        path: &RequestPath<'_>,
        headers: &HeaderMap,
    ) -> Option<Arc<Notice>> {
        let board = self.0.load();
        let post = board.apps.get(board.routes.lookup(host, port, path)?.app)?;
        let notice = post.notice.as_ref()?;
        (!post.is_served || wants_page(headers)).then(|| notice.clone())
    }
}

/// Whether a browser asks for a page, and not for a part of one.
fn wants_page(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.into_iter().any(|value| value.contains("text/html"))
}
