//! The page's forms: what is held of a session is released or deleted.
//!
//! Each has a token that is good for that one thing with that one session, until the proxy ends. A page of
//! somebody else, which can't read this one, can't make one.

use rand::{TryRng, rngs::SysRng};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::error::{Error, ErrorKind};

/// Where forms are sent.
pub(super) const PATH: &str = "/held";
/// The longest form.
pub(super) const LENGTH_LIMIT: usize = 512;

/// What a form asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Release,
    Delete,
}

/// Makes forms' tokens, and knows them again.
pub(super) struct Forms {
    secret: [u8; 32],
}

impl Action {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Delete => "delete",
        }
    }
}

impl Forms {
    /// Draws a secret.
    pub(super) fn new() -> Result<Self, Error> {
        let mut secret = [0; 32];
        SysRng.try_fill_bytes(&mut secret).map_err(|error| {
            Error::new(ErrorKind::Health, "draw the secret of the page's forms").because(error)
        })?;
        Ok(Self { secret })
    }

    /// The token of a form.
    pub(super) fn token(&self, action: Action, session: &str) -> String {
        let mut hash = Sha256::new_with_prefix(b"undertone page form 1\0");
        hash.update(self.secret);
        hash.update(action.name());
        hash.update([0]);
        hash.update(session);
        // The secret's and the name's lengths are fixed or ended: nothing else hashes alike.
        data_encoding::HEXLOWER.encode(&hash.finalize())
    }

    /// What a form that was sent asks for; none unless it is one of ours.
    pub(super) fn read(&self, body: &[u8]) -> Option<(Action, String)> {
        let body = std::str::from_utf8(body).ok()?;
        let mut fields = body.split('&').map(|field| field.split_once('='));
        let mut next = |name| {
            let (key, value) = fields.next()??;
            (key == name).then_some(value)
        };
        let (session, token, action) = (next("session")?, next("token")?, next("action")?);
        let action =
            [Action::Release, Action::Delete].into_iter().find(|it| it.name() == action)?;
        let known = self.token(action, session);
        let is_ours: bool = known.as_bytes().ct_eq(token.as_bytes()).into();
        (is_ours && fields.next().is_none()).then(|| (action, session.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_good_for_what_it_was_made_for() {
        let (forms, others) = (Forms::new().unwrap(), Forms::new().unwrap());
        let release = forms.token(Action::Release, "a-1");
        let delete = forms.token(Action::Delete, "a-1");
        let read = |body: String| forms.read(body.as_bytes());
        assert_eq!(
            read(format!("session=a-1&token={release}&action=release")),
            Some((Action::Release, "a-1".to_owned()))
        );
        assert_eq!(
            read(format!("session=a-1&token={delete}&action=delete")),
            Some((Action::Delete, "a-1".to_owned()))
        );
        for body in [
            format!("session=a-1&token={release}&action=delete"),
            format!("session=a-2&token={release}&action=release"),
            format!("session=a-1&token={}&action=release", others.token(Action::Release, "a-1")),
            format!("session=a-1&token={release}&action=release&action=delete"),
            format!("session=a-1&token={}&action=release", &release[1..]),
            "session=a-1&action=release".to_owned(),
            String::new(),
        ] {
            assert_eq!(read(body.clone()), None, "{body}");
        }
    }
}
