//! How the commands of an operator reach what a running proxy has open: a unix socket in the data folder.
//!
//! Who may open it is a matter of the folder, which is our user's alone (0700), like the socket (0600): no web
//! page can reach it, and no token has to be kept anywhere. One connection, one request, one answer, each
//! JSON and bounded. Where no proxy runs, the command opens the queue itself, which no two processes can.

mod ask;
mod socket;

use serde::{Deserialize, Serialize};

pub use ask::Control;
pub(crate) use socket::ControlSocket;

use crate::queue::{Kept, Queue, Which};

/// The socket's name in the data folder.
const NAME: &str = "control.sock";
/// A request is short, also with many numbers in it.
const REQUEST_LIMIT_BYTES: u64 = 1 << 20;
/// A page of lines, each of which fits into a parcel, with its reason.
const ANSWER_LIMIT_BYTES: u64 = 64 << 20;
/// How many lines are told at once.
const PAGE: usize = 200;

/// What can be asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Request {
    /// Refused lines behind this number, oldest first, a page of them.
    Quarantine { which: Which, after: i64 },
    /// Put them back.
    PutBack(Which),
    /// Delete them.
    Delete(Which),
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    /// Lines; none: there are no more.
    Lines(Vec<Kept>),
    /// How many it was done to.
    Done(u64),
    /// It can't be done, and why.
    Failed(String),
}

/// Does what is asked for.
async fn answer(queue: &Queue, request: Request) -> Answer {
    let outcome = match request {
        Request::Quarantine { which, after } => {
            queue.kept(which, after, PAGE).await.map(Answer::Lines)
        }
        Request::PutBack(which) => queue.put_back(which).await.map(Answer::Done),
        Request::Delete(which) => queue.delete_kept(which).await.map(Answer::Done),
    };
    outcome.unwrap_or_else(|error| Answer::Failed(error.to_string()))
}

#[cfg(test)]
mod tests;
