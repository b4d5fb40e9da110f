//! What trains: the processor or a graphics card.

use std::str::FromStr;

use burn::tensor::Device;

/// A device by its name on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compute {
    /// The processor, by burn's Flex and the kernels of [`crate::kernels`].
    Cpu,
    /// An NVIDIA card by its number.
    Cuda(usize),
    /// The graphics card that Vulkan finds first.
    Vulkan,
}

/// How numbers are kept on a graphics card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Numbers {
    /// IEEE single precision. On NVIDIA a 1×1 convolution's factors are rounded to TF32, ten bits
    /// of mantissa.
    #[default]
    F32,
    /// bfloat16: eight bits of mantissa. Graphics cards only.
    Bf16,
}

/// Why a device cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ComputeError {
    /// No such name.
    #[error("{0:?} is no device: give cpu, cuda, cuda:N or vulkan")]
    Unknown(String),
    /// The program was built without it.
    #[error(
        "this leukd-train was built without {device}: build it with `cargo build --release -p \
         leukd-train --features {feature}` (docs/models/shipping.md)"
    )]
    NotBuilt {
        /// The device.
        device: Compute,
        /// The feature that brings it.
        feature: &'static str,
    },
    /// bfloat16 on the processor.
    #[error("the processor computes in f32: leave out --numbers bf16, or give a graphics card")]
    NoBf16,
    /// The device does not take the settings.
    #[error("{device} cannot be set up: {problem}")]
    SetUp {
        /// The device.
        device: Compute,
        /// What it says.
        problem: String,
    },
}

impl FromStr for Compute {
    type Err = ComputeError;

    fn from_str(text: &str) -> Result<Self, ComputeError> {
        match text.split_once(':') {
            None if text == "cpu" => Ok(Self::Cpu),
            None if text == "cuda" => Ok(Self::Cuda(0)),
            None if text == "vulkan" => Ok(Self::Vulkan),
            Some(("cuda", number)) if number.parse::<u16>().is_ok() => {
                Ok(Self::Cuda(number.parse().unwrap_or_default()))
            }
            _ => Err(ComputeError::Unknown(text.to_owned())),
        }
    }
}

impl std::fmt::Display for Compute {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
            Self::Vulkan => f.write_str("vulkan"),
        }
    }
}

impl Compute {
    /// The device, without autodiff.
    ///
    /// # Errors
    ///
    /// Where the program was built without it, or it does not compute in `numbers`.
    pub fn device(self, numbers: Numbers) -> Result<Device, ComputeError> {
        let device = match self {
            Self::Cpu if numbers == Numbers::Bf16 => return Err(ComputeError::NoBf16),
            Self::Cpu => return Ok(Device::flex()),
            Self::Cuda(number) => cuda(self, number)?,
            Self::Vulkan => vulkan(self)?,
        };
        set_up(device, self, numbers)
    }
}

#[cfg(feature = "cuda")]
#[expect(clippy::unnecessary_wraps, reason = "without the feature it is an error")]
fn cuda(_device: Compute, number: usize) -> Result<Device, ComputeError> {
    Ok(Device::cuda(number))
}

#[cfg(not(feature = "cuda"))]
fn cuda(device: Compute, _number: usize) -> Result<Device, ComputeError> {
    Err(ComputeError::NotBuilt { device, feature: "cuda" })
}

#[cfg(feature = "vulkan")]
#[expect(clippy::unnecessary_wraps, reason = "without the feature it is an error")]
fn vulkan(_device: Compute) -> Result<Device, ComputeError> {
    Ok(Device::vulkan(burn::tensor::DeviceKind::DefaultDevice))
}

#[cfg(not(feature = "vulkan"))]
fn vulkan(device: Compute) -> Result<Device, ComputeError> {
    Err(ComputeError::NotBuilt { device, feature: "vulkan" })
}

fn set_up(mut device: Device, name: Compute, numbers: Numbers) -> Result<Device, ComputeError> {
    if numbers == Numbers::Bf16 {
        device
            .configure(burn::tensor::FloatDType::BF16)
            .map_err(|error| ComputeError::SetUp { device: name, problem: format!("{error:?}") })?;
    }
    Ok(device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_have_the_names_of_the_command_line() {
        for name in ["cpu", "cuda:0", "cuda:3", "vulkan"] {
            assert_eq!(
                name.parse::<Compute>().map(|device| device.to_string()),
                Ok(name.to_owned())
            );
        }
        for wrong in ["gpu", "cuda:", "cuda:x", "cpu:1"] {
            assert!(wrong.parse::<Compute>().is_err(), "{wrong}");
        }
    }
}
