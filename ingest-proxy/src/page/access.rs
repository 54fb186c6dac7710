//! Who may see the operator page: whoever has the token that the proxy printed at its start.
//!
//! Loopback is no boundary. Any web page can send requests to it, and any user of the machine can
//! connect. So a request must name us as `Host`, must not come from another site, and must bring the
//! token, once in the URL and then as a cookie. Whatever is wrong, the answer is the same.
//!
//! The token is drawn at each start and is nowhere on disk: cookies know no ports, so that a browser
//! shows ours to other servers on loopback, too. What they could learn ends with the process.

use std::net::SocketAddr;

use hyper::{
    HeaderMap, Method,
    header::{CONTENT_TYPE, COOKIE, HOST, ORIGIN},
    http::request::Parts,
};
use rand::{TryRng, rngs::SysRng};
use subtle::ConstantTimeEq;

use crate::error::{Error, ErrorKind};

const TOKEN_BYTES: usize = 32;
/// What leads a token in the URL.
const IN_QUERY: &str = "token=";

/// The rules for one address.
pub(super) struct Access {
    address: SocketAddr,
    token: String,
    /// With the port, so that two proxies on a machine don't overwrite each other's.
    cookie: String,
}

/// What is done with a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Refuse it, whatever it asks for.
    Refuse,
    /// It has the token in its URL: hand out the cookie and lead to the URL without it.
    Welcome,
    /// Answer it.
    Answer,
    /// A form of this page asks for a change: do it if it has the form's token, too.
    Act,
}

impl Access {
    /// Draws a token.
    pub(super) fn new(address: SocketAddr) -> Result<Self, Error> {
        let mut bytes = [0; TOKEN_BYTES];
        SysRng.try_fill_bytes(&mut bytes).map_err(|error| {
            Error::new(ErrorKind::Health, "draw the operator page's token").because(error)
        })?;
        let token = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { address, token, cookie: format!("undertone-page-{}", address.port()) })
    }

    /// What the operator opens.
    pub(super) fn url(&self) -> String {
        format!("http://{}/?{IN_QUERY}{}", self.address, self.token)
    }

    /// The value of `Set-Cookie`. The browser forgets it when it ends.
    pub(super) fn set_cookie(&self) -> String {
        format!("{}={}; HttpOnly; SameSite=Strict; Path=/", self.cookie, self.token)
    }

    pub(super) fn decide(&self, request: &Parts) -> Verdict {
        if !self.is_addressed(&request.headers) {
            return Verdict::Refuse;
        }
        if request.method == Method::POST {
            let is_ours = is_own_form(&request.headers) && self.has_cookie(&request.headers);
            return if is_ours { Verdict::Act } else { Verdict::Refuse };
        }
        if is_from_elsewhere(&request.headers) {
            return Verdict::Refuse;
        }
        if !matches!(request.method, Method::GET | Method::HEAD) {
            return Verdict::Refuse;
        }
        let query = request.uri.query().unwrap_or_default();
        let mut tokens = query.split('&').filter_map(|pair| pair.strip_prefix(IN_QUERY));
        if tokens.any(|token| self.is_token(token)) {
            return Verdict::Welcome;
        }
        if self.has_cookie(&request.headers) { Verdict::Answer } else { Verdict::Refuse }
    }

    /// Whether `Host` is this port. A page that rebinds its name to loopback sends its own.
    fn is_addressed(&self, headers: &HeaderMap) -> bool {
        let ours = [self.address.to_string(), format!("localhost:{}", self.address.port())];
        let mut hosts = headers.get_all(HOST).iter().peekable();
        hosts.peek().is_some() && hosts.all(|host| ours.iter().any(|ours| host == ours.as_str()))
    }

    fn has_cookie(&self, headers: &HeaderMap) -> bool {
        let cookies = headers.get_all(COOKIE).iter().filter_map(|header| header.to_str().ok());
        cookies.flat_map(|header| header.split(';')).any(|cookie| {
            let pair = cookie.trim().split_once('=');
            pair.is_some_and(|(name, value)| name == self.cookie && self.is_token(value))
        })
    }

    fn is_token(&self, text: &str) -> bool {
        self.token.as_bytes().ct_eq(text.as_bytes()).into()
    }
}

/// Whether a browser says that something else than this page or the operator asks. A page on another
/// port of this machine is of the same *site*, and gets the cookie sent: only the same *origin* will do.
fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    headers.contains_key(ORIGIN)
        || headers
            .get_all("sec-fetch-site")
            .iter()
            .any(|site| site != "same-origin" && site != "none")
}

