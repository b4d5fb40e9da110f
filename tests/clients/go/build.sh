#!/usr/bin/env bash
# build.sh FOLDER FILE: makes FOLDER/client of FILE and of what protoc makes of proto/, offline, with the Debian
# packages of packages.txt. build.sh --probe: are they here?
set -euo pipefail
if [ "$1" = --probe ]; then
    for program in go protoc protoc-gen-go protoc-gen-go-grpc; do command -v "$program"; done
    ls -d /usr/share/gocode/src/google.golang.org/{grpc,protobuf}
    exit
fi
here=$(cd "$(dirname "$0")" && pwd)
# What is compiled is kept here: a second client takes a second.
export GOCACHE=${GOCACHE:-$1/cache} GO111MODULE=off GOPATH=$1:/usr/share/gocode
mkdir -p "$1/src/client"
cp "$2" "$1/src/client/main.go"
cp "$here/debian.go" "$1/src/client/"
cd "$here/../../../proto"
options=()
for file in leukd/v1/*.proto; do
    options+=("--go_opt=M$file=leukd/v1" "--go-grpc_opt=M$file=leukd/v1")
done
protoc -I. --go_out="$1/src" --go-grpc_out="$1/src" "${options[@]}" leukd/v1/*.proto
go build -o "$1/client" client
