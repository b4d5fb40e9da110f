//! The arithmetic on the CPU: loops of our own over burn's Flex tensors.

mod depthwise;
mod lanes;
mod normalise;
mod patches;
mod squeeze;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::TensorData;

use super::Geometry;
use super::arithmetic::{Arithmetic, Normalisation, NormaliseGradients, extents};

type Flexible = FloatTensor<Flex>;

fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> Flexible {
    Flexible::from_data(TensorData::new(values, shape))
}

impl Arithmetic for Flex {
    fn dense(x: Flexible) -> Flexible {
        // No copy where it is dense already; a part of a larger buffer is none, although burn calls
        // it contiguous.
        x.to_contiguous()
    }

    fn depthwise(x: Flexible, kernel: Flexible, geometry: Geometry) -> Flexible {
        let (x, kernel) = (Self::dense(x), Self::dense(kernel));
        let [channels, _, _, batch] = extents(&x);
        let (height, width) = geometry.output();
        let y = depthwise::depthwise(x.storage(), kernel.storage(), geometry, batch);
        tensor(y, [channels, height, width, batch])
    }

    fn depthwise_backward(
        x: Flexible,
        kernel: Flexible,
        dy: Flexible,
        geometry: Geometry,
    ) -> (Flexible, Flexible) {
        let (x, kernel, dy) = (Self::dense(x), Self::dense(kernel), Self::dense(dy));
        let shape = extents(&x);
        let (dx, dw) = depthwise::depthwise_backward(
            x.storage(),
            kernel.storage(),
            dy.storage(),
            geometry,
            shape[3],
        );
        (tensor(dx, shape), tensor(dw, kernel.shape().dims::<2>()))
    }

    fn moments(x: Flexible) -> Flexible {
        let x = Self::dense(x);
        let [channels, ..] = extents(&x);
        tensor(normalise::moments(x.storage(), channels), [2, channels])
    }

    fn normalise(
        x: Flexible,
        gamma: Flexible,
        beta: Flexible,
        moments: Flexible,
        how: Normalisation,
    ) -> Flexible {
        let (x, moments) = (Self::dense(x), Self::dense(moments));
        let (gamma, beta) = (Self::dense(gamma), Self::dense(beta));
        let y = normalise::normalise(
            x.storage(),
            gamma.storage(),
            beta.storage(),
            moments.storage(),
            how.epsilon,
            how.swish,
        );
        tensor(y, extents(&x))
    }

    fn normalise_backward(
        x: Flexible,
        gamma: Flexible,
        beta: Flexible,
        moments: Flexible,
        dy: Flexible,
        how: Normalisation,
    ) -> NormaliseGradients<Self> {
        let (x, moments) = (Self::dense(x), Self::dense(moments));
        let (gamma, beta) = (Self::dense(gamma), Self::dense(beta));
        // In place where nobody else holds it; a copy otherwise.
        let mut dx = Self::dense(dy);
        let (dgamma, dbeta) = normalise::normalise_backward(
            x.storage(),
            gamma.storage(),
            beta.storage(),
            moments.storage(),
            how.epsilon,
            how.swish,
            dx.storage_mut(),
        );
        let channels = dgamma.len();
        NormaliseGradients {
            x: dx,
            gamma: tensor(dgamma, [channels]),
            beta: tensor(dbeta, [channels]),
        }
    }

    fn pool(x: Flexible) -> Flexible {
        let x = Self::dense(x);
        let [channels, _, _, batch] = extents(&x);
        tensor(squeeze::pool(x.storage(), channels, batch), [channels, batch])
    }

    fn pool_backward(dy: Flexible, shape: [usize; 4]) -> Flexible {
        let dy = Self::dense(dy);
        tensor(squeeze::pool_backward(dy.storage(), shape[1] * shape[2], shape[3]), shape)
    }

    fn gate(x: Flexible, gate: Flexible) -> Flexible {
        let (x, gate) = (Self::dense(x), Self::dense(gate));
        let [channels, _, _, batch] = extents(&x);
        tensor(squeeze::gate(x.storage(), gate.storage(), channels, batch), extents(&x))
    }

    fn gate_backward(
        x: Flexible,
        gate: Flexible,
        dy: Flexible,
        _wanted: bool,
    ) -> (Flexible, Option<Flexible>) {
        let (x, gate) = (Self::dense(x), Self::dense(gate));
        let mut dx = Self::dense(dy);
        let [channels, _, _, batch] = extents(&x);
        // One pass makes both.
        let dgate =
            squeeze::gate_backward(x.storage(), gate.storage(), dx.storage_mut(), channels, batch);
        (dx, Some(tensor(dgate, [channels, batch])))
    }

    fn patches(x: Flexible, geometry: Geometry) -> Flexible {
        let x = Self::dense(x);
        let batch = extents(&x)[3];
        let patches = patches::patches(x.storage(), geometry, batch);
        let (height, width) = geometry.output();
        let columns = height * width * batch;
        let rows = patches.len() / columns;
        tensor(patches, [rows, columns])
    }
}
