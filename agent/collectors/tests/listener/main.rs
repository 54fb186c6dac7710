//! A listener, from outside: what real clients write arrives as they wrote it, what isn't allowed is
//! refused, and nothing that a client does makes it wait or grow without bound.

mod access;
mod clients;
mod limits;
mod lines;
mod serving;
mod sockets;

#[path = "../../../../wire/tests/support/go_program.rs"]
mod go_program;
