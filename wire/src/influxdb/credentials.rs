//! The token that a client gives: as such in the words of version 2, as a password in those of version 1.

use std::fmt;

use data_encoding::BASE64;
use http::{HeaderMap, HeaderValue, Uri, header::AUTHORIZATION};
use subtle::ConstantTimeEq as _;

/// Shorter tokens can be guessed by who may try thousands of times a second.
const LENGTH_MINIMUM: usize = 16;

/// What a client gives as the token (version 2) or the password (version 1).
#[derive(Clone)]
pub struct Token(String);

/// Why something can't be a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// It could be guessed.
    #[error(
        "is shorter than {LENGTH_MINIMUM} characters: take a random one, such as `openssl rand -hex 16` makes"
    )]
    Short,
    /// It couldn't stand in a request's head.
    #[error("has other characters than visible ASCII")]
    Characters,
}

impl Token {
    /// # Errors
    /// [`TokenError`]
    pub fn new(token: impl Into<String>) -> Result<Self, TokenError> {
        let token = token.into();
        if token.len() < LENGTH_MINIMUM {
            return Err(TokenError::Short);
        }
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError::Characters);
        }
        Ok(Self(token))
    }

    /// Whether `candidate` is the token. How long it takes tells no more than whether the lengths are
    /// equal.
    pub fn is(&self, candidate: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(candidate).into()
    }

    /// Whether a request carries the token: in `Authorization`, or as the parameter `p`.
    pub fn is_in(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        let given = headers.get_all(AUTHORIZATION).iter().any(|value| self.authorizes(value));
        let password = || {
            let query = uri.query().unwrap_or_default().as_bytes();
            form_urlencoded::parse(query).any(|(key, p)| key == "p" && self.is(p.as_bytes()))
        };
        given || password()
    }

    /// Whether an `Authorization` carries the token: `Token` or `Bearer`, where a user's name and a colon
    /// may stand before it, or `Basic`.
    fn authorizes(&self, value: &HeaderValue) -> bool {
        let value = value.as_bytes();
        let Some(space) = value.iter().position(|byte| *byte == b' ') else { return false };
        let (scheme, credentials) = (&value[..space], value[space..].trim_ascii());
        if scheme.eq_ignore_ascii_case(b"Token") || scheme.eq_ignore_ascii_case(b"Bearer") {
            return self.is(credentials) || self.is_password(credentials);
        }
        scheme.eq_ignore_ascii_case(b"Basic")
            && BASE64.decode(credentials).is_ok_and(|decoded| self.is_password(&decoded))
    }

    /// Whether the token stands behind a user's name.
    fn is_password(&self, credentials: &[u8]) -> bool {
        let colon = credentials.iter().position(|byte| *byte == b':');
        colon.is_some_and(|colon| self.is(&credentials[colon + 1..]))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_long_and_printable_and_never_printed() {
        for (refused, why) in [
            ("", TokenError::Short),
            ("s3cret", TokenError::Short),
            ("fifteen letters", TokenError::Short),
            ("with a space in it", TokenError::Characters),
            ("with-an-ümlaut-in-it", TokenError::Characters),
        ] {
            assert_eq!(Token::new(refused).unwrap_err(), why);
        }
        let token = Token::new("0123456789abcdef").unwrap();
        assert_eq!(format!("{token:?}"), "Token(…)");
        assert!(token.is(b"0123456789abcdef"));
        assert!(!token.is(b"0123456789abcdeF"));
        assert!(!token.is(b"0123456789abcdef0"));
        assert!(!token.is(b""));
    }

    #[test]
    fn a_token_is_where_clients_put_it() {
        let token = Token::new("0123456789abcdef").unwrap();
        // `user:0123456789abcdef`, `:0123456789abcdef`, and the token alone.
        let (user, nobody, alone) = (
            "dXNlcjowMTIzNDU2Nzg5YWJjZGVm",
            "OjAxMjM0NTY3ODlhYmNkZWY=",
            "MDEyMzQ1Njc4OWFiY2RlZg==",
        );
        for (authorization, query, expected) in [
            ("", "", false),
            ("Token 0123456789abcdef", "", true),
            ("token   0123456789abcdef ", "", true),
            ("Bearer 0123456789abcdef", "", true),
            ("Token user:0123456789abcdef", "", true),
            ("Token 0123456789abcdee", "", false),
            ("Token", "", false),
            ("0123456789abcdef", "", false),
            (&format!("Basic {user}"), "", true),
            (&format!("basic {nobody}"), "", true),
            (&format!("Basic {alone}"), "", false),
            ("Basic 0123456789abcdef", "", false),
            ("Digest 0123456789abcdef", "", false),
            ("", "?u=user&p=0123456789abcdef", true),
            ("", "?p=0123456789abcde%66", true),
            ("", "?u=0123456789abcdef", false),
            ("Token wrong-wrong-wrong", "?p=0123456789abcdef", true),
        ] {
            let uri: Uri = format!("/write{query}").parse().unwrap();
            let mut headers = HeaderMap::new();
            if !authorization.is_empty() {
                headers.insert(AUTHORIZATION, authorization.parse().unwrap());
            }
            assert_eq!(token.is_in(&uri, &headers), expected, "{authorization:?} {query:?}");
        }
    }
}
