//! `--device` and `--dtype`: what was asked for, not yet checked against what this build and this machine have.

use std::fmt;

/// A device by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceName {
    /// The CPU.
    Cpu,
    /// An NVIDIA GPU, by index.
    Cuda(usize),
    /// Apple's GPU.
    Metal,
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
            Self::Metal => f.write_str("metal"),
        }
    }
}

/// `--device`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum DeviceRequest {
    /// The best there is: CUDA (over several GPUs if the model does not fit one), then Metal, then the CPU.
    #[default]
    Auto,
    /// These, in the order in which the layers go over them.
    List(Vec<DeviceName>),
}

impl std::str::FromStr for DeviceRequest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let devices = text.split(',').map(device_name).collect::<Result<Vec<_>, _>>()?;
        let repeated = |device: &DeviceName| {
            *device != DeviceName::Cpu && devices.iter().filter(|other| *other == device).count() > 1
        };
        match devices.iter().find(|device| repeated(device)) {
            Some(device) => Err(format!("`{device}` is named twice")),
            None => Ok(Self::List(devices)),
        }
    }
}

fn device_name(text: &str) -> Result<DeviceName, String> {
    match text {
        "cpu" => Ok(DeviceName::Cpu),
        "cuda" => Ok(DeviceName::Cuda(0)),
        "metal" => Ok(DeviceName::Metal),
        _ => match text.strip_prefix("cuda:") {
            Some(index) => index.parse().map(DeviceName::Cuda).map_err(|_| format!("`{index}` is not a GPU index")),
            None => Err("expected auto, cpu, cuda, cuda:INDEX or metal, or several separated by commas".to_owned()),
        },
    }
}

/// `--dtype`: a request for the arithmetic of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DtypeRequest {
    /// bf16 on GPUs, and on CPUs that multiply it natively where the weights are bf16; else f32.
    #[default]
    Auto,
    /// 32-bit floats: the answers that this program promises, token for token those of the reference.
    F32,
    /// bfloat16, what the checkpoints are trained and stored in: on the CPU the operands of products alone.
    Bf16,
    /// 16-bit floats: less range than bf16, may overflow.
    F16,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_names_parse() {
        let list = |devices: &[DeviceName]| Ok(DeviceRequest::List(devices.to_vec()));
        assert_eq!("auto".parse(), Ok(DeviceRequest::Auto));
        assert_eq!("cuda:3".parse(), list(&[DeviceName::Cuda(3)]));
        assert_eq!("cuda".parse(), list(&[DeviceName::Cuda(0)]));
        assert_eq!("cuda:1,cuda:0,cpu".parse(), list(&[DeviceName::Cuda(1), DeviceName::Cuda(0), DeviceName::Cpu]));
        assert_eq!("cpu,cpu".parse(), list(&[DeviceName::Cpu, DeviceName::Cpu]));
        for wrong in ["gpu", "cuda:", "cuda:x", "CPU", "", "cpu,", "auto,cpu", "cuda,cuda:0", "cuda:1,cpu,cuda:1"] {
            assert!(wrong.parse::<DeviceRequest>().is_err(), "{wrong}");
        }
    }
}
