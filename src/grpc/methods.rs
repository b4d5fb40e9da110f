//! Scopes of methods: the one table. A method that is not in it is not served, so none can be
//! forgotten.

use crate::access::Scope::{self, Admin, Classify, Read, Review};

/// One method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Method {
    /// As HTTP/2 names it.
    pub(super) path: &'static str,
    /// The scope that it takes; none when everybody may call it.
    pub(super) scope: Option<Scope>,
    /// It is open for as long as it likes.
    pub(super) streams: bool,
}

const fn method(path: &'static str, scope: Option<Scope>, streams: bool) -> Method {
    Method { path, scope, streams }
}

/// Every method of every service.
const METHODS: [Method; 22] = [
    method("/leukd.v1.Classifier/Classify", Some(Classify), false),
    method("/leukd.v1.Classifier/ClassifyField", Some(Classify), false),
    method("/leukd.v1.Classifier/ClassifyStream", Some(Classify), true),
    method("/leukd.v1.Results/Subscribe", Some(Read), true),
    method("/leukd.v1.Results/GetResult", Some(Read), false),
    method("/leukd.v1.Results/ListResults", Some(Read), false),
    method("/leukd.v1.Results/GetSpecimen", Some(Read), false),
    method("/leukd.v1.Results/ListSpecimens", Some(Read), false),
    method("/leukd.v1.Explainer/GetHeatMap", Some(Read), false),
    method("/leukd.v1.Reviews/SubmitReview", Some(Review), false),
    method("/leukd.v1.Reviews/ListReviews", Some(Read), false),
    method("/leukd.v1.Reviews/SignSpecimen", Some(Review), false),
    method("/leukd.v1.Reviews/WithdrawSignature", Some(Review), false),
    method("/leukd.v1.Control/GetModel", Some(Read), false),
    method("/leukd.v1.Control/GetStatus", Some(Read), false),
    method("/leukd.v1.Control/ReloadModel", Some(Admin), false),
    method("/leukd.v1.Control/GetLogLevel", Some(Admin), false),
    method("/leukd.v1.Control/SetLogLevel", Some(Admin), false),
    // A monitor needs no secret, and learns only whether leukd serves.
    method("/grpc.health.v1.Health/Check", None, false),
    method("/grpc.health.v1.Health/Watch", None, true),
    method("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Some(Read), true),
    method("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", Some(Read), true),
];

/// The method of this path.
pub(super) fn find(path: &str) -> Option<&'static Method> {
    METHODS.iter().find(|method| method.path == path)
}

#[cfg(test)]
mod tests {
    use prost_reflect::DescriptorPool;

    use super::*;

    /// The whole of what is served, as the services' own descriptors have it.
    fn described() -> Vec<(String, bool)> {
        let mut pool = DescriptorPool::decode(super::super::proto::FILE_DESCRIPTOR_SET).unwrap();
        for more in [
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
        ] {
            pool.decode_file_descriptor_set(more).unwrap();
        }
        let methods = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>());
        methods
            .map(|method| {
                let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
                (path, method.is_client_streaming() || method.is_server_streaming())
            })
            .collect()
    }

    #[test]
    fn every_method_of_every_service_stands_in_the_table() {
        let described = described();
        assert!(described.len() >= 13, "{described:?}");
        for (path, streams) in &described {
            let method = find(path).unwrap_or_else(|| panic!("{path} has no scope"));
            assert_eq!(method.streams, *streams, "{path}");
            let open = path.starts_with("/grpc.health.v1.");
            assert_eq!(method.scope.is_none(), open, "{path}");
        }
        for method in METHODS {
            assert!(described.iter().any(|(path, _)| path == method.path), "{}", method.path);
        }
    }
}
