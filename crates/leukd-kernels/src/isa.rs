//! Which instructions the kernels use: looked up once, when a network is compiled.

use std::fmt;

/// A set of vector instructions that this processor has: there is none that was not found here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Isa(Set);

/// Every set that there are kernels for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Set {
    /// x86-64 with AVX-512 F: 16 numbers at a time.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// x86-64 with AVX2 and FMA: 8 numbers at a time.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// Any processor: what the compiler makes of plain Rust.
    Portable,
}

impl Isa {
    /// All that this processor has, the fastest first.
    pub fn here() -> impl Iterator<Item = Self> {
        let all: &[Set] = &[
            #[cfg(target_arch = "x86_64")]
            Set::Avx512,
            #[cfg(target_arch = "x86_64")]
            Set::Avx2,
            Set::Portable,
        ];
        all.iter().copied().filter(|set| set.is_here()).map(Self)
    }

    /// The fastest that this processor has.
    #[must_use]
    pub fn best() -> Self {
        Self::here().next().unwrap_or(Self(Set::Portable))
    }

    /// Which one it is.
    pub(super) const fn set(self) -> Set {
        self.0
    }

    /// Numbers in a vector: the channels of a block of the kernels' layout.
    #[must_use]
    pub const fn width(self) -> usize {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => 16,
            _ => 8,
        }
    }

    /// How many vectors of output channels and how many pixels a product keeps in registers: their
    /// product, a vector for each weight and one for the activation fit AVX-512's 32 registers and
    /// AVX2's 16.
    pub(super) const fn tile(self) -> Tile {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => Tile { vectors: 3, pixels: [12, 12, 9] },
            _ => Tile { vectors: 2, pixels: [8, 6, 0] },
        }
    }
}

impl Set {
    /// Whether this processor has it, and the operating system keeps its registers.
    fn is_here(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => std::arch::is_x86_feature_detected!("avx512f"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => {
                std::arch::is_x86_feature_detected!("avx2")
                    && std::arch::is_x86_feature_detected!("fma")
            }
            Self::Portable => true,
        }
    }
}

/// See [`Isa::tile`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Tile {
    /// The most vectors of output channels.
    pub(super) vectors: usize,
    /// The most pixels, for one, two, three vectors.
    pub(super) pixels: [usize; 3],
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => "avx2",
            Set::Portable => "portable",
        })
    }
}

/// Compiles a kernel, generic over [`super::lanes::Lanes`], for each instruction set:
/// `dispatched!(name(argument: Type) = kernel)` makes `unsafe fn name(isa: Isa, argument: Type)`.
///
/// What that function asks of its caller is what the kernel asks of its own: that the processor has
/// the instructions is what an [`Isa`] says.
macro_rules! dispatched {
    ($name:ident($argument:ident: $kind:ty) = $kernel:ident) => {
        unsafe fn $name(isa: $crate::isa::Isa, $argument: $kind) {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f")]
            unsafe fn avx512($argument: $kind) {
                // SAFETY: the caller's.
                unsafe { $kernel::<$crate::lanes::Avx512>($argument) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            unsafe fn avx2($argument: $kind) {
                // SAFETY: the caller's.
                unsafe { $kernel::<$crate::lanes::Avx2>($argument) }
            }
            unsafe fn portable($argument: $kind) {
                // SAFETY: the caller's.
                unsafe { $kernel::<$crate::lanes::Portable>($argument) }
            }
            // SAFETY: the caller's.
            unsafe {
                match isa.set() {
                    #[cfg(target_arch = "x86_64")]
                    $crate::isa::Set::Avx512 => avx512($argument),
                    #[cfg(target_arch = "x86_64")]
                    $crate::isa::Set::Avx2 => avx2($argument),
                    $crate::isa::Set::Portable => portable($argument),
                }
            }
        }
    };
}
pub(super) use dispatched;