/// Whether a browser says that a form of this page was sent: from this origin, which is named as it was
/// asked for, in the only encoding that our forms have. A browser that names no origin isn't believed.
fn is_own_form(headers: &HeaderMap) -> bool {
    let only = |name| {
        let mut values = headers.get_all(name).iter();
        values.next().filter(|_| values.next().is_none()).and_then(|value| value.to_str().ok())
    };
    let (origin, host) = (only(ORIGIN), only(HOST));
    let is_own = origin.zip(host).is_some_and(|(origin, host)| {
        origin.strip_prefix("http://").is_some_and(|origin| origin == host)
    });
    is_own
        && only(CONTENT_TYPE).is_some_and(|kind| kind == "application/x-www-form-urlencoded")
        && headers.get_all("sec-fetch-site").iter().all(|site| site == "same-origin")
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;

    const HOST_OF_OURS: (&str, &str) = ("host", "127.0.0.1:9790");

    fn access() -> Access {
        Access::new("127.0.0.1:9790".parse().unwrap()).unwrap()
    }

    fn decide(access: &Access, method: &str, path: &str, headers: &[(&str, &str)]) -> Verdict {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        access.decide(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn who_is_let_in() {
        use Verdict::{Act, Answer, Refuse, Welcome};
        let access = access();
        let with_token = format!("/?token={}", access.token);
        let cookie = format!("a=b; undertone-page-9790={}", access.token);
        let cookie = ("cookie", cookie.as_str());
        let other = format!("undertone-page-9791={}", access.token);
        let short = format!("/?token={}", &access.token[..63]);
        let localhost = ("host", "localhost:9790");
        let form = ("content-type", "application/x-www-form-urlencoded");
        let ours = ("origin", "http://127.0.0.1:9790");
        let same = ("sec-fetch-site", "same-origin");
        for (method, path, headers, expected) in [
            ("GET", with_token.as_str(), &[HOST_OF_OURS][..], Welcome),
            ("HEAD", &with_token, &[localhost], Welcome),
            ("GET", "/", &[HOST_OF_OURS, cookie], Answer),
            ("GET", "/?token=old", &[HOST_OF_OURS, cookie], Answer),
            ("HEAD", "/", &[HOST_OF_OURS, cookie], Answer),
            ("GET", "/", &[localhost, cookie, ("sec-fetch-site", "same-origin")], Answer),
            ("GET", "/", &[HOST_OF_OURS, cookie, ("sec-fetch-site", "none")], Answer),
            // Without the token, or with another.
            ("GET", "/", &[HOST_OF_OURS], Refuse),
            ("GET", "/?token=", &[HOST_OF_OURS], Refuse),
            ("GET", &short, &[HOST_OF_OURS], Refuse),
            ("GET", "/", &[HOST_OF_OURS, ("cookie", other.as_str())], Refuse),
            ("GET", "/", &[HOST_OF_OURS, ("cookie", "undertone-page-9790=")], Refuse),
            // A form of the page.
            ("POST", "/held", &[HOST_OF_OURS, cookie, ours, form, same], Act),
            ("POST", "/held", &[HOST_OF_OURS, cookie, ours, form], Act),
            (
                "POST",
                "/held",
                &[localhost, cookie, ("origin", "http://localhost:9790"), form, same],
                Act,
            ),
            ("POST", "/held", &[HOST_OF_OURS, ours, form, same], Refuse),
            ("POST", "/held", &[HOST_OF_OURS, cookie, form, same], Refuse),
            ("POST", "/held", &[HOST_OF_OURS, cookie, ours, same], Refuse),
            ("POST", "/held", &[localhost, cookie, ours, form, same], Refuse),
            ("POST", "/held", &[HOST_OF_OURS, cookie, ours, ours, form, same], Refuse),
            ("POST", "/held", &[HOST_OF_OURS, cookie, ("origin", "null"), form, same], Refuse),
            (
                "POST",
                "/held",
                &[HOST_OF_OURS, cookie, ("origin", "http://127.0.0.1:9791"), form, same],
                Refuse,
            ),
            (
                "POST",
                "/held",
                &[HOST_OF_OURS, cookie, ours, form, ("sec-fetch-site", "same-site")],
                Refuse,
            ),
            (
                "POST",
                "/held",
                &[HOST_OF_OURS, cookie, ours, form, ("sec-fetch-site", "none")],
                Refuse,
            ),
            (
                "POST",
                "/held",
                &[HOST_OF_OURS, cookie, ours, ("content-type", "text/plain")],
                Refuse,
            ),
            ("POST", &with_token, &[HOST_OF_OURS, ours, form, same], Refuse),
            // Another method.
            ("POST", "/", &[HOST_OF_OURS, cookie], Refuse),
            ("DELETE", "/", &[HOST_OF_OURS, cookie], Refuse),
            ("OPTIONS", "/", &[HOST_OF_OURS, cookie], Refuse),
            // Another name for this address.
            ("GET", &with_token, &[], Refuse),
            ("GET", &with_token, &[("host", "127.0.0.1")], Refuse),
            ("GET", &with_token, &[("host", "127.0.0.1:9791")], Refuse),
            ("GET", &with_token, &[("host", "evil.example:9790")], Refuse),
            ("GET", &with_token, &[("host", "localhost.evil.example:9790")], Refuse),
            ("GET", &with_token, &[HOST_OF_OURS, ("host", "evil.example")], Refuse),
            // Another origin, even on this machine.
            ("GET", &with_token, &[HOST_OF_OURS, ("origin", "https://evil.example")], Refuse),
            ("GET", "/", &[HOST_OF_OURS, cookie, ("origin", "null")], Refuse),
            ("GET", "/", &[HOST_OF_OURS, cookie, ("origin", "http://127.0.0.1:9790")], Refuse),
            ("GET", "/", &[HOST_OF_OURS, cookie, ("sec-fetch-site", "cross-site")], Refuse),
            ("GET", "/", &[HOST_OF_OURS, cookie, ("sec-fetch-site", "same-site")], Refuse),
            ("GET", &with_token, &[HOST_OF_OURS, ("sec-fetch-site", "cross-site")], Refuse),
        ] {
            let verdict = decide(&access, method, path, headers);
            assert_eq!(verdict, expected, "{method} {path} {headers:?}");
        }
    }

    #[test]
    fn each_start_has_its_own_token() {
        let (one, other) = (access(), access());
        assert_eq!(one.token.len(), 2 * TOKEN_BYTES);
        assert_ne!(one.token, other.token);
        assert_eq!(decide(&one, "GET", &other.url()[21..], &[HOST_OF_OURS]), Verdict::Refuse);
        assert_eq!(decide(&one, "GET", &one.url()[21..], &[HOST_OF_OURS]), Verdict::Welcome);
    }
}
