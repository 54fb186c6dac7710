//! The command's end: asks the proxy that runs, or does it itself.

use std::{io, os::unix::net::UnixStream as StdUnixStream};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

use super::{ANSWER_LIMIT_BYTES, Answer, Request, answer, socket::at_short_path};
use crate::{
    config::Config,
    error::{Error, ErrorKind},
    queue::{Kept, Queue, Which},
};

/// What the operator's commands work on.
#[derive(Debug)]
pub struct Control<'a> {
    config: &'a Config,
    /// The queue, where no proxy runs.
    own: Option<Queue>,
}

impl<'a> Control<'a> {
    /// Reaches the proxy of this configuration, whether it runs or not.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`] if neither a proxy answers nor the queue can be opened.
    pub async fn of(config: &'a Config) -> Result<Self, Error> {
        let own = match connect(config).await {
            Ok(_) => None,
            Err(_) => Some(open(config).await?),
        };
        Ok(Self { config, own })
    }

    /// Lines that sinks refused, oldest first, behind the number `after`; none: there are no more.
    ///
    /// # Errors
    /// If the queue can't be read.
    pub async fn quarantine(&self, which: Which, after: i64) -> Result<Vec<Kept>, Error> {
        match self.ask(Request::Quarantine { which, after }).await? {
            Answer::Lines(lines) => Ok(lines),
            Answer::Done(_) => Err(failed("the answer is to another question")),
            Answer::Failed(why) => Err(failed(why)),
        }
    }

    /// Puts refused lines back, each for the sink that refused it: all or none. Returns how many.
    ///
    /// # Errors
    /// If they can't all be put back.
    pub async fn put_back(&self, which: Which) -> Result<u64, Error> {
        self.count(Request::PutBack(which)).await
    }

    /// Deletes refused lines, also from the disk. Returns how many.
    ///
    /// # Errors
    /// If the disk refuses.
    pub async fn delete(&self, which: Which) -> Result<u64, Error> {
        self.count(Request::Delete(which)).await
    }

    /// Closes the queue, if it was opened for this.
    ///
    /// # Errors
    /// If the disk refuses.
    pub async fn close(self) -> Result<(), Error> {
        let Some(queue) = self.own else { return Ok(()) };
        queue.close().await.map_err(|error| failed("close the queue").because(error))
    }

    async fn count(&self, request: Request) -> Result<u64, Error> {
        match self.ask(request).await? {
            Answer::Done(number) => Ok(number),
            Answer::Lines(_) => Err(failed("the answer is to another question")),
            Answer::Failed(why) => Err(failed(why)),
        }
    }

    async fn ask(&self, request: Request) -> Result<Answer, Error> {
        if let Some(queue) = &self.own {
            return Ok(answer(queue, request).await);
        }
        let exchange = async {
            let mut stream = connect(self.config).await?;
            stream.write_all(&serde_json::to_vec(&request)?).await?;
            stream.shutdown().await?;
            let mut text = Vec::new();
            stream.take(ANSWER_LIMIT_BYTES).read_to_end(&mut text).await?;
            Ok(serde_json::from_slice(&text)?)
        };
        exchange.await.map_err(|error: io::Error| failed("ask the proxy that runs").because(error))
    }
}

async fn connect(config: &Config) -> io::Result<UnixStream> {
    let stream = at_short_path(&config.data_dir, |short| StdUnixStream::connect(short))?;
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream)
}

async fn open(config: &Config) -> Result<Queue, Error> {
    let queue = Queue::open(&config.data_dir, config.queue.clone())
        .map_err(|error| failed("open the queue").because(error))?;
    let names: Vec<&str> = config.sinks.iter().map(|sink| sink.name.as_str()).collect();
    queue.register_sinks(&names).await.map_err(|error| failed("register sinks").because(error))?;
    Ok(queue)
}

fn failed(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Storage, what)
}
