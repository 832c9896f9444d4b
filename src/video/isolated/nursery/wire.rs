//! Packets between the parent and the nursery, over a pair of sockets that keeps them apart.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::cmsg_space;
use rustix::io::{Errno, Result};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, send, sendmsg,
};

/// What the nursery says first; another version of this program says something else.
pub(super) const READY: &[u8] = concat!("nursery of llava-video ", env!("CARGO_PKG_VERSION")).as_bytes();

/// What it says first where a library has started threads in it: one of them could hold a lock at the moment of a fork,
/// and nobody in the child would ever free it.
pub(super) const HAS_THREADS: &[u8] = b"threads";

/// Most bytes of a packet.
pub(super) const MAX_BYTES: usize = 64;

/// Most descriptors of a packet.
const MAX_DESCRIPTORS: usize = 3;

/// What is asked of the nursery: a child with these descriptors.
#[derive(Debug)]
pub(super) struct Order<D> {
    pub(super) input: D,
    pub(super) output: D,
    /// An open file that the child is to hold under this number.
    pub(super) kept: Option<(u32, D)>,
}

impl Order<BorrowedFd<'_>> {
    pub(super) fn send(&self, socket: BorrowedFd<'_>) -> Result<()> {
        let number = self.kept.map_or(0, |(number, _)| number).to_le_bytes();
        let descriptors: Vec<BorrowedFd<'_>> =
            [self.input, self.output].into_iter().chain(self.kept.map(|(_, file)| file)).collect();
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)) {
            return Err(Errno::TOOBIG);
        }
        retry(|| sendmsg(socket, &[IoSlice::new(&number)], &mut ancillary, SendFlags::NOSIGNAL)).map(drop)
    }
}

impl Order<OwnedFd> {
    /// The next order; `None` once there are none any more.
    ///
    /// # Errors
    /// What came is no order, as where the system had no room for its descriptors.
    pub(super) fn receive(socket: BorrowedFd<'_>) -> Result<Option<Self>> {
        let mut number = [0; 4];
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let received =
            retry(|| recvmsg(socket, &mut [IoSliceMut::new(&mut number)], &mut ancillary, RecvFlags::CMSG_CLOEXEC))?;
        if received.bytes == 0 {
            return Ok(None);
        }
        let mut descriptors = Vec::new();
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(some) = message {
                descriptors.extend(some);
            }
        }
        let mut descriptors = descriptors.into_iter();
        let (Some(input), Some(output)) = (descriptors.next(), descriptors.next()) else { return Err(Errno::MFILE) };
        let kept = match u32::from_le_bytes(number) {
            0 => None,
            number => Some((number, descriptors.next().ok_or(Errno::MFILE)?)),
        };
        Ok(Some(Self { input, output, kept }))
    }
}

/// Sends what the nursery has to say.
pub(super) fn say(socket: BorrowedFd<'_>, words: &[u8]) -> Result<()> {
    retry(|| send(socket, words, SendFlags::NOSIGNAL)).map(drop)
}

/// Answers an order: with the child's number, or why there is no child.
pub(super) fn answer(socket: BorrowedFd<'_>, child: Result<i32>) -> Result<()> {
    say(socket, &child.unwrap_or_else(|errno| -errno.raw_os_error()).to_le_bytes())
}

/// What an answer says; `None` if it is none.
pub(super) fn read_answer(packet: &[u8]) -> Option<Result<i32>> {
    match i32::from_le_bytes(packet.try_into().ok()?) {
        0 => None,
        child @ 1.. => Some(Ok(child)),
        errno => Some(Err(Errno::from_raw_os_error(errno.checked_neg()?))),
    }
}

fn retry<T>(mut call: impl FnMut() -> Result<T>) -> Result<T> {
    rustix::io::retry_on_intr(&mut call)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write, pipe};
    use std::os::fd::AsFd;

    use rustix::net::{AddressFamily, SocketFlags, SocketType, recv, socketpair};

    use super::*;

    fn sockets() -> (OwnedFd, OwnedFd) {
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap()
    }

    #[test]
    fn an_order_arrives_with_its_descriptors() {
        let (ours, theirs) = sockets();
        let ((input, mut to_input), (mut from_output, output)) = (pipe().unwrap(), pipe().unwrap());
        let (file, mut to_file) = pipe().unwrap();
        for kept in [None, Some((700, file.as_fd()))] {
            Order { input: input.as_fd(), output: output.as_fd(), kept }.send(ours.as_fd()).unwrap();
            let order = Order::receive(theirs.as_fd()).unwrap().unwrap();
            to_input.write_all(b"in").unwrap();
            let mut bytes = [0; 2];
            std::fs::File::from(order.input).read_exact(&mut bytes).unwrap();
            assert_eq!(&bytes, b"in");
            std::fs::File::from(order.output).write_all(b"ou").unwrap();
            from_output.read_exact(&mut bytes).unwrap();
            assert_eq!(&bytes, b"ou");
            assert_eq!(order.kept.as_ref().map(|(number, _)| *number), kept.map(|(number, _)| number));
            if let Some((_, received)) = order.kept {
                to_file.write_all(b"fi").unwrap();
                std::fs::File::from(received).read_exact(&mut bytes).unwrap();
                assert_eq!(&bytes, b"fi");
            }
        }
        drop(ours);
        assert!(Order::receive(theirs.as_fd()).unwrap().is_none());
    }

    #[test]
    fn a_packet_without_descriptors_is_no_order() {
        let (ours, theirs) = sockets();
        say(ours.as_fd(), &[0; 4]).unwrap();
        assert_eq!(Order::receive(theirs.as_fd()).unwrap_err(), Errno::MFILE);
    }

    #[test]
    fn answers_arrive_and_anything_else_is_none() {
        let (ours, theirs) = sockets();
        for answered in [Ok(1), Ok(i32::MAX), Err(Errno::AGAIN)] {
            answer(ours.as_fd(), answered).unwrap();
            let mut packet = [0; MAX_BYTES];
            let (length, _) = recv(&theirs, &mut packet[..], RecvFlags::empty()).unwrap();
            assert_eq!(read_answer(&packet[..length]), Some(answered));
        }
        for nonsense in [&[][..], &[1, 0, 0], &[0; 4], READY, HAS_THREADS] {
            assert_eq!(read_answer(nonsense), None);
        }
        assert!(READY.len() < MAX_BYTES && READY != HAS_THREADS);
    }
}
