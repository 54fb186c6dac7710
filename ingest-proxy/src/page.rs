//! The operator page: what is in the embedded store as charts, and how the proxy is doing.
//!
//! Served beside `/health` on loopback, to whoever has the token. All that it changes is what becomes of
//! points that are held: by forms of its own, each with a token. The server draws it all; the script only fetches it again now and then.
//!
//! A request goes through `access` (who may), `selection` (what), `query` (the numbers), `scale` and
//! `chart` (as drawings), `status` and `html` (as a page).

mod access;
mod chart;
mod form;
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

use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    HeaderMap, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{self, HeaderValue},
    http::request::Parts,
};

use crate::{error::Error, health::Report};
use access::{Access, Verdict};
use form::{Action, Forms};
use html::Store;
use query::{Reader, View};
use selection::Selection;
use status::Status;

/// What every answer has: nothing but ours is loaded, nobody frames it or keeps it.
const HEADERS: [(&str, &str); 7] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
         base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "same-origin"),
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
    forms: Forms,
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
        let (access, forms) = (Access::new(address)?, Forms::new()?);
        Ok(Self { access, forms, ingest, store, queue_limit_bytes })
    }

    /// What the operator opens: the address with the token.
    pub(crate) fn url(&self) -> String {
        self.access.url()
    }

    /// Answers one request. Without the token there is one answer to all of them.
    pub(crate) async fn respond(
        &self,
        request: Request<Incoming>,
        report: &Report,
    ) -> Response<Full<Bytes>> {
        let (request, body) = request.into_parts();
        let request = &request;
        match self.access.decide(request) {
            Verdict::Act => self.act(request, body, report).await,
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

    /// Does what a form of ours asks for, and leads back to the page.
    async fn act(&self, request: &Parts, body: Incoming, report: &Report) -> Response<Full<Bytes>> {
        let body = match Limited::new(body, form::LENGTH_LIMIT).collect().await {
            Ok(body) => body.to_bytes(),
            Err(_) => {
                return answer(StatusCode::BAD_REQUEST, PLAIN, "this is no form of this page\n");
            }
        };
        let Some((action, session)) =
            self.forms.read(&body).filter(|_| request.uri.path() == form::PATH)
        else {
            return answer(
                StatusCode::FORBIDDEN,
                PLAIN,
                "load the page again, and try once more\n",
            );
        };
        let done = match action {
            Action::Release => report.queue.release(&session).await,
            Action::Delete => report.queue.delete_held(&session).await,
        };
        if let Err(error) = done {
            tracing::warn!(%error, "the operator page can't change what is held");
            let why = format!("nothing was changed: {error}\n");
            return answer(StatusCode::SERVICE_UNAVAILABLE, PLAIN, why);
        }
        let mut back = answer(StatusCode::SEE_OTHER, PLAIN, "");
        insert(back.headers_mut(), "location", "/");
        back
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
        let mut status = Status::of(report);
        status.read_suspects(&report.queue).await;
        let page = html::Page {
            ingest: &self.ingest,
            forms: &self.forms,
            selection: &selection,
            status: &status,
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
