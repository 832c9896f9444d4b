//! What may be done with an output that is there already, and how soon records outlive the power.

/// When records are flushed to the disk, so that they outlive the power too; a kill of the process they outlive at
/// once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Fsync {
    /// After each.
    EachRecord,
    /// At most a second later.
    #[default]
    EverySecond,
}

/// What may be done with an output that is there already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Policy {
    /// Records of other runs and of changed inputs may be in it; new ones are appended.
    pub new_digest: bool,
    /// It is started over, whatever it is.
    pub force: bool,
    /// When records are flushed.
    pub fsync: Fsync,
}
