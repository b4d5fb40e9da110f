#!/usr/bin/env bash
# build.sh FOLDER FILE: compiles FILE, and what protoc makes of proto/, into FOLDER/classes, offline, with the Debian
# packages of packages.txt. FOLDER/classpath is for `java -cp`. build.sh --probe: are they here?
set -euo pipefail
jars=$(printf '/usr/share/java/%s.jar ' grpc-{api,context,core,netty,protobuf,protobuf-lite,stub} protobuf{,-util} \
    guava gson netty-{buffer,codec,codec-http,codec-http2,codec-socks,common,handler,handler-proxy} \
    netty-{resolver,tcnative,transport} perfmark-api opencensus-api geronimo-annotation-1.3-spec)
native=$(echo /usr/lib/*/jni/libnetty-tcnative.so)
if [ "$1" = --probe ]; then
    for program in java javac protoc grpc_java_plugin; do command -v "$program"; done
    ls $jars $native
    exit
fi
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1/classes" "$1/made" "$1/native"
# Netty loads it by another name than Debian gave it, and checks where it lies.
cp "$native" "$1/native/libnetty_tcnative.so"
classpath=$1/classes:$(printf %s "${jars% }" | tr ' ' ':')
printf %s "$classpath" >"$1/classpath"
cd "$here/../../../proto"
protoc -I. --java_out="$1/made" --grpc-java_out="$1/made" \
    --plugin=protoc-gen-grpc-java="$(command -v grpc_java_plugin)" leukd/v1/*.proto
javac -nowarn -d "$1/classes" -cp "$classpath" $(find "$1/made" -name '*.java') "$2"
