//! Export folder → settled captures. Knows nothing of models or gRPC.
