//! `eval`: benchmarks read, put, scored, judged and compared, through the binary.

mod compare;
mod contexts;
mod data;
mod judge;
mod judge_server;
mod list;
mod scores;
