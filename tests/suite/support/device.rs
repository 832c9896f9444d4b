//! The device under test.

use std::sync::LazyLock;

use llava_video::device::{Devices, DtypeRequest, Operands, Placement};

/// The device under test as `--device` writes it: the CPU, or what `LLAVA_VIDEO_TEST_DEVICE` names.
pub(crate) fn device() -> &'static str {
    static DEVICE: LazyLock<String> =
        LazyLock::new(|| std::env::var("LLAVA_VIDEO_TEST_DEVICE").unwrap_or_else(|_| "cpu".to_owned()));
    &DEVICE
}

/// The first of the devices under test, in one arithmetic.
pub(crate) fn placement(dtype: DtypeRequest) -> Placement {
    Devices::open(&device().parse().unwrap(), dtype).unwrap().placements().remove(0)
}

/// The same in f32, with what `operands` rounds.
pub(crate) fn rounding(operands: Operands) -> Placement {
    Placement { operands, ..placement(DtypeRequest::F32) }
}
