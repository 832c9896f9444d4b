//! A program at a terminal, with somebody who types and looks at the screen.

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZero;
use std::os::fd::AsRawFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::process::{Guarded, PATIENCE, terminal, wait_for};

/// A program whose controlling terminal is drawn here.
pub(crate) struct Sitting {
    program: Guarded,
    user: File,
    screen: Arc<Mutex<vt100::Parser>>,
    /// What the program writes to standard output, if that is not the terminal.
    stdout: Option<JoinHandle<String>>,
    _drawing: JoinHandle<()>,
}

impl Sitting {
    /// Starts a program on a screen of this size; its standard output is the terminal, or is collected.
    pub(crate) fn start(command: &mut Command, (rows, columns): (u16, u16), collects_stdout: bool) -> Self {
        let (tty, user) = terminal();
        set_size(&user, rows, columns);
        let end = || Stdio::from(tty.try_clone().unwrap());
        command.stdin(end()).stderr(end());
        if command.get_envs().all(|(name, _)| name != "TERM") {
            command.env("TERM", "xterm-256color");
        }
        command.stdout(if collects_stdout { Stdio::piped() } else { end() });
        // SAFETY: only async-signal-safe calls between fork and exec.
        unsafe {
            command.pre_exec(|| match libc::setsid() >= 0 && libc::ioctl(0, libc::TIOCSCTTY, 0) == 0 {
                true => Ok(()),
                false => Err(std::io::Error::last_os_error()),
            });
        }
        let mut program = Guarded(command.spawn().unwrap());
        // Those of the program are the only ones left, so that its end is one of the terminal's output.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        drop(tty);
        let stdout = program.0.stdout.take().map(|mut stdout| {
            std::thread::spawn(move || {
                let mut text = String::new();
                stdout.read_to_string(&mut text).unwrap();
                text
            })
        });
        let screen = Arc::new(Mutex::new(vt100::Parser::new(nonzero(rows), nonzero(columns), 1000)));
        let (mut output, shown) = (File::from(user.try_clone().unwrap()), Arc::clone(&screen));
        let drawing = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // The last reader of a terminal gets an error, not an end.
            while let Ok(count @ 1..) = output.read(&mut buffer) {
                shown.lock().unwrap().process(&buffer[..count]);
            }
        });
        Self { program, user: File::from(user), screen, stdout, _drawing: drawing }
    }

    /// Types; `\r` is the Enter key.
    pub(crate) fn type_keys(&mut self, keys: &str) {
        self.user.write_all(keys.as_bytes()).unwrap();
    }

    /// What stands on the screen, blanks at the ends of lines left out.
    pub(crate) fn screen(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    /// Row and column of the cursor, from 0.
    pub(crate) fn cursor(&self) -> (u16, u16) {
        self.screen.lock().unwrap().screen().cursor_position()
    }

    /// Waits until the screen is as wanted.
    #[track_caller]
    pub(crate) fn wait_for_screen(&self, is_wanted: impl Fn(&str) -> bool) {
        let started = std::time::Instant::now();
        while !is_wanted(&self.screen()) {
            assert!(started.elapsed() < PATIENCE, "the screen is not as awaited:\n{}", self.screen());
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// Waits until the last line that holds something is this one.
    #[track_caller]
    pub(crate) fn wait_for_last_line(&self, line: &str) {
        self.wait_for_screen(|screen| screen.trim_end().lines().last().unwrap_or_default() == line);
    }

    /// Gives the screen another size, of which the program is told.
    pub(crate) fn resize(&self, rows: u16, columns: u16) {
        self.screen.lock().unwrap().screen_mut().set_size(nonzero(rows), nonzero(columns));
        set_size(&self.user, rows, columns);
    }

    /// Whether the terminal gives whole lines to programs and shows what is typed, as before any program changed it.
    pub(crate) fn is_cooked(&self) -> bool {
        let mode = rustix::termios::tcgetattr(&self.user).unwrap();
        mode.local_modes.contains(rustix::termios::LocalModes::ICANON | rustix::termios::LocalModes::ECHO)
    }

    /// Sends a signal to the program alone.
    pub(crate) fn signal(&self, number: libc::c_int) {
        // SAFETY: `kill` takes two numbers.
        assert_eq!(unsafe { libc::kill(self.program.0.id().cast_signed(), number) }, 0);
    }

    /// Waits for the end: its exit code, and standard output if that was collected.
    #[track_caller]
    pub(crate) fn end(&mut self) -> (Option<i32>, String) {
        let mut status = None;
        wait_for("the end of the process", PATIENCE, || {
            status = self.program.0.try_wait().unwrap();
            status.is_some()
        });
        let status = status.unwrap();
        assert_eq!(status.signal(), None, "{}", self.screen());
        let stdout = self.stdout.take().map(|stdout| stdout.join().unwrap());
        (status.code(), stdout.unwrap_or_default())
    }
}

fn nonzero(size: u16) -> NonZero<u16> {
    NonZero::new(size).unwrap()
}

fn set_size(terminal: &impl AsRawFd, rows: u16, columns: u16) {
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the size is read, and nothing is kept of it.
    assert_eq!(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) }, 0);
}
