//! The operator page: what is in the embedded store as charts, and how the proxy is doing.
//!
//! Served beside `/health` on loopback, to whoever has the token. Read-only: there is no request that
//! changes anything. The server draws it all; the script only fetches it again now and then.
//!
//! A request goes through `access` (who may), `selection` (what), `query` (the numbers), `scale` and
//! `chart` (as drawings), `status` and `html` (as a page).

mod access;
mod chart;
mod html;
mod query;
mod scale;
mod selection;
mod status;

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use http_body_util::Full;
use hyper::{
    HeaderMap, Response, StatusCode,
    body::Bytes,
    header::{self, HeaderValue},
    http::request::Parts,
};

use crate::{error::Error, health::Report};
use access::{Access, Verdict};
use html::Store;
use query::{Reader, View};
use selection::Selection;
use status::Status;

/// What every answer has: nothing but ours is loaded, nobody frames it or keeps it.
const HEADERS: [(&str, &str); 7] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cache-control", "no-store"),
];

const PLAIN: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";

/// The page of one proxy.
pub(crate) struct Page {
    access: Access,
    /// What agents are given.
    ingest: String,
    store: Option<Arc<EmbeddedStore>>,
    queue_limit_bytes: u64,
}

/// Where the embedded store is.
struct EmbeddedStore {
    data_dir: PathBuf,
    limit_bytes: u64,
    /// One page is read at a time, however many tabs are open.
    turn: Mutex<()>,
}

impl Page {
    /// A page at `address` with a token of its own; `store_limit_bytes` if there is an embedded store.
    pub(crate) fn new(
        address: SocketAddr,
        ingest: String,
        data_dir: PathBuf,
        store_limit_bytes: Option<u64>,
        queue_limit_bytes: u64,
    ) -> Result<Self, Error> {
        let store = store_limit_bytes.map(|limit_bytes| {
            Arc::new(EmbeddedStore { data_dir, limit_bytes, turn: Mutex::new(()) })
        });
        Ok(Self { access: Access::new(address)?, ingest, store, queue_limit_bytes })
    }

    /// What the operator opens: the address with the token.
    pub(crate) fn url(&self) -> String {
        self.access.url()
    }

    /// Answers one request. Without the token there is one answer to all of them.
    pub(crate) async fn respond(&self, request: &Parts, report: &Report) -> Response<Full<Bytes>> {
        match self.access.decide(request) {
            Verdict::Refuse => {
                let how = "open the address that the proxy printed when it started\n";
                answer(StatusCode::FORBIDDEN, PLAIN, how)
            }
            Verdict::Welcome => {
                let mut welcome = answer(StatusCode::SEE_OTHER, PLAIN, "");
                insert(welcome.headers_mut(), "location", "/");
                insert(welcome.headers_mut(), "set-cookie", &self.access.set_cookie());
                welcome
            }
            Verdict::Answer => match request.uri.path() {
                "/" => self.page(request, report, |page| page.document()).await,
                "/fragment" => self.page(request, report, |page| page.fragment()).await,
                "/page.css" => {
                    let css = include_str!("page/page.css");
                    answer(StatusCode::OK, "text/css; charset=utf-8", css)
                }
                "/page.js" => {
                    let script = include_str!("page/page.js");
                    answer(StatusCode::OK, "text/javascript; charset=utf-8", script)
                }
                _ => answer(StatusCode::NOT_FOUND, PLAIN, "there is one page, at /\n"),
            },
        }
    }

    async fn page(
        &self,
        request: &Parts,
        report: &Report,
        render: fn(&html::Page<'_>) -> String,
    ) -> Response<Full<Bytes>> {
        let selection = Selection::parse(request.uri.query().unwrap_or_default());
        let read = match &self.store {
            Some(store) => Some((store.read(selection.clone()).await, store.limit_bytes)),
            None => None,
        };
        let page = html::Page {
            ingest: &self.ingest,
            selection: &selection,
            status: &Status::of(report),
            store: match &read {
                None => Store::None,
                Some((Ok(view), limit_bytes)) => Store::Open { view, limit_bytes: *limit_bytes },
                Some((Err(error), _)) => Store::Failed(error),
            },
            queue_limit_bytes: self.queue_limit_bytes,
        };
        answer(StatusCode::OK, HTML, render(&page))
    }
}

impl EmbeddedStore {
    /// On a thread that may block.
    async fn read(self: &Arc<Self>, selection: Selection) -> Result<View, String> {
        let store = Arc::clone(self);
        let work = tokio::task::spawn_blocking(move || {
            let _turn = store.turn.lock().unwrap_or_else(PoisonError::into_inner);
            Reader::open(&store.data_dir)?.view(&selection, SystemTime::now())
        });
        match work.await {
            Ok(Ok(view)) => Ok(view),
            Ok(Err(error)) => {
                tracing::warn!(%error, "the operator page can't read the store");
                Err(error.to_string())
            }
            Err(_) => Err("reading the store was interrupted".to_owned()),
        }
    }
}

fn answer(status: StatusCode, content_type: &str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    for (name, value) in HEADERS {
        insert(response.headers_mut(), name, value);
    }
    insert(response.headers_mut(), header::CONTENT_TYPE.as_str(), content_type);
    response
}

/// Names are constants; a value that no header can have is left out.
fn insert(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
