//! The terminal of a review: reads single keys, and leaves the terminal in its former mode however the review ends.

use std::{
    io::{self, Write},
    pin::pin,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::{Errno, read, retry_on_intr},
    process::{Signal as SignalNumber, getpid, getsid, kill_process},
    termios::{LocalModes, OptionalActions, QueueSelector, SpecialCodeIndex, Termios, tcflush, tcgetattr, tcsetattr},
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task::spawn_blocking,
    time::sleep,
};

/// The time in which the rest of an escape sequence arrives.
const ESCAPE_TIME: Duration = Duration::from_millis(50);
const ESCAPE: u8 = 0x1b;
const CTRL_D: u8 = 0x04;

/// A key of the review.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReviewKey {
    Same,
    Different,
    Skip,
    Undo,
    Quit,
    /// Any other key.
    Other,
}

/// An event at the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A key was typed.
    Key(ReviewKey),
    /// The review has to end: ctrl-c, ctrl-\, SIGTERM, or the terminal is gone.
    End,
    /// The program was suspended by ctrl-z, and continues.
    Resumed,
}

/// The terminal, without echo and line editing until it is dropped. Ctrl-c stays a signal.
pub struct Terminal {
    input: Input,
    signals: Signals,
}

impl Terminal {
    /// Changes the mode of the terminal, and discards the keys typed before.
    ///
    /// # Errors
    /// If standard input is not a terminal.
    pub fn open() -> io::Result<Self> {
        // The signals are caught first: none may end the program in the changed mode.
        let signals = Signals::new()?;
        let input = Input { former: tcgetattr(io::stdin())? };
        input.read_keys()?;
        Ok(Self { input, signals })
    }

    /// Prints a text at once.
    ///
    /// # Errors
    /// If the terminal is gone.
    pub fn print(&self, text: &str) -> io::Result<()> {
        let mut output = io::stdout().lock();
        output.write_all(text.as_bytes())?;
        output.flush()
    }

    /// Discards the keys that were typed and not read.
    ///
    /// # Errors
    /// If the terminal is gone.
    pub fn discard_typed(&self) -> io::Result<()> {
        self.input.discard()
    }

    /// Waits for the next event.
    ///
    /// # Errors
    /// If the terminal cannot be read, or the program cannot be suspended.
    pub async fn event(&mut self) -> io::Result<Event> {
        tokio::select! {
            biased;
            event = self.signals.next(&self.input) => event,
            key = self.input.key() => key.map(Event::Key),
        }
    }

    /// Awaits a future. Returns `None` if the review has to end before. Keys do not count meanwhile.
    ///
    /// # Errors
    /// If the program cannot be suspended.
    pub async fn unless_ended<T>(&mut self, future: impl Future<Output = T>) -> io::Result<Option<T>> {
        let mut future = pin!(future);
        loop {
            tokio::select! {
                biased;
                output = &mut future => return Ok(Some(output)),
                event = self.signals.next(&self.input) => if event? == Event::End {
                    return Ok(None);
                }
            }
        }
    }
}

/// The input, which restores the former mode of the terminal when it is dropped.
struct Input {
    former: Termios,
}

impl Input {
    /// Reads by keys instead of lines, and does not show them.
    fn read_keys(&self) -> io::Result<()> {
        let mut mode = self.former.clone();
        mode.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
        // A read does not wait: `is_readable` does.
        mode.special_codes[SpecialCodeIndex::VMIN] = 0;
        mode.special_codes[SpecialCodeIndex::VTIME] = 0;
        Ok(tcsetattr(io::stdin(), OptionalActions::Flush, &mode)?)
    }

    fn restore(&self) {
        // If the terminal is gone, there is nothing to restore.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.former);
    }

    fn discard(&self) -> io::Result<()> {
        tcflush(io::stdin(), QueueSelector::IFlush)?;
        while self.read(&mut [0; 64])? > 0 {}
        Ok(())
    }

    /// Reads bytes without waiting; 0 if there are none.
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match retry_on_intr(|| read(io::stdin(), &mut *buffer)) {
            Err(Errno::AGAIN) => Ok(0),
            read => Ok(read?),
        }
    }

    /// Waits for the next key. Of several keys typed at once, only the first counts: the others were typed before its
    /// effect was shown. Cancel safe.
    async fn key(&self) -> io::Result<ReviewKey> {
        let mut typed = [0; 64];
        while is_readable().await? {
            match self.read(&mut typed) {
                Ok(0) => {}
                Ok(_) if typed[0] == ESCAPE => {
                    // A cursor or function key, or a letter with alt: none of its bytes is an answer.
                    sleep(ESCAPE_TIME).await;
                    self.discard()?;
                    return Ok(ReviewKey::Other);
                }
                Ok(_) => return Ok(ReviewKey::of(typed[0])),
                Err(error) => return Err(error),
            }
        }
        Ok(ReviewKey::Quit)
    }
}

/// Waits until bytes were typed. Returns `false` if the terminal is gone. Cancel safe: the bytes are not read.
async fn is_readable() -> io::Result<bool> {
    // The thread ends when `cancel` is dropped. Otherwise the program could end only after another key.
    let (cancelled, cancel) = io::pipe()?;
    let polled = spawn_blocking(move || {
        let input = io::stdin();
        let mut sources = [PollFd::new(&input, PollFlags::IN), PollFd::new(&cancelled, PollFlags::IN)];
        retry_on_intr(|| poll(&mut sources, None))?;
        Ok(!sources[0].revents().intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL))
    });
    let is_readable = polled.await.map_err(io::Error::other)?;
    drop(cancel);
    is_readable
}

impl Drop for Input {
    fn drop(&mut self) {
        self.restore();
    }
}

/// The signals that end or suspend the review.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    quit: Signal,
    suspend: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            quit: signal(SignalKind::quit())?,
            suspend: signal(SignalKind::from_raw(SignalNumber::TSTP.as_raw()))?,
        })
    }

    /// Waits for a signal. Suspends the program at ctrl-z, with the terminal in its former mode meanwhile. Cancel safe.
    async fn next(&mut self, input: &Input) -> io::Result<Event> {
        tokio::select! {
            _ = self.interrupt.recv() => Ok(Event::End),
            _ = self.terminate.recv() => Ok(Event::End),
            _ = self.hangup.recv() => Ok(Event::End),
            _ = self.quit.recv() => Ok(Event::End),
            _ = self.suspend.recv() => {
                // The leader of a session, as in a container, has no shell that could continue it.
                if getsid(None)? != getpid() {
                    input.restore();
                    kill_process(getpid(), SignalNumber::STOP)?;
                    input.read_keys()?;
                }
                Ok(Event::Resumed)
            }
        }
    }
}

impl ReviewKey {
    fn of(byte: u8) -> Self {
        match byte.to_ascii_lowercase() {
            b's' => Self::Same,
            b'd' => Self::Different,
            b'n' | b' ' => Self::Skip,
            b'u' => Self::Undo,
            b'q' | CTRL_D => Self::Quit,
            _ => Self::Other,
        }
    }
}
