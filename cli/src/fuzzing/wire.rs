//! A connection without a socket.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Sends what is given, in small pieces, and keeps what is answered.
pub struct Wire<'a> {
    sends: &'a [u8],
    step: usize,
    said: &'a mut Vec<u8>,
}

impl<'a> Wire<'a> {
    /// Sends `bytes`, at most `step` of them at a time, and writes what is answered to `said`.
    pub fn new(bytes: &'a [u8], step: usize, said: &'a mut Vec<u8>) -> Wire<'a> {
        Wire {
            sends: bytes,
            step: step.max(1),
            said,
        }
    }
}

impl AsyncRead for Wire<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let length = self.sends.len().min(self.step).min(into.remaining());
        let (piece, rest) = self.sends.split_at(length);
        into.put_slice(piece);
        self.sends = rest;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire<'_> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.said.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
